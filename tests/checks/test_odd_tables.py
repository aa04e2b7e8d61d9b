"""Names, types and values that trip engines up."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine

from assay.checks import Checks, check, col, fresh, like, rows, sql, unique
from assay.errors import BadInput

FORMS: dict[str, Callable[[pa.Table], Any]] = {
    "arrow": lambda table: table,
    "polars": pl.from_arrow,
    "lazy": lambda table: pl.from_arrow(table).lazy(),
    "pandas": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
}
each_form = pytest.mark.parametrize("form", FORMS)


def statuses(target: Any, *rules: Any) -> list[tuple[str, int]]:
    return [(one.status, one.failing) for one in check(target, Checks(*rules)).results]


@each_form
def test_whole_numbers_are_exact_beyond_the_precision_of_floats(form: str) -> None:
    table = FORMS[form](pa.table({"x": [2**53 + 1, 5], "u": pa.array([2**64 - 1, 5], pa.uint64())}))
    assert (
        statuses(table, col("x").between(0, 2**53), col("x").isin(5, 2**53), col("u").between(0, 100))
        == [("fail", 1)] * 3
    )


@each_form
def test_decimals_and_short_floats(form: str) -> None:
    table = pa.table({"d": [Decimal("1.10"), Decimal("200.50"), None], "f": pa.array([0.1, 0.7, None], pa.float32())})
    rules = col("d").between(0, 100).nulls(), col("d").isin(1, 2), col("f").between(0.1, 0.7)
    found = statuses(FORMS[form](table), *rules)
    assert found == [("fail", 1), ("fail", 1), ("fail", 2), ("pass", 0)]


@each_form
def test_whole_numbers_are_looked_for_among_floats(form: str) -> None:
    assert statuses(FORMS[form](pa.table({"x": [1.0, 2.5, None]})), col("x").isin(1, 2)) == [("fail", 1)]


NAMES = ['a"b', "a'b", "a%b", "a:b", "a\\b", "é", "a b", "select", "a\nb", "n", "value", "rows", "bin", "checked"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_column(name: str, tmp_path, in_postgres: Callable[[pa.Table], str]) -> None:
    table = pa.table({name: [1.5, 1.5, 2.5, None]})
    pq.write_table(table, tmp_path / "t.parquet")
    rules = Checks(col(name).between(0, 2).nulls(), unique(name), like(table))
    expected = [("fail", 1), ("fail", 1), ("fail", 2), ("pass", 0)]
    for target in (table, pl.from_arrow(table), tmp_path / "t.parquet", in_postgres(table)):
        report = check(target, rules, failing=tmp_path / "bad.parquet")
        assert [(one.status, one.failing) for one in report.results] == expected
        assert pq.read_table(tmp_path / "bad.parquet")[name].to_pylist() == [2.5, None, 1.5, 1.5]


@pytest.mark.parametrize("place", ["frame", "file"])
def test_a_column_without_a_name_is_bad_input(place: str, tmp_path) -> None:
    table = pa.table([[1]], names=[""])
    pq.write_table(table, tmp_path / "t.parquet")
    if place == "frame":
        with pytest.raises(BadInput, match="a column without a name"):
            check(table, rows(min=1))
    else:
        assert check(tmp_path / "t.parquet", col("x").nulls()).results[0].status == "fail"


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "unique column names"),
        (pl.LazyFrame({"x": [1]}).with_columns(y=pl.col("zz")), 'unable to find column "zz"'),
        (pd.DataFrame({"o": ["x", 1]}), "Give each column one type"),
        (pl.Series([1]), "can't become an Arrow table"),
        ([1, 2], "is not a table"),
    ],
)
def test_a_frame_that_is_no_table_is_bad_input(frame: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        check(frame, rows(min=1))


def test_the_types_of_pandas() -> None:
    frame = pd.DataFrame(
        {
            "c": pd.Categorical(["a", "b", None]),
            "n": pd.array([1, None, 3], dtype="Int64"),
            "f": pd.array([1.0, None, np.nan], dtype="Float64"),
            "s": pd.array(["a", None, "b"], dtype="string"),
            "z": pd.to_datetime(["2013-01-01", "2013-01-02", None], utc=True).tz_convert("America/New_York"),
        }
    )
    rules = (
        col("c").isin("a").nulls(),
        col("n").between(0, 2).nulls(),
        col("f").between(0, 0.5).nulls(),
        col("s").isin("a").nulls(),
    )
    assert statuses(frame, *rules) == [("fail", 1)] * 5 + [("fail", 2)] + [("fail", 1)] * 2
    assert check(frame, fresh("z", error="26h"), now="2013-01-03").passed


@each_form
def test_nested_and_other_types_are_asked_for_nulls(form: str) -> None:
    table = pa.table({"l": [[1], [2], None], "t": [dt.time(1), None, dt.time(2)], "b": [b"a", b"b", None]})
    assert statuses(FORMS[form](table), *(col(name).nulls() for name in "ltb"), unique("l")) == [("fail", 1)] * 3 + [
        ("pass", 0)
    ]


@pytest.mark.parametrize("predicate", ["x = ?", "true) OR (false", "1=1; SELECT 1", "nope(x)", "x >"])
def test_a_condition_that_is_none_is_an_error_and_not_a_pass(predicate: str) -> None:
    assert (
        statuses(pa.table({"x": [1]}), sql(predicate), rows(min=1, where=predicate), rows(min=1))[:2]
        == [("error", 0)] * 2
    )


def test_the_odd_types_of_postgresql(in_postgres: Callable[[pa.Table], str], postgres: str) -> None:
    url = in_postgres(pa.table({"x": [1.0]}))
    name = url.partition("#")[2]
    engine = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP TABLE {name}")
        connection.exec_driver_sql(
            f"CREATE TABLE {name} (n numeric, t timestamptz, d date, u uuid, j jsonb, a int[], c char(5))"
        )
        connection.exec_driver_sql(
            f"INSERT INTO {name} VALUES (1.1, '2013-01-01Z', '2013-01-01', NULL, '{{}}', '{{1}}', 'ab'), "
            "('NaN', 'infinity', 'infinity', NULL, NULL, NULL, 'cd'), (1e30, '-infinity', '-infinity', NULL, NULL, NULL, NULL)"
        )
    engine.dispose()
    rules = (
        col("n").between(0, 100).nulls(),
        fresh("t", error="26h"),
        fresh("d", error="26h", zone="UTC"),
        col("u").nulls(),
        col("j").nulls(),
        col("a").nulls(),
        col("c").isin("ab"),
        sql("n % 2 < 2"),
        unique("n"),
    )
    report = check(url, Checks(*rules), now="2013-01-01T12:00:00Z")
    assert [(one.status, one.failing) for one in report.results] == [
        *[("fail", 1)] * 2,
        *[("warn", 1)] * 2,
        ("fail", 3),
        *[("fail", 2)] * 2,
        ("fail", 1),
        ("pass", 0),
        ("pass", 0),
    ]
    assert "newest 9999-12-31T00:00:00Z" in report.results[2].message
    assert "fresh" not in repr(Checks.infer(url))
