"""Rules inferred from a table hold for it, and are Python that declares them again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.checks import Calendar, Checks, check, col, fresh, rows, sql, unique
from assay.checks.failing import RULE
from assay.errors import BadInput, Unavailable

NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)
NAMES: dict[str, Any] = {
    "Calendar": Calendar, "Checks": Checks, "col": col, "fresh": fresh, "rows": rows, "sql": sql, "unique": unique
}  # fmt: skip


def again(checks: Checks) -> Checks:
    return eval(repr(checks), NAMES)


def test_every_rule_is_written_as_the_python_that_declares_it() -> None:
    checks = Checks(
        rows(min=5, max=9, where="x = 'é'"),
        col('odd "name"').between(None, 5.5, unit="mi", tolerance=0.25).nulls(max=0.5, severity="warn").isin("a", 'b"'),
        col("n").isin(1, 2).refers("data/planes.parquet", "tail").unique(),
        unique("a", "b", tolerance=0.1),
        fresh("at", warn="90s", error="26h", zone="Europe/Zurich"),
        fresh("at", error="7d", calendar=Calendar(["SAT"], ["2013-12-25"], "0 6 * * *", "2h", "Europe/Zurich")),
        sql("a >= b", title="order"),
        context=["n"],
    )
    assert again(checks).rules == checks.rules
    assert again(checks).context == ("n",)


values = st.fixed_dictionaries(
    {
        "key": st.uuids().map(str),
        "number": st.none() | st.floats(-1e9, 1e9) | st.just(float("nan")),
        "whole": st.none() | st.integers(-(2**40), 2**40),
        "city": st.none() | st.sampled_from(["Bern", "Thun", "Zug"]),
        "late": st.none() | st.booleans(),
        "at": st.integers(0, 200).map(lambda hours: NOON - timedelta(hours=hours)),
    }
)
SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "number": pa.float64(),
        "whole": pa.int64(),
        "city": pa.string(),
        "late": pa.bool_(),
        "at": pa.timestamp("us", "UTC"),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(values, min_size=1, max_size=12))
def test_a_table_keeps_the_rules_inferred_from_it(records: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(records, SCHEMA)
    checks = Checks.infer(table)
    report = check(table, checks, now=max(each["at"] for each in records))
    assert report.passed, report.having("fail")
    assert again(checks).rules == checks.rules


def test_what_a_table_shows_becomes_a_rule() -> None:
    days = pa.array([NOON - timedelta(days=day) for day in (0, 1, 2, 5)] * 25, pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "id": [f"f{i}" for i in range(100)],
            "at": days,
            "origin": ["EWR", "JFK"] * 50,
            "miles": [float(80 + i) for i in range(100)],
            "empty": pa.nulls(100, pa.float64()),
        }
    )
    assert repr(Checks.infer(table)) == (
        "Checks(\n"
        "    rows(min=50),\n"
        '    unique("id"),\n'
        '    col("id").nulls(),\n'
        '    col("at").nulls(),\n'
        '    col("origin").isin("EWR", "JFK").nulls(),\n'
        '    col("miles").between(70.0, 190.0).nulls(),\n'
        '    fresh("at", error="4d"),\n'
        '    context=["id"],\n'
        ")"
    )


def test_nothing_is_inferred_from_an_empty_table() -> None:
    with pytest.raises(BadInput, match="is empty"):
        Checks.infer(pa.table({"x": pa.array([], pa.float64())}))


TABLE = pa.table({"k": [1, 1, 2, 3], "x": [1.0, None, 700.0, 900.0], "city": ["Bern", None, "Zug", "Thun"]})
RULES = Checks(
    rows(min=9), unique("k"), col("x").between(0, 5).nulls(), col("city").isin("Bern", "Zug"), col("y").nulls()
)


@pytest.mark.parametrize("place", ["frame", "file", "database"])
def test_all_rows_at_fault_are_exported_with_the_rule_they_break(place: str, tmp_path, in_postgres) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    targets = {"frame": TABLE, "file": tmp_path / "t.parquet", "database": in_postgres(TABLE)}
    check(targets[place], RULES, failing=tmp_path / "bad.parquet")
    found = pq.read_table(tmp_path / "bad.parquet").sort_by([(RULE, "ascending"), ("x", "ascending")])
    assert list(zip(found[RULE].to_pylist(), found["k"].to_pylist(), found["x"].to_pylist(), strict=True)) == [
        ("between x", 2, 700.0),
        ("between x", 3, 900.0),
        ("isin city", 3, 900.0),
        ("nulls x", 1, None),
        ("unique k", 1, 1.0),
        ("unique k", 1, None),
    ]
    assert found["assay:row"].to_pylist() == ([None] * 6 if place == "database" else [2, 3, 3, 1, 0, 1])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_rows_at_fault_need_a_place_that_can_be_written(tmp_path) -> None:
    with pytest.raises(Unavailable, match="can't write"):
        check(TABLE, RULES, failing=tmp_path / "no folder" / "bad.parquet")


@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("hr", [i % 24 for i in range(600)], "between(0, 23)"),
        ("hour", [7, 9, 11] + [8 + i % 13 for i in range(27)], "between(0, 23)"),
        ("slot", [i % 24 for i in range(600)], "between(0, 23)"),
        ("yday", [1 + i % 365 for i in range(500)], "between(1, 366)"),
        ("holiday", [int(i % 30 == 0) for i in range(600)], "isin(0, 1)"),
        ("weekday", [i % 7 for i in range(600)], "isin(0, 1, 2, 3, 4, 5, 6)"),
        ("hum", [i % 90 / 100 for i in range(600)], "between(0.0, 1.0)"),
        ("temp", [i % 40 for i in range(100)], "between(0, 50)"),
        ("count", [i * 13 % 500 for i in range(600)], "between(0, 600)"),
        ("species", ["Gentoo penguin (Pygoscelis papua)", "Adelie"] * 50, "isin"),
        ("Comments", ["Nest never observed.", "No blood sample obtained."] * 50, ""),
        ("few", [f"word{i % 28}" for i in range(60)], ""),
        ("amount", [f"{i}.5" for i in range(98)] + ["?", "?"], "sql"),
    ],
)  # fmt: skip
def test_limits_are_natural_ones(name: str, values: list[Any], rule: str) -> None:
    table = pa.table({name: values, "key": [f"k{i}" for i in range(len(values))]})
    checks = Checks.infer(table)
    ours = [line for line in repr(checks).splitlines() if name in line and "nulls" in line]
    if rule == "sql":
        assert f'title="{name}: numbers kept as text", tolerance=0.04' in repr(checks)
    else:
        assert rule in ours[0]
    assert rule or ours == [f'    col("{name}").nulls(),']
    assert check(table, checks).passed
    assert again(checks).rules == checks.rules
