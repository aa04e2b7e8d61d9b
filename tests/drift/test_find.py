"""Windows of tables and of served rows, with real files and a real store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.drift import table_drift
from assay.drift.page import drift_page
from assay.drift.windows import day_windows, table_windows
from assay.errors import BadInput
from assay.profiles import profile

FIRST = datetime(2013, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Seventy days of 48 rows; in the last week wind is sent in another unit."""
    random = np.random.default_rng(4)
    hours = np.arange(70 * 48) / 2
    wind = random.gamma(4, 3, len(hours))
    wind[hours >= 63 * 24] *= 1.9
    rows = pa.table(
        {
            "at": pa.array([FIRST + timedelta(hours=float(hour)) for hour in hours], pa.timestamp("us", "UTC")),
            "wind": wind,
            "<b>": random.choice(["x", "y"], len(hours)).tolist(),
        }
    )
    pq.write_table(rows.take(pa.array(random.permutation(len(rows)))), tmp_path / "t.parquet")  # in no order
    return str(tmp_path / "t.parquet")


def test_a_table_is_cut_into_whole_windows_in_any_order_of_its_rows(table: str) -> None:
    windows = table_windows(table, "at", 7 * DAY)
    assert [window.start for window in windows] == [FIRST + i * 7 * DAY for i in range(10)]
    assert {window.profile.rows for window in windows} == {7 * 48}
    assert set(windows[0].profile.columns) == {"wind", "<b>"}
    assert len(table_windows(table, "at", 8 * DAY)) == 8  # the ninth is not over
    assert len(table_windows(table, "at", 7 * DAY, since=FIRST + 14 * DAY)) == 8


def test_the_week_that_moved_is_named(table: str) -> None:
    report, windows = table_drift(table, "at")
    assert not report.silent
    assert report.judged == 2
    assert {(one.start, one.shift.column) for one in report.moved} == {(FIRST + 63 * DAY, "wind")}
    shown = drift_page(report, windows)
    assert "&lt;b&gt;" in shown
    assert "<b>&lt;b&gt;" in shown  # the only bold one is ours
    assert "<script" not in shown


def test_too_little_history_is_silent(table: str) -> None:
    report, windows = table_drift(table, "at", since=FIRST + 14 * DAY)
    assert report.silent
    assert report.moved == []
    assert "Too few windows: 8 windows" in drift_page(report, windows)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time": "att"}, "has no column 'att'"),
        ({"time": "wind"}, "wind of .* holds decimal numbers, not times"),
        ({"time": "at", "seasonal": ["wint"]}, "has no column 'wint'"),
        ({"time": "at", "every": "5m"}, "too short"),
        ({"time": "at", "every": "soon"}, "not a length of time"),
    ],
)
def test_wrong_use_is_said(table: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        table_drift(table, **options)  # pyright: ignore[reportArgumentType]


def test_days_make_windows_and_a_day_may_have_two_versions() -> None:
    one = profile(pa.table({"x": [1.0, 2.0]}))
    days = {FIRST + i * DAY: [one, one] if i == 3 else [one] for i in range(16) if i != 5}
    windows = day_windows(days, 7 * DAY)
    assert [window.profile.rows for window in windows] == [14, 14]
    with pytest.raises(BadInput, match="kept by day"):
        day_windows(days, timedelta(hours=36))
    assert day_windows({}, 7 * DAY) == []


def test_missing_weeks_are_told(tmp_path: Path) -> None:
    hours = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(24 * 7 * 14)]
    there = [at for at in hours if not 10 * 7 <= (at - hours[0]).days < 12 * 7]
    pq.write_table(pa.table({"at": there, "x": [at.hour for at in there]}), tmp_path / "t.parquet")
    report, windows = table_drift(str(tmp_path / "t.parquet"), "at")
    assert [window.profile.rows for window in windows][9:13] == [168, 0, 0, 168]
    assert [(one.shift.rule, one.shift.sentence) for one in report.moved] == [
        ("rows", "no rows, before 168 to 168")
    ] * 2
    assert table_drift(str(tmp_path / "t.parquet"), "at")[0] == report
