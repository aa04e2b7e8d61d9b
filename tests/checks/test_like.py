"""A table is compared with a reference in the engine that holds it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from assay.checks import Checks, Result, check, like, rows
from assay.profiles import profile


def table(seed: int, size: int = 4000) -> pa.Table:
    dice = np.random.default_rng(seed)
    return pa.table(
        {
            "temp": pa.array(dice.normal(15, 5, size), mask=dice.random(size) < 0.1),
            "seats": dice.integers(1, 300, size),
            "city": dice.choice(["Bern", "Thun", "Zug"], size, p=[0.7, 0.2, 0.1]),
            "late": dice.random(size) < 0.2,
            "at": pa.array([datetime(2013, 6, 3, tzinfo=UTC)] * size, pa.timestamp("us", "UTC")),
        }
    )


REFERENCE = table(1)
PROFILE = profile(REFERENCE)


def put(name: str, values: Any, of: pa.Table | None = None) -> pa.Table:
    whole = of or table(2)
    return whole.set_column(whole.column_names.index(name), name, values)


def found(target: Any, *columns: str, **options: Any) -> dict[str, Result]:
    return {one.column: one for one in check(target, Checks(like(PROFILE, *columns, **options))).results}


@pytest.mark.parametrize("seed", range(2, 12))
def test_another_sample_of_the_same_passes(seed: int) -> None:
    results = found(table(seed))
    assert {name: one.status for name, one in results.items()} == dict.fromkeys(
        ["temp", "seats", "city", "late", "at"], "pass"
    )


FAULTS = {
    "degrees": (put("temp", pc.add(pc.multiply(table(2)["temp"], 1.8), 32)), "temp", "far outside"),
    "shifted": (put("temp", pc.add(table(2)["temp"], 4.0)), "temp", "PSI"),
    "missing": (put("temp", pc.if_else(pc.less(table(2)["temp"], 9.5), None, table(2)["temp"])), "temp", "are missing, in the reference"),
    "renamed": (put("city", pc.replace_substring(table(2)["city"], "Zug", "ZUG")), "city", "were never seen"),
    "mixed": (put("city", pa.array(np.roll(["Bern", "Thun"], 1).tolist() * 2000)), "city", "% of the values are"),
    "flags": (put("late", pa.array([True] * 4000)), "late", "0 % of the values are false, in the reference"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_warns_and_says_what_moved(fault: str) -> None:
    bad, column, says = FAULTS[fault]
    results = found(bad)
    assert {name for name, one in results.items() if one.status == "warn"} == {column}
    assert says in results[column].message


def test_rows_of_a_kind_never_seen_are_shown() -> None:
    result = found(FAULTS["renamed"][0])["city"]
    assert {row.values["city"] for row in result.worst} == {"ZUG"}
    assert result.failing == pc.sum(pc.equal(FAULTS["renamed"][0]["city"], "ZUG")).as_py()


def told(results: dict[str, Result]) -> list[tuple[Any, ...]]:
    return [(name, one.status, one.message, one.failing) for name, one in results.items()]


def test_every_engine_compares_alike(in_postgres: Callable[[pa.Table], str], tmp_path: Path) -> None:
    bad = put("city", FAULTS["renamed"][0]["city"], FAULTS["missing"][0]).slice(0, 900)
    pq.write_table(bad, tmp_path / "t.parquet")
    expected = told(found(tmp_path / "t.parquet"))
    assert [status for _, status, *_ in expected].count("warn") == 2
    assert told(found(pl.from_arrow(bad))) == expected
    assert told(found(in_postgres(bad))) == expected


@pytest.mark.slow
def test_spark_compares_alike(in_spark: Callable[[pa.Table], Any], tmp_path: Path) -> None:
    bad = FAULTS["renamed"][0]
    assert told(found(in_spark(bad))) == told(found(bad))


def test_the_spread_of_seasonal_columns_is_not_compared() -> None:
    assert found(FAULTS["shifted"][0], seasonal=["temp"])["temp"].status == "pass"
    assert found(FAULTS["missing"][0], seasonal=["temp"])["temp"].status == "warn"


def test_only_named_columns_and_chosen_rows_are_compared() -> None:
    assert list(found(table(2), "city")) == ["city"]
    assert found(FAULTS["renamed"][0], "city", where="city <> 'ZUG'")["city"].failing == 0
    assert found(FAULTS["shifted"][0], "temp", severity="error")["temp"].status == "fail"


def test_a_reference_is_a_path_or_a_stored_profile(tmp_path: Path) -> None:
    pq.write_table(REFERENCE, tmp_path / "r.parquet")
    bad, column, _ = FAULTS["shifted"]
    for reference in (tmp_path / "r.parquet", str(tmp_path / "r.parquet"), profile(REFERENCE)):
        results = {one.column: one for one in check(bad, Checks(like(reference))).results}
        assert [name for name, one in results.items() if one.status == "warn"] == [column]


def test_a_reference_that_can_not_be_read_is_a_result_and_other_rules_are_asked(tmp_path: Path) -> None:
    report = check(table(2), Checks(like(tmp_path / "gone.parquet"), rows(min=1), like(REFERENCE, "tmep")))
    assert [one.status for one in report.results] == ["error", "pass", "error"]
    assert "gone.parquet does not exist" in report.results[0].message
    assert "no column tmep did you mean temp?" in report.results[2].message


def test_a_column_that_became_of_another_kind_can_not_be_compared() -> None:
    bad = put("seats", pa.array(["many"] * 4000))
    assert found(bad)["seats"].message == "holds text, numbers expected"


def test_an_empty_table_has_nothing_to_compare() -> None:
    empty = found(table(2).slice(0, 0)).values()
    assert {(one.status, one.message) for one in empty} == {("warn", "there are no rows to compare")}
