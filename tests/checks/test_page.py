"""The page of a report, of real reports of real tables."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from assay.checks import Checks, Report, check, col, fresh, keep_report, like, past_reports
from assay.checks.page import report_page, sampled_profile
from assay.store import Store, find_home

NOON = datetime(2013, 2, 12, 12, tzinfo=UTC)


class _Open(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def whole(html: str) -> str:
    """The page, when it is balanced and runs nothing."""
    parser = _Open()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return html


def page_of(table: pa.Table, *rules: object, now: datetime = NOON) -> str:
    checks = Checks(*rules)
    report = check(table, checks, now=now)
    return whole(report_page(report, checks, shown=sampled_profile(table)))


def weather(hours: int = 400, seed: int = 1, warmer: float = 0.0) -> pa.Table:
    random = np.random.default_rng(seed)
    gust = random.normal(20, 4, hours)
    return pa.table(
        {
            "origin": random.choice(["JFK", "LGA", "EWR"], hours).tolist(),
            "at": pa.array([NOON - timedelta(hours=i) for i in range(hours)], pa.timestamp("us", "UTC")),
            "temp": random.normal(15 + warmer, 5, hours),
            "gust": pa.array([value if i % 4 == 0 else None for i, value in enumerate(gust)], pa.float64()),
        }
    )


def test_the_worst_stands_first_and_what_passed_is_folded() -> None:
    html = page_of(
        weather(),
        col("temp").between(-100, 100),
        col("gust").nulls(max=0.1, severity="warn"),
        col("temp").between(15, 16),
        col("origin").isin("JFK", "LGA"),
        col("temp").between(14, 20),
        col("absent").between(0, 1),
    )
    badges = re.findall(r"class='badge \w*'>. (\w+)", html)
    order = ["error", "fail", "warn"]
    assert badges == sorted(badges, key=order.index)
    assert badges[-1] == "warn"
    shares = [int(n) for n in re.findall(r"<td>fail|worst of (\d+) rows", html) if n]
    assert shares == [*sorted(shares[:-1], reverse=True), 300]  # the warning, after all failures
    assert "<summary>1 passed</summary>" in html


def test_missing_values_stand_beside_the_reference_and_what_is_allowed() -> None:
    html = page_of(weather(seed=2), col("gust").nulls(max=0.1), like(weather()))
    bars = html.split("<h2>Missing values</h2>")[1].split("</svg>")[0]
    assert "gust 75 %" in bars
    assert "reference 75 %" in bars
    assert "at most 10 %" in bars
    assert "class='bar bad'" in bars


def test_distributions_are_drawn_over_those_of_the_reference() -> None:
    alone, beside = page_of(weather()), page_of(weather(seed=2, warmer=8), like(weather()))
    drawn = beside.split("<h2>Distributions</h2>")[1]
    assert "class='outline'" in drawn
    assert "class='past'" in drawn
    assert re.search(r"<title>JFK 3\d[.\d]* %</title>", drawn)
    assert "class='outline'" not in alone
    assert "class='past'" not in alone


def test_labels_of_bins_are_as_fine_as_the_bins() -> None:
    html = page_of(pa.table({"pressure": np.random.default_rng(1).normal(1013, 8, 500)}))
    labels = re.findall(r"text-anchor='middle'>([^<]*)<", html)
    assert labels
    assert not any("e+" in label for label in labels)
    assert len(set(labels)) == len(labels)


def test_reports_are_kept_and_the_age_is_drawn_over_time(tmp_path: Path) -> None:
    store = Store(find_home(tmp_path / ".assay"))
    checks = Checks(fresh("at", warn="2h", error="26h"), col("temp").between(0, 25))
    try:
        made: list[Report] = []
        for hours in (1, 5, 30):
            made.append(check(weather(), checks, now=NOON + timedelta(hours=hours)))
            keep_report(store, made[-1])
        assert past_reports(store, made[0].target) == made
        assert past_reports(store, made[0].target, limit=2) == made[1:]
        assert past_reports(store, "another") == []
        html = whole(report_page(made[-1], checks, past=past_reports(store, made[-1].target)[:-1]))
    finally:
        store.database.dispose()
    over_time = html.split("<h2>Over time</h2>")[1]
    assert "3 reports kept of this table" in over_time
    assert re.findall(r"class='dot (\w+)'", over_time)[:3] == ["good", "warn", "bad"]
    assert "class='limit warn'" in over_time
    assert "class='limit bad'" in over_time
    assert re.search(r"<title>2013-02-12 13:00 [\d.]+ %</title>", over_time)


def test_one_report_is_one(tmp_path: Path) -> None:
    assert "1 report kept of this table" in page_of(weather(), fresh("at", error="26h"))


HUGE = np.array([1.7e308, -1.7e308, 0.0, np.inf, -np.inf, np.nan])


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": pa.nulls(5, pa.float64()), "b": pa.nulls(5, pa.string())}),
        pa.table({"a": [1.5], "b": ["x"], "c": [True], "d": pa.array([NOON], pa.timestamp("us", "UTC"))}),
        pa.table({"a": pa.array([], pa.float64()), "b": pa.array([], pa.string())}),
        pa.table({"a": HUGE, "b": [np.inf] * 6, "c": [np.nan] * 6, "d": [5e-324, 0, 0, 0, 0, 1e-320]}),
        pa.table({"a": pa.array([2**63 - 1, -(2**63), 0]), "b": [7, 7, 7]}),
        pa.table({f"column_{i}": np.arange(20) * i for i in range(60)}),
        pa.table({"at": pa.array([datetime(1, 1, 1), datetime(9999, 12, 31)], pa.timestamp("us"))}),
        pa.table({"a": ["x" * 500, "", " ", "\x00", "\n"]}),
    ],
    ids=[
        "all null",
        "one row",
        "empty",
        "infinite",
        "widest whole numbers",
        "60 columns",
        "first and last day",
        "texts",
    ],
)
def test_odd_tables_have_a_page(table: pa.Table) -> None:
    name = table.column_names[0]
    for rules in ([col(name).nulls(max=0.1)], [col(name).nulls(max=0.1), like(table)]):
        html = page_of(table, *rules)
        assert not re.search(r"(x|y|width|height|d|points)='[^']*(nan|inf)", html)


def test_names_and_values_are_text_and_never_markup() -> None:
    nasty = "</style><script>alert('1')</script>\"&amp;"
    table = pa.table({nasty: [nasty, nasty, "b", None]})
    html = page_of(table, col(nasty).isin(nasty), col(nasty).nulls(max=0), like(pa.table({nasty: ["b", "c"]})))
    assert html.count("</style>") == 1
    assert nasty in unescape(html)
