"""The same rules give the same report, whichever engine holds the table."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine

from assay.checks import Checks, Report, check, col, fresh, rows, sql, unique
from assay.errors import BadInput

NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)
nan, inf = float("nan"), float("inf")
TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, 5, 5, None], pa.int64()),
        "wind": [8.1, 1048.36, -3.5, nan, None, inf, 0.0],
        "origin": ["EWR", "JFK", "jfk", None, "LGA", "XXX", "XXX"],
        "late": [True, False, None, True, False, True, True],
        "day": [date(2013, 6, day) for day in range(1, 8)],
        "at": pa.array([NOON - timedelta(hours=hours) for hours in (1, 2, 3, 4, 5, 6, -30)], pa.timestamp("us", "UTC")),
        "clock": pa.array([datetime(2013, 6, 3, 7, 15)] * 7, pa.timestamp("us")),
        "odd name %": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5],
    }
)
RULES = Checks(
    rows(min=3, max=5),
    rows(min=3, where="origin = 'XXX'"),
    col("wind").between(0, 100, unit="mph").nulls(max=0.1),
    col("wind").between(0, 5000, tolerance=0.5),
    col("wind").between(0, 5, where="origin = 'EWR'"),
    col("id").between(2, 4).nulls().unique(),
    col("origin").isin("EWR", "JFK", "LGA").nulls(max=0.2, severity="warn"),
    col("id").isin(1, 2, 3, 4, 5),
    col("odd name %").between(2, 8),
    col("wnd").nulls(),
    col("origin").between(0, 1),
    unique("origin", "late"),
    fresh("at", warn="30m", error="10h"),
    fresh("clock", warn="15m", error="10h", zone="America/New_York"),
    fresh("day", error="2d", zone="UTC"),
    fresh("clock", error="1h"),
    sql("wind < 500", title="calm"),
    sql("id > 1 AND late", where="wind IS NOT NULL", tolerance=0.5),
    sql("wnid < 500"),
    context=["id"],
)


def told(report: Report) -> list[tuple[Any, ...]]:
    """All that a report says but where the rows stand, and the engine's own words."""
    return [
        (
            one.rule,
            one.column,
            one.status,
            one.failing,
            one.total,
            "" if one.status == "error" else one.observed,
            "" if one.status == "error" else one.message,
            sorted((str(row.values) for row in one.worst), key=str)
            if one.failing <= 5 and one.rule != "between"
            else len(one.worst),
        )
        for one in report.results
    ]


@pytest.fixture
def expected(tmp_path: Path) -> list[tuple[Any, ...]]:
    pq.write_table(TABLE, tmp_path / "duck.parquet")
    return told(check(tmp_path / "duck.parquet", RULES, now=NOON))


def test_rules_find_what_is_wrong_in_a_file(expected: list[tuple[Any, ...]]) -> None:
    statuses = [f"{rule} {column}: {status}" for rule, column, status, *_ in expected]
    assert statuses == [
        "rows : fail",
        "rows : fail",
        "between wind: fail",
        "nulls wind: fail",
        "between wind: pass",
        "between wind: fail",
        "between id: fail",
        "nulls id: fail",
        "unique id: fail",
        "isin origin: fail",
        "nulls origin: pass",
        "isin id: pass",
        "between odd name %: fail",
        "nulls wnd: fail",
        "between origin: fail",
        "unique origin, late: fail",
        "fresh at: warn",
        "fresh clock: warn",
        "fresh day: warn",
        "fresh clock: fail",
        "sql calm: fail",
        "sql : pass",
        "sql : error",
    ]


@pytest.mark.parametrize("form", ["arrow", "polars", "lazy polars", "pandas", "pandas of Arrow"])
def test_a_frame_gives_the_report_of_a_file(form: str, expected: list[tuple[Any, ...]]) -> None:
    forms: dict[str, Callable[[], Any]] = {
        "arrow": lambda: TABLE,
        "polars": lambda: pl.from_arrow(TABLE),
        "lazy polars": lambda: pl.from_arrow(TABLE).lazy(),
        "pandas": TABLE.drop_columns(["id", "late"]).to_pandas,
        "pandas of Arrow": lambda: TABLE.to_pandas(types_mapper=pd.ArrowDtype),
    }
    frame = forms[form]()
    if form == "pandas":  # whole numbers and truths with a null have types of their own there
        frame["id"] = pd.array(TABLE["id"].to_pylist(), dtype="Int64")
        frame["late"] = pd.array(TABLE["late"].to_pylist(), dtype="boolean")
        frame = frame[TABLE.column_names]
    assert told(check(frame, RULES, now=NOON)) == expected


def test_postgresql_gives_the_report_of_a_file(
    in_postgres: Callable[[pa.Table], str], expected: list[tuple[Any, ...]]
) -> None:
    report = check(in_postgres(TABLE), RULES, now=NOON)
    assert told(report) == expected
    assert all(row.row is None and row.file == "" for one in report.results for row in one.worst)


@pytest.mark.slow
def test_spark_gives_the_report_of_a_file(in_spark: Callable[[pa.Table], Any], expected: list[tuple[Any, ...]]) -> None:
    assert told(check(in_spark(TABLE), RULES, now=NOON)) == expected


def test_sqlite_is_reached_by_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id INTEGER, total REAL, city TEXT)")
        connection.exec_driver_sql("INSERT INTO orders VALUES (1, 0.0, 'Bern'), (2, 900.5, 'Thun'), (2, NULL, NULL)")
    engine.dispose()
    rules = Checks(col("total").between(0, 100).nulls(), col("city").isin("Bern", "Thun"), unique("id"))
    report = check(f"{url}#orders", rules)
    assert [(one.rule, one.failing) for one in report.results] == [
        ("between", 1),
        ("nulls", 1),
        ("isin", 0),
        ("unique", 2),
    ]
    assert report.results[0].worst[0].values == {"id": 2, "city": "Thun", "total": 900.5}


def test_random_tables_give_one_report_in_every_engine(in_postgres: Callable[[pa.Table], str], tmp_path: Path) -> None:
    rules = Checks(
        *(rule for rule in RULES.rules if set(rule.columns) <= {"id", "wind", "origin", "at"} and rule.name != "sql")
    )
    for seed in range(12):
        dice = random.Random(seed)
        size = dice.choice([0, 1, 5, 40])
        table = pa.table(
            {
                "id": pa.array([dice.choice([None, *range(-3, 9)]) for _ in range(size)], pa.int64()),
                "wind": pa.array(
                    [dice.choice([None, nan, inf, -inf, -0.0, 3.3, 99.9, 200.0]) for _ in range(size)], pa.float64()
                ),
                "origin": pa.array(
                    [dice.choice([None, "EWR", "JFK", "LGA", "", "é"]) for _ in range(size)], pa.string()
                ),
                "late": pa.array([dice.choice([None, True, False]) for _ in range(size)], pa.bool_()),
                "at": pa.array(
                    [NOON - timedelta(hours=dice.randint(-3, 40)) for _ in range(size)], pa.timestamp("us", "UTC")
                ),
            }
        )
        pq.write_table(table, tmp_path / "t.parquet")
        found = [
            told(check(each, rules, now=NOON))
            for each in (tmp_path / "t.parquet", pl.from_arrow(table), in_postgres(table))
        ]
        assert found[1] == found[0], seed
        assert found[2] == found[0], seed


def test_references_are_looked_up_in_the_same_database(in_postgres: Callable[[pa.Table], str]) -> None:
    carriers = in_postgres(pa.table({"code": ["AA", "UA"]})).partition("#")[2]
    report = check(in_postgres(pa.table({"carrier": ["AA", "XX", None]})), col("carrier").refers(carriers, "code"))
    assert [(one.status, one.failing) for one in report.results] == [("fail", 1)]
    gone = check(in_postgres(pa.table({"carrier": ["AA"]})), col("carrier").refers("public.gone", "code"))
    assert gone.results[0].status == "error"
    assert "public.gone does not exist" in gone.results[0].message


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nodb://host/x#t", "no driver is installed for nodb://"),
        ("{server}", "names no table"),
        ("{server}#public.flihgts", "flihgts does not exist"),
    ],
)
def test_a_url_that_names_no_table_is_bad_input(url: str, says: str, postgres: str) -> None:
    with pytest.raises(BadInput, match=says):
        check(url.format(server=postgres), rows(min=1))
