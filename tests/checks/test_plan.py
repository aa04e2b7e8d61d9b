"""What footers answer is what a scan of every row would have said."""

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.checks import Checks, Result, check, col, fresh, plan, rows
from assay.checks.rules import Between, Nulls
from assay.checks.run import CheckRun
from assay.tables import open_table
from assay.tables.facts import Wanted
from assay.tables.footers import read_footers

NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)
RULES = Checks(
    rows(min=2),
    col("whole").between(-5, 5).nulls(max=0.2),
    col("real").between(-5.5, 5.5).nulls(max=0.2),
    col("small").between(0, 200),
    col("text").nulls(max=0.5).isin("a", "b", "ab"),
    col("small").isin(*range(200)),
    fresh("time", error="26h"),
)
TYPES = {
    "whole": pa.int64(),
    "real": pa.float64(),
    "small": pa.uint8(),
    "text": pa.string(),
    "time": pa.timestamp("us", "UTC"),
}

whole = st.none() | st.integers(-7, 7)
real = st.none() | st.sampled_from([float("nan"), float("inf"), -0.0, 5.5]) | st.floats(-6, 6)
small = st.none() | st.integers(0, 255)
text = st.none() | st.text("ab", max_size=2)
time = st.none() | st.integers(-30, 1).map(lambda hours: NOON + timedelta(hours=hours))
records = st.lists(st.tuples(whole, real, small, text, time), max_size=8)


def table(rows: list[tuple[object, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(TYPES)
    made = {name: pa.array(values, kind) for (name, kind), values in zip(TYPES.items(), columns, strict=True)}
    return pa.table(made)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(records, min_size=1, max_size=3),
    st.integers(1, 4),
    st.booleans() | st.just(["whole", "time"]),
    st.sampled_from([None, "whole", "real", "time"]),
)
def test_files_give_the_report_of_a_full_scan(parts, group: int, statistics, absent: str | None) -> None:
    tables = [table(part) for part in parts]
    if absent:  # the last file lacks a column
        tables[-1] = tables[-1].drop_columns([absent])
    together = pa.concat_tables(tables, promote_options="default")
    if absent and len(tables) == 1:
        together = together.append_column(absent, pa.nulls(len(together), TYPES[absent]))
        tables[0] = together
    folder = Path(mkdtemp())
    for i, one in enumerate(tables):
        pq.write_table(one, folder / f"{i}.parquet", row_group_size=group, write_statistics=statistics)
    by_footers, at_once, scanned = (
        by_asking_footers(folder),
        check(folder, RULES, now=NOON).results,
        check(together, RULES, now=NOON).results,
    )
    shutil.rmtree(folder)
    assert [known(one) for one in by_footers] == [known(one) for one in scanned]
    assert [known(one) for one in at_once] == [known(one) for one in scanned]


def by_asking_footers(folder: Path) -> list[Result]:
    """As large files are checked, which these are not."""
    with closing(open_table(folder)) as opened:
        return CheckRun(replace(opened, footed=frozenset(opened.types)), RULES, NOON).results()[1]


def known(one: Result) -> tuple[object, ...]:
    worst = sorted(str(list(row.values.values())[-1:]) for row in one.worst)
    shown = worst if one.failing <= 5 and one.rule != "between" else len(worst)  # of equal distances any is first
    return one.rule, one.column, one.status, one.message, one.failing, shown


def written(folder: Path, *tables: pa.Table, **options: object) -> list[Path]:
    files = [folder / f"{i}.parquet" for i in range(len(tables))]
    for file, one in zip(files, tables, strict=True):
        pq.write_table(one, file, **options)
    return files


def test_a_range_that_holds_is_told_by_footers_and_a_broken_one_is_scanned_for(tmp_path: Path) -> None:
    footers = read_footers(written(tmp_path, pa.table({"x": [1, 2]}), pa.table({"x": [9, None]})), ["x"])
    assert plan.answer(Between("x", 0, 9), footers, NOON) == {"failing": 0, "low": 1, "high": 9}
    assert plan.answer(Between("x", 0, 8), footers, NOON) is None
    assert plan.answer(Nulls("x"), footers, NOON) == {"failing": 1}


def test_nulls_of_numbers_that_may_hold_nan_are_scanned_for(tmp_path: Path) -> None:
    files = written(tmp_path, pa.table({"x": [1.0, float("nan")], "none": pa.nulls(2, pa.float32())}))
    footers = read_footers(files, ["x", "none"])
    assert Wanted(nulls=frozenset({"x", "none"})).lacking(footers.columns) == {"x"}
    assert Wanted(nulls=frozenset({"x"})).lacking(footers.without_nan(["x"]).columns) == set()
    assert plan.answer(Nulls("none"), footers, NOON) == {"failing": 2}
    assert plan.answer(Between("none", 0, 1), footers, NOON) == {"failing": 0}


@pytest.mark.parametrize(
    "second",
    [pa.table({"x": pa.array([1], pa.int32())}), pa.table({"X": [1]}), pa.table({"x": [{"y": 1}]})],
    ids=["another type", "another case", "a struct"],
)
def test_a_column_that_files_disagree_on_is_left_to_the_scan(second: pa.Table, tmp_path: Path) -> None:
    footers = read_footers(written(tmp_path, pa.table({"x": [1, 2]}), second), ["x"])
    assert footers.columns == {}
    assert footers.rows == 3


def test_times_of_every_unit_are_microseconds(tmp_path: Path) -> None:
    moment = np.array(["2013-06-03T10:00:00"], "datetime64[s]")
    units = {unit: pa.array(moment).cast(pa.timestamp(unit, "UTC")) for unit in ("s", "ms", "us", "ns")}
    footers = read_footers(written(tmp_path, pa.table(units), version="2.6"), list(units))
    us = int(moment.astype("datetime64[us]").astype(np.int64)[0])
    assert {known.high for known in footers.columns.values()} == {us}


def test_days_of_the_folders_names_are_not_asked_of_the_footers(tmp_path: Path) -> None:
    (tmp_path / "hour=3").mkdir()
    written(tmp_path / "hour=3", pa.table({"x": [1, 2]}))
    report = check(tmp_path, Checks(col("hour").between(0, 23).nulls()), now=NOON)
    assert [one.message for one in report.results] == ["3 to 3", "0 % missing"]
