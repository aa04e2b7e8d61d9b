"""Splits by event time."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assay.contract import EventTime, Record
from assay.errors import BadInput
from assay.model import split


class Row(Record):
    at: EventTime


FIRST = datetime(2013, 6, 3, tzinfo=UTC)  # a Monday
hours = st.lists(st.integers(0, 90 * 24), min_size=4, max_size=60)


def table(times: list[datetime]) -> pa.Table:
    return pa.table({"at": pa.array(times, pa.timestamp("us", "UTC"))})


def daily(days: int) -> pa.Table:
    return table([FIRST + timedelta(days=day) for day in range(days)])


@given(hours, st.integers(1, 20), st.integers(0, 10))
def test_every_past_row_lies_a_gap_before_every_holdout_row(offsets: list[int], length: int, gap: int) -> None:
    rows = table([FIRST + timedelta(hours=offset) for offset in offsets])
    span = max(offsets) - min(offsets)
    assume(span > (length + gap) * 24)
    found = split(rows, Row, holdout=f"{length}d", gap=f"{gap}d")
    past, holdout = (side["at"].to_pylist() for side in found)
    assert max(past) < found.boundary - timedelta(days=gap)
    assert min(holdout) >= found.boundary
    between = [at for at in rows["at"].to_pylist() if found.boundary - timedelta(days=gap) <= at < found.boundary]
    assert sorted(past + between + holdout) == sorted(rows["at"].to_pylist())


def test_until_ends_the_holdout() -> None:
    past, holdout = split(daily(30), Row, holdout="7d", until=FIRST + timedelta(days=21))
    assert (len(past), len(holdout)) == (14, 7)


def test_a_holdout_without_a_full_season_is_said_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    found = split(daily(30), Row, holdout="3d", season="7d")
    assert "the holdout of 3d lacks a full season of 7d" in found.warnings
    assert "lacks a full season" in caplog.text


def test_another_mix_of_weekdays_is_said() -> None:
    (warning,) = split(daily(28), Row, holdout="2d").warnings
    assert warning.startswith("its weekdays differ: Sat is 50% of it, of the past ")
    assert split(daily(28), Row, holdout="7d", season="7d").warnings == []


REFUSED = {
    "a share of the rows": ({"holdout": 0.2}, "would be a random share of the rows"),
    "no length": ({"holdout": "0d"}, "the holdout has no length"),
    "no time at all": ({"holdout": "soon"}, "is not a length of time"),
    "longer than the table": ({"holdout": "90d"}, "the past would be empty"),
    "a gap that eats the past": ({"holdout": "2d", "gap": "60d"}, "the past would be empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_split_by(case: str) -> None:
    given_, words = REFUSED[case]
    with pytest.raises(BadInput, match=words):
        split(daily(20), Row, **given_)


def test_tables_that_cannot_be_split() -> None:
    naive = pa.table({"at": pa.array([FIRST.replace(tzinfo=None)], pa.timestamp("us"))})
    for rows, words in (
        (daily(0), "there are no rows to split"),
        (naive, "a time without a zone"),
        (daily(3).rename_columns(["when"]), "column at is missing"),
        (table([FIRST, None]), "column at has 1 nulls"),
    ):
        with pytest.raises(BadInput, match=words):
            split(rows, Row, holdout="1d")
