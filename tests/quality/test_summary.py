"""What is odd about a table is called out, worst first, and nothing else is."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from assay.errors import BadInput
from assay.quality import Quality, quality, quality_page
from assay.quality.correlation import cramers_v, rank_correlations
from assay.quality.groups import grouped
from assay.quality.render import every_finding, lines


@pytest.mark.slow
def test_a_column_known_only_afterwards_is_called_out_as_the_worst(leaky: Path) -> None:
    found = quality(leaky, "late")
    first, *others = found.findings
    assert (first.kind, first.columns, first.severity) == ("leakage", ("dep_delay",), "high")
    assert first.sentence.startswith(
        "dep_delay alone predicts late with AUC 0.90; all other columns together reach 0.6"
    )
    assert "leakage" not in {one.kind for one in others}
    assert found.alone["dep_delay"] > 0.88
    assert max(value for name, value in found.alone.items() if name != "dep_delay") < 0.7


@pytest.mark.slow
def test_honest_columns_are_not_called_leaks(leaky: Path) -> None:
    honest = pq.read_table(leaky).drop_columns(["dep_delay"])
    assert "leakage" not in {one.kind for one in quality(honest, "late").findings}


def test_two_leaks_do_not_hide_each_other() -> None:
    dice = np.random.default_rng(3)
    late = dice.random(5000) < 0.3
    table = pa.table(
        {
            "late": late,
            "hour": late * 2.0 + dice.normal(0, 4, 5000),
            "delay": late * 40.0 + dice.normal(0, 8, 5000),
            "arrived": late * 40.0 + dice.normal(0, 8, 5000),
            "reason": pa.array(["weather" if one else None for one in late]),
        }
    )
    found = quality(table, "late")
    assert {one.columns for one in found.findings if one.kind == "leakage"} == {("delay",), ("arrived",), ("reason",)}
    assert any("the label in other words" in one.sentence and one.columns == ("reason",) for one in found.findings)


def clean(size: int = 3000) -> dict[str, Any]:
    dice = np.random.default_rng(5)
    return {
        "id": [f"r{i}" for i in range(size)],
        "temp": dice.normal(15, 5, size),
        "seats": dice.integers(50, 300, size),
        "city": dice.choice(["Bern", "Thun", "Zug"], size).tolist(),
    }


def kinds(**columns: Any) -> list[tuple[str, tuple[str, ...], str]]:
    return [(one.kind, one.columns, one.severity) for one in quality(pa.table(clean() | columns)).findings]


def test_nothing_is_odd_about_a_clean_table() -> None:
    found = quality(pa.table(clean()))
    assert found.findings == ()
    assert lines(found) == ["pyarrow.Table   3,000 rows, 4 columns   nothing odd"]


def some(value: Any, of: Any, every: int) -> list[Any]:
    return [value if i % every == 0 else one for i, one in enumerate(of)]


ODD: dict[str, tuple[dict[str, Any], list[tuple[str, tuple[str, ...], str]]]] = {
    "missing": ({"temp": some(None, clean()["temp"].tolist(), 4)}, [("missing", ("temp",), "medium")]),
    "empty": ({"gone": pa.nulls(3000, pa.float64())}, [("missing", ("gone",), "high")]),
    "constant": ({"unit": ["mi"] * 3000}, [("constant", ("unit",), "medium")]),
    "nearly": ({"flag": some(1, [0] * 3000, 1000)}, [("constant", ("flag",), "low")]),
    "far": ({"temp": some(1048.4, clean()["temp"], 2999)}, [("outliers", ("temp",), "high")]),
    "coded": ({"temp": some(-999.0, clean()["temp"], 50)}, [("coded missing", ("temp",), "high")]),
    "word": ({"city": some("unknown", clean()["city"], 500)}, [("coded missing", ("city",), "medium")]),
    "case": ({"city": some("BERN", clean()["city"], 5)}, [("spelling", ("city",), "medium")]),
    "many": ({"tail": [f"N{i % 2000}" for i in range(3000)]}, [("many values", ("tail",), "low")]),
    "same": ({"warmth": clean()["temp"]}, [("duplicate columns", ("temp", "warmth"), "medium")]),
    "unit": ({"kelvin": clean()["temp"] ** 3}, [("correlated", ("temp", "kelvin"), "low")]),
    "code": ({"plz": [{"Bern": "3", "Thun": "36", "Zug": "63"}[one] for one in clean()["city"]]}, [("correlated", ("city", "plz"), "low")]),
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_found_and_nothing_beside(odd: str) -> None:
    columns, expected = ODD[odd]
    assert kinds(**columns) == expected


def test_rows_that_repeat_another_are_counted() -> None:
    table = pa.concat_tables([pa.table(clean()), pa.table(clean()).slice(0, 10)])
    (found,) = quality(table).findings
    assert found.sentence == "10 of 3,010 rows (0.332 %) repeat another in every column"


def test_of_many_rows_a_sample_is_seen_and_all_are_counted(tmp_path: Path) -> None:
    size = 400_000
    whole = clean(size) | {"temp": some(None, clean(size)["temp"].tolist(), 10)}
    pq.write_table(pa.table(whole), tmp_path / "t.parquet")
    found, again = quality(tmp_path / "t.parquet"), quality(tmp_path / "t.parquet")
    assert found == again
    assert 190_000 < found.sampled < 210_000
    assert found.missing["temp"] == pytest.approx(0.1)


def test_a_table_of_a_database_is_looked_at(in_postgres: Callable[[pa.Table], str]) -> None:
    found = quality(in_postgres(pa.table({"unit": ["mi"] * 30, "x": [float(i) for i in range(30)]})))
    assert [(one.kind, one.columns) for one in found.findings] == [("constant", ("unit",))]


@pytest.mark.parametrize(
    ("table", "label", "says"),
    [
        ({"late": [1, 0]}, "lat", r"no column lat\n  did you mean late\?"),
        ({"late": [1, 1]}, "late", "does not have two values"),
        ({"late": ["a", "b", "c"]}, "late", "has 3 texts in 3 rows"),
        ({"late": ["a", "a", None]}, "late", "does not have two values"),
        ({"late": pa.array([], pa.int64())}, None, "is empty"),
    ],
)
def test_what_can_not_be_summed_up_is_bad_input(table: dict[str, Any], label: str | None, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        quality(pa.table(table), label)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tables_of_few_rows(rows: int) -> None:
    table = pa.table(
        {"late": [True, False, None][:rows], "x": [1.5, None, float("inf")][:rows], "s": ["a", None, "b"][:rows]}
    )
    assert isinstance(quality(table), Quality)
    if rows > 1:
        assert isinstance(quality(table, "late"), Quality)


def test_a_number_is_a_label_too() -> None:
    dice = np.random.default_rng(5)
    miles = dice.random(3000) * 100
    found = quality(
        pa.table({"miles": miles, "fare": miles * 2 + dice.normal(0, 1, 3000), "x": dice.random(3000)}), "miles"
    )
    assert [one.columns for one in found.findings if one.kind == "leakage"] == [("fare",)]


def test_correlations_are_those_of_the_books() -> None:
    scipy = pytest.importorskip("scipy.stats")
    dice = np.random.default_rng(1)
    a = dice.integers(0, 9, 500).astype(float)
    b = a + dice.normal(0, 3, 500)
    lacking = np.where(dice.random(500) < 0.1, np.nan, b)
    found = list(rank_correlations([a, b, lacking, np.zeros(500)]))
    assert found[0][1] == pytest.approx(scipy.spearmanr(a, b).statistic, abs=1e-5)
    assert found[2][0] == pytest.approx(scipy.spearmanr(a, lacking, nan_policy="omit").statistic, abs=0.01)
    assert found[2][1] == pytest.approx(1, abs=0.001)
    assert not found[3][0] > 0
    codes = dice.integers(0, 4, 500)
    assert cramers_v(codes, codes) == pytest.approx(1)
    assert cramers_v(codes, dice.integers(0, 4, 500)) < 0.1


def test_the_command_prints_the_worst_first_and_writes_a_page(tmp_path: Path) -> None:
    late = np.random.default_rng(3).random(900) < 0.3
    bad = "</style><script>alert(1)</script>"
    pq.write_table(pa.table({"late": late, bad: pc.cast(pa.array(late), pa.int64())}), tmp_path / "t.parquet")
    command = ["quality", str(tmp_path / "t.parquet"), "--label", "late", "--html", str(tmp_path / "q.html"), "--json"]
    said = subprocess.run([sys.executable, "-m", "assay", *command], cwd=tmp_path, check=True, capture_output=True)
    assert json.loads(said.stdout)["findings"][0]["kind"] == "leakage"
    written = (tmp_path / "q.html").read_text()
    assert "<script" not in written
    assert "the label in other words" in written
    assert quality_page(quality(tmp_path / "t.parquet")).startswith("<!doctype html>")


def test_columns_that_are_alike_are_one_finding() -> None:
    size = 300
    first, second = np.random.default_rng(1).normal(0, 1, (2, size))
    table = {f"same{i}": first for i in range(8)} | {"near": first**3, "far": second, "nearly": -(first**5)}
    table |= {f"city{i}": [f"{i} {one > 0}" for one in first] for i in range(3)}
    found = [one for one in quality(pa.table(table)).findings if one.kind in ("duplicate columns", "correlated")]
    assert [one.sentence for one in found] == [
        "same0, same1, same2, same3 and 4 others are the same in every row",
        "city0, city1 and city2 are almost equivalent (Cramér's V at least 1.000)",
        "same0, near and nearly are almost equivalent (rank correlation at least 1.000)",
    ]
    assert found[0].columns == tuple(f"same{i}" for i in range(8))


def test_the_cost_of_very_many_columns_does_not_go_with_their_square() -> None:
    dice, size, half = np.random.default_rng(1), 400, 2_500
    numbers = {f"n{i}": dice.normal(0, 1, size) for i in range(half - 1)} | {"again": np.zeros(size)}
    texts = {f"t{i}": dice.choice(["a", "b", "c"], size) for i in range(half)}
    table = pa.table(numbers | texts | {"twin": numbers["n7"], "late": dice.random(size) < 0.3})
    began = time.process_time()
    found = quality(table, "late")
    assert time.process_time() - began < 120  # pair by pair it was over half an hour
    assert ("n7", "twin") in [one.columns for one in found.findings if one.kind == "duplicate columns"]
    assert "only the first 100 of 2,500 columns of categories were compared with each other" in [
        one.sentence for one in found.findings
    ]
    assert len(lines(found)) < 700


def test_of_many_columns_fewer_rows_are_seen(tmp_path: Path) -> None:
    numbers = np.arange(50_000.0)
    pq.write_table(pa.table({f"c{i}": numbers for i in range(500)}), tmp_path / "t.parquet")
    found = quality(tmp_path / "t.parquet")
    assert 38_000 < found.sampled < 42_000
    assert [one.kind for one in found.findings] == ["duplicate columns"]
    assert len(found.findings[0].sentence) < 100


def leaking(table: pa.Table, label: str) -> list[tuple[str, str]]:
    return [(one.columns[0], one.severity) for one in quality(table, label).findings if one.kind == "leakage"]


def test_a_column_that_only_tells_more_than_the_others_is_no_high_finding() -> None:
    dice = np.random.default_rng(7)
    demand = dice.normal(0, 1, 4000)
    honest = {f"x{i}": demand + dice.normal(0, 1.3, 4000) for i in range(3)}
    table = pa.table(honest | {"hour": demand + dice.normal(0, 0.8, 4000), "bikers": demand})
    assert leaking(table, "bikers") == []
    alone = pa.table({"x": honest["x0"], "noise": dice.normal(0, 1, 4000), "hour": table["hour"], "bikers": demand})
    assert leaking(alone, "bikers") == [("hour", "medium")]
    written_after = alone.append_column("casual", pa.array(demand * 3 + dice.normal(0, 0.2, 4000)))
    assert leaking(written_after, "bikers")[0] == ("casual", "high")


def test_few_rows_show_no_leak_by_chance() -> None:
    for seed in range(20):
        dice = np.random.default_rng(seed)
        columns = {f"x{i}": dice.normal(0, 1, 40) for i in range(200)}
        assert leaking(pa.table(columns | {"late": dice.random(40) < 0.5}), "late") == []


def test_a_time_that_goes_with_the_label_is_a_trend_unless_it_is_sometimes_missing() -> None:
    days = np.arange(2000).astype("datetime64[D]")
    price = np.arange(2000) + np.random.default_rng(1).normal(0, 30, 2000)
    table = {"day": days, "noise": np.random.default_rng(2).normal(0, 1, 2000), "price": price}
    assert leaking(pa.table(table), "price") == [("day", "medium")]
    closed = pa.array(
        [day if high else None for day, high in zip(days.tolist(), price > np.median(price), strict=True)]
    )
    assert leaking(pa.table(table | {"day": closed}), "price") == [("day", "high")]


@pytest.mark.parametrize("names", [["mild", "cold", "hot"], [1, 2, 3]])
def test_a_label_of_several_classes(names: list[Any]) -> None:
    dice = np.random.default_rng(4)
    kind = dice.choice(3, 3000, p=[0.5, 0.3, 0.2])
    table = pa.table(
        {
            "kind": pa.array([names[one] for one in kind]),
            "weak": kind + dice.normal(0, 3, 3000),
            "told": pa.array(["abc"[one] if dice.random() < 0.97 else "d" for one in kind]),
        }
    )
    found = quality(table, "kind")
    assert [(one.kind, one.columns, one.severity) for one in found.findings] == [("leakage", ("told",), "high")]
    assert found.alone["told"] == pytest.approx(1.0, abs=0.001)
    assert 0.55 < found.alone["weak"] < 0.7


def test_numbers_kept_as_text_are_called_that_and_looked_at_as_numbers() -> None:
    dice = np.random.default_rng(6)
    power = dice.integers(40, 400, 2000)
    table = pa.table(
        {
            "power": ["?" if i % 100 == 0 else str(one) for i, one in enumerate(power)],
            "price": [f"${one:,.2f}" for one in power * 1013.5],
            "seen": [f"2021-03-{1 + i % 28:02} 10:00:00" for i in range(2000)],
            "zip": [f"0{one:05}" for one in power],
            "day": [str(one % 7) for one in power],
            "key": [str(100_000 + i) for i in range(2000)],
            "noise": dice.normal(0, 1, 2000),
            "cost": power * 2.0 + dice.normal(0, 1, 2000),
        }
    )
    found = quality(table, "cost")
    said = {one.columns[0]: one.sentence for one in found.findings if one.kind == "kept as text"}
    assert said == {
        "power": "power holds numbers as text; 20 rows hold ? instead",
        "price": "price holds numbers as text",
        "seen": "seen holds times as text",
    }
    assert {one.columns for one in found.findings if one.kind == "leakage"} >= {("price",), ("power",)}
    assert "kept as text" not in {
        one.kind for one in quality(pa.table({"day": table["day"], "key": table["key"]})).findings
    }
    assert leaking(table.select(["cost", "price", "noise"]), "price") == [("cost", "high")]


def test_a_wide_table_s_summary_is_one_screen_and_all_are_printed_on_request(tmp_path: Path) -> None:
    dice, size = np.random.default_rng(1), 300
    first, late = dice.normal(0, 1, size), dice.random(size) < 0.4
    table: dict[str, Any] = {"late": late} | {
        f"a_leak_with_a_long_name_{i}" * 3: late + dice.normal(0, 0.05, size) for i in range(30)
    }
    table |= {f"same{i}": first for i in range(8)} | {f"near{i}": first**3 + i for i in range(2)}
    table |= {f"empty{i}": pa.nulls(size, pa.float64()) for i in range(40)} | {
        f"unit{i}": ["mi"] * size for i in range(40)
    }
    table |= {f"half{i}": some(None, dice.normal(0, 1, size), 3) for i in range(9)}
    table |= {f"far{i}": some(1e6 + i, dice.normal(0, 1, size), 299) for i in range(9)}
    table |= {f"city{i}": dice.choice([f"Bern{i}", f"bern{i}", "unknown"], size).tolist() for i in range(9)}
    table |= {f"number{i}": [str(one) for one in dice.normal(0, 1, size)] for i in range(9)}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    found = quality(tmp_path / "t.parquet", "late")
    shown = lines(found, 80)
    assert len(shown) <= 22
    assert max(map(len, shown)) <= 80 or not shown[0].endswith("low")
    assert [one for one in shown if "(AUC 1.00)" in one]
    assert shown[-1].startswith("... and ")
    assert shown[-1].endswith(" findings more: --all prints each.")
    assert any(
        "columns lack values: empty0, empty1, empty10, empty11 and 36 others" in one.sentence for one in grouped(found)
    )
    assert len(every_finding(found, 80)) > 150
    said = subprocess.run(
        [sys.executable, "-m", "assay", "quality", "t.parquet", "--label", "late", "--all"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert said.stdout.count("HIGH") == sum(one.severity == "high" for one in found.findings)
