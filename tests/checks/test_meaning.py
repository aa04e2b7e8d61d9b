"""What rules mean at the edges: missing and equal values, ends of every kind, other types, odd names; alike in every form."""

import datetime as dt
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from assay import Record
from assay.checks import Checks, check, col, fresh, like, rows, sql, unique
from assay.checks.rules import Rule
from assay.errors import BadInput

NAN = float("nan")
FORMS = {
    "arrow": lambda table: table,
    "polars": pl.from_arrow,
    "lazy": lambda table: pl.from_arrow(table).lazy(),
    "pandas": lambda table: table.to_pandas(),
    "pandas of arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
}
each_form = pytest.mark.parametrize("form", FORMS)


def said(target: object, *rules: "Rule | object", **options: object) -> list[tuple[str, int, str]]:
    return [(one.status, one.failing, one.message) for one in check(target, Checks(*rules), **options).results]


def verdicts(target: object, *rules: object) -> list[tuple[str, int]]:
    return [(status, failing) for status, failing, _ in said(target, *rules)]


@each_form
def test_nan_is_missing_and_no_unknown_value(form: str) -> None:
    table = pa.table({"x": [1.0] * 13 + [7.0] * 4 + [NAN] * 3})
    only_nan = pa.table({"x": [1.0, NAN]})
    assert verdicts(FORMS[form](table), col("x").isin(1, tolerance=0.25)) == [("pass", 4)]
    assert verdicts(FORMS[form](table), col("x").isin(1)) == [("fail", 4)]
    assert verdicts(FORMS[form](only_nan), col("x").isin(1)) == [("pass", 0)]


@each_form
def test_ends_beyond_all_whole_numbers_are_no_limit(form: str) -> None:
    frame = FORMS[form](pa.table({"a": [5, -7]}))
    for far in (1e39, 1.7e308, 2**127, 10**300):
        assert verdicts(frame, col("a").between(0, far), col("a").between(-far, 4)) == [("fail", 1), ("fail", 1)]
        assert verdicts(frame, col("a").between(far, None), col("a").between(None, -far)) == [("fail", 2), ("fail", 2)]
    assert verdicts(pa.table({"a": [2**53, 2**53 + 1]}), col("a").between(0, 2**53)) == [("fail", 1)]


@each_form
def test_days_and_times_lie_between(form: str) -> None:
    utc = [dt.datetime(2024, 1, 1, 3, tzinfo=dt.UTC), dt.datetime(2024, 1, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)]
    table = pa.table(
        {
            "d": [dt.date(2020, 1, 1), dt.date(2024, 12, 31)],
            "t": pa.array(utc, pa.timestamp("us", "UTC")),
            "n": [each.replace(tzinfo=None) for each in utc],
        }
    )
    frame = FORMS[form](table)
    if form == "pandas":
        frame["d"] = frame["d"].astype(pd.ArrowDtype(pa.date32()))
    assert said(frame, col("d").between("2020-06-01", dt.date(2024, 12, 31))) == [
        ("fail", 1, "1 of 2 rows outside 2020-06-01 to 2024-12-31   worst 2020-01-01")
    ]
    for name in ("t", "n"):
        assert verdicts(
            frame, col(name).between("2024-01-01", "2024-01-31"), col(name).between(None, "2024-01-30")
        ) == [
            ("pass", 0),
            ("fail", 1),
        ]
    assert said(frame, col("t").between("2024-01-01T04:00:00Z"), col("n").between(utc[1].replace(tzinfo=None))) == [
        ("fail", 1, "1 of 2 rows outside at least 2024-01-01T04:00:00Z   worst 2024-01-01T03:00:00Z"),
        ("fail", 1, "1 of 2 rows outside at least 2024-01-31T23:59:59.999999   worst 2024-01-01T03:00:00"),
    ]
    assert said(frame, col("t").between("2024-01-01T04:00:00"))[0][2] == "holds times, times without a zone expected"


def test_ranges_of_days_that_make_no_sense_are_refused() -> None:
    for ends in (
        ("2024-01-02", "2024-01-01"),
        ("2024-01-01", 5),
        ("soon", None),
        ("2024-01-01", "2024-01-01T10:00:00Z"),
    ):
        with pytest.raises(BadInput):
            col("d").between(*ends)


@each_form
def test_texts_match_and_have_lengths_and_truths_are_known(form: str) -> None:
    frame = FORMS[form](pa.table({"s": ["ab", "abc", None, "x'y\n"], "b": [True, False, None, True]}))
    assert said(frame, col("s").matches("[a-z]{2,3}"), col("s").length(max=2), col("s").length(3, 4)) == [
        ("fail", 1, "1 of 4 rows not like [a-z]{2,3}"),
        ("fail", 2, "2 of 4 rows not at most 2 characters"),
        ("fail", 1, "1 of 4 rows not 3 to 4 characters"),
    ]
    assert said(frame, col("b").isin(True), col("b").isin(True, False)) == [
        ("fail", 1, "1 of 4 rows not one of true   False × 1"),
        ("pass", 0, "only known values"),
    ]
    assert verdicts(frame, sql("length(s) > 2 -- all"), rows(max=1, where="b -- only these")) == [
        ("fail", 1),
        ("fail", 0),
    ]
    with pytest.raises(BadInput, match="unterminated"):
        col("s").matches("[a")


def test_floats_are_known_values() -> None:
    assert verdicts(pa.table({"x": [0.1, 0.3, None]}), col("x").isin(0.1, 0.3), col("x").isin(0.1)) == [
        ("pass", 0),
        ("fail", 1),
    ]


@each_form
def test_whole_values_of_floats_are_whole_numbers(form: str) -> None:
    class Q(Record):
        n: int | None

    for values, found in (
        ([1.0, None], []),
        ([1.5, 2.0], ["1 of 2 rows can't be read as whole numbers"]),
        ([float("inf"), 1.0], ["1 of 2 rows can't be read as whole numbers"]),
    ):
        report = check(FORMS[form](pa.table({"n": values})), Q)
        assert [one.message for one in report.having("fail")] == found


def test_numbers_and_texts_are_times_when_said_how() -> None:
    table = pa.table(
        {"s": [1735640000, 1735641000], "ms": [1735640000000.0, 1735641000000.0], "text": ["31/12/2024 10:30", "soon"]}
    )
    now = "2024-12-31T11:00:00Z"
    found = said(
        table,
        fresh("s", error="26h", unit="s"),
        fresh("ms", error="5m", unit="ms"),
        fresh("s", error="26h", unit="us"),
        fresh("text", error="26h", format="%d/%m/%Y %H:%M", zone="UTC"),
        fresh("text", warn="5m", format="%d/%m/%Y %H:%M", zone="Europe/Berlin"),
        fresh("s", error="26h"),
        now=now,
    )
    assert [status for status, *_ in found] == ["pass", "fail", "fail", "warn", "warn", "fail"]
    assert found[1][2] == "newest 2024-12-31T10:30:00Z, 30m old, not older than 5m expected"
    assert found[3][2] == "1 of 2 rows show no time like %d/%m/%Y %H:%M"
    assert found[4][2].startswith("newest 2024-12-31T09:30:00Z, 90m old") or "1h 30m old" in found[4][2]
    ahead = said(table, fresh("s", error="26h", unit="s"), now="2024-12-31T10:20:00Z")
    assert ahead[0][:2] == ("warn", 1)
    for wrong in ({"unit": "h"}, {"unit": "s", "zone": "UTC"}, {"format": "%d"}):
        with pytest.raises(BadInput):
            fresh("s", error="26h", **wrong)


def test_likeness_tells_of_lost_columns_and_refuses_to_pass_where_nothing_is_alike() -> None:
    reference = pa.table(
        {"y": [1.0] * 50, "z": ["a"] * 50, "n": pa.array([None] * 50, pa.float64()), "d": [dt.date(2024, 1, 1)] * 50}
    )
    now = pa.table({"y": [1.0] * 50, "n": [1.0] * 50, "d": pa.array([None] * 50, pa.date32())})
    assert said(now, like(reference)) == [
        ("pass", 0, "PSI 0"),
        ("warn", 50, "not in the table"),
        ("warn", 0, "0 % of the values are missing, in the reference 100 %"),
        ("warn", 0, "100 % of the values are missing, in the reference 0 %"),
    ]
    nothing = said(pa.table({"x": [1.0]}), like(reference))
    assert nothing == [
        ("error", 0, "can't be asked: there is nothing to compare: the table has x, the reference y, z, n, d")
    ]


def test_names_of_pandas_that_are_numbers_are_texts_and_those_of_levels_are_refused() -> None:
    assert verdicts(pd.DataFrame([[1, 2], [None, 3]]), col("0").nulls(), col("1").nulls()) == [("fail", 1), ("pass", 0)]
    levels = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]))
    with pytest.raises(BadInput, match="names of several levels"):
        check(levels, Checks(rows(min=1)))
    with pytest.raises(BadInput, match="read alike"):
        check(pd.DataFrame([[1, 2]], columns=[0, "0"]), Checks(rows(min=1)))


@pytest.mark.parametrize("name", ["assay:file", "assay:row", "assay:n"])
def test_names_of_assays_own_are_refused(name: str, tmp_path: Path) -> None:
    table = pa.table({name: [1, 2, None]})
    pq.write_table(table, tmp_path / "own.parquet")
    for target in (table, pl.from_arrow(table), tmp_path / "own.parquet"):
        with pytest.raises(BadInput, match=f"has a column {name}"):
            check(target, Checks(unique(name)))


def test_the_file_that_brought_another_type_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": ["1", "b"]}), tmp_path / "b.parquet")
    assert said(tmp_path, col("x").between(0, 5)) == [
        ("fail", 4, "holds text, numbers expected   brought by b.parquet")
    ]


def test_failing_rows_keep_every_type(tmp_path: Path) -> None:
    table = pa.table(
        {
            "k": [1, 2],
            "dec": pa.array([Decimal("1.100"), Decimal("12345678901234567890123456.789")], pa.decimal128(30, 3)),
            "list": [[1], [2, 3]],
            "struct": [{"a": 1}, {"a": None}],
            "ns": pa.array([1, 1_000_000_001], pa.timestamp("ns")),
            "time": pa.array([1, 2], pa.time64("us")),
            "bytes": [b"a", b"\xff"],
            "small": pa.array([1, None], pa.uint8()),
            "f": pa.array([0.5, None], pa.float32()),
        }
    )
    kept = tmp_path / "failing.parquet"
    pq.write_table(table, tmp_path / "table.parquet")
    for target in (table, pl.from_arrow(table), tmp_path / "table.parquet"):
        report = check(target, Checks(col("k").between(2, 9), unique("f")), failing=kept)
        assert [one.failing for one in report.results] == [1, 0]
        found = pq.read_table(kept)
        assert {each.name: each.type for each in found.schema if each.name in ("dec", "ns", "bytes", "small", "f")} == {
            name: table.schema.field(name).type for name in ("dec", "ns", "bytes", "small", "f")
        }
        assert found.select(table.column_names).to_pylist() == table.slice(0, 1).to_pylist()
    worst = check(table, Checks(col("dec").between(0, 1), col("k").between(0, 9))).results[0].worst
    assert [row.values["dec"] for row in worst] == ["12345678901234567890123456.789", 1.1]


@pytest.fixture
def sqlite_file(tmp_path: Path) -> str:
    file = tmp_path / "y.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("""
create table ok(d date, t timestamp, x integer);
insert into ok values ('2024-01-01', '2024-01-01 10:00:00.000000', 1), ('2024-01-02', '2024-01-02T13:00:00+02:00', 2), (NULL, NULL, NULL);
create table other(t timestamp, u timestamp); insert into other values (1704103200, 'soon');
create table mix(i integer, r real, b boolean); insert into mix values (1, 1, 1), ('abc', 2.5, 0);
create table parts(i integer); insert into parts values (1), (2.5)""")
    return f"sqlite:///{file}"


def test_times_of_sqlite_are_read_however_they_are_written(sqlite_file: str) -> None:
    rules = fresh("t", error="26h", zone="UTC"), fresh("d", error="26h", zone="UTC")
    assert said(f"{sqlite_file}#ok", *rules, now="2024-01-02T12:00:00Z") == [
        ("pass", 0, "newest 2024-01-02T11:00:00Z"),
        ("pass", 0, "newest 2024-01-02T00:00:00Z"),
    ]
    assert said(f"{sqlite_file}#ok", *rules, now="2024-01-04T12:00:00Z")[0][0] == "fail"
    (ahead, _) = said(f"{sqlite_file}#ok", *rules, now="2024-01-01T12:00:00Z")
    assert ahead[:2] == ("warn", 1)
    assert verdicts(
        f"{sqlite_file}#ok",
        col("t").between("2024-01-01", "2024-01-01"),
        col("t").between("2024-01-01T10:00:00", "2024-01-02T11:00:00"),
        col("d").between("2024-01-02"),
        col("t").nulls(),
    ) == [("fail", 1), ("pass", 0), ("fail", 1), ("fail", 1)]
    assert 'fresh("t", error=' in repr(Checks.infer(f"{sqlite_file}#ok"))
    assert said(
        f"{sqlite_file}#other", *rules[:1], fresh("u", error="26h", zone="UTC"), now="2024-01-01T12:00:00Z"
    ) == [
        ("pass", 0, "newest 2024-01-01T10:00:00Z"),
        ("fail", 1, "holds text, times expected"),
    ]


def test_a_cell_of_sqlite_of_another_type_is_a_finding(sqlite_file: str) -> None:
    rules = col("i").between(0, 5), col("r").between(0, 2), col("i").isin(1), col("b").isin(True)
    assert [one[::2] for one in said(f"{sqlite_file}#mix", *rules)] == [
        ("fail", "holds text, numbers expected"),
        ("fail", "1 of 2 rows outside 0 to 2   worst 2.5"),
        ("fail", "holds text, numbers expected"),
        ("fail", "1 of 2 rows not one of true   False × 1"),
    ]
    assert said(f"{sqlite_file}#parts", col("i").between(0, 2))[0][2] == "1 of 2 rows outside 0 to 2   worst 2.5"


def test_decimals_of_postgresql_are_compared_digit_by_digit(
    in_postgres: Callable[[pa.Table], str], postgres: str
) -> None:
    url = in_postgres(pa.table({"x": [0.1, 1e300, 2.0]}))
    engine = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = url.partition("#")[2]
        connection.execute(text(f"ALTER TABLE {name} ADD COLUMN id numeric(20, 0)"))
        connection.execute(text(f"UPDATE {name} SET id = CASE WHEN x = 2 THEN 3 ELSE {2**53} END + (x = 0.1)::int"))
    engine.dispose()
    assert verdicts(url, col("id").between(2, 2**53), col("id").between(3, 1e300), col("x").between(0.1, 2)) == [
        ("fail", 1),
        ("pass", 0),
        ("fail", 1),
    ]
