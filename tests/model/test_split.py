import logging
from datetime import UTC, datetime, timedelta
from typing import Annotated

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

import assay
from assay.errors import BadInput
from assay.model import Split, split


class Ride(assay.Record):
    start: assay.EventTime
    miles: Annotated[float, assay.between(0, 100)]


def at(*times: str) -> pa.Table:
    """Rows at these times, numbered."""
    moments = pa.array(np.array(times, "datetime64[us]")).cast(pa.timestamp("us", "UTC"))
    return pa.table({"start": moments, "row": range(len(times))})


def every(hours: float, days: float, first: str = "2013-01-07") -> pa.Table:  # 2013-01-07 was a Monday
    steps = np.arange(int(days * 24 / hours)) * np.timedelta64(int(hours * 3600), "s")
    return at(*(np.datetime64(first, "us") + steps).astype(str))


def refused(rows: pa.Table, **how: object) -> str:
    with pytest.raises(BadInput) as caught:
        split(rows, Ride, **{"holdout": "1d", **how})
    return str(caught.value)


def test_the_holdout_is_the_last_days_and_the_past_all_before() -> None:
    past, holdout = split(every(6, 10), Ride, holdout="2d", until=datetime(2013, 1, 17, tzinfo=UTC))
    assert past["row"].to_pylist() == list(range(32))
    assert holdout["row"].to_pylist() == list(range(32, 40))


def test_rows_keep_their_order_however_they_came() -> None:
    rows = at("2013-01-03", "2013-01-01", "2013-01-04", "2013-01-02")
    past, holdout = split(rows, Ride, holdout="1d")
    assert past["row"].to_pylist() == [0, 1, 3]
    assert holdout["row"].to_pylist() == [2]


def test_without_until_the_newest_row_is_the_last_of_the_holdout() -> None:
    found = split(every(6, 10), Ride, holdout="2d")
    assert len(found.holdout) == 8
    assert found.boundary == datetime(2013, 1, 14, 18, 0, 0, 1, tzinfo=UTC)


def test_a_row_on_the_boundary_is_of_the_holdout_and_one_at_the_end_of_neither_side() -> None:
    found = split(
        at("2013-01-01", "2013-01-05", "2013-01-06"), Ride, holdout="1d", until=datetime(2013, 1, 6, tzinfo=UTC)
    )
    assert found.past["row"].to_pylist() == [0]
    assert found.holdout["row"].to_pylist() == [1]
    assert found.boundary == datetime(2013, 1, 5, tzinfo=UTC)


def test_a_gap_parts_past_and_holdout() -> None:
    found = split(every(6, 10), Ride, holdout="2d", gap="36h", until=datetime(2013, 1, 17, tzinfo=UTC))
    assert len(found.holdout) == 8
    assert found.past["row"].to_pylist() == list(range(26))


times = st.datetimes(datetime(2013, 1, 1), datetime(2013, 3, 1))
hours = st.integers(1, 400).map(lambda count: timedelta(hours=count))


@given(st.lists(times, min_size=1, max_size=40), hours, hours | st.just(timedelta()), st.none() | times)
def test_past_gap_and_holdout_are_all_rows_before_the_end(moments, holdout, gap, until) -> None:
    rows = at(*(moment.isoformat() for moment in moments))
    end = until or max(moments) + timedelta(microseconds=1)
    try:
        found = split(rows, Ride, holdout=holdout, gap=gap, until=until and until.replace(tzinfo=UTC))
    except BadInput as error:
        if "would be empty" not in str(error):
            raise
        reject()
    past, held = (set(side["row"].to_pylist()) for side in found)
    between = {i for i, moment in enumerate(moments) if end - holdout - gap <= moment < end - holdout}
    assert not past & held
    assert past | held | between == {i for i, moment in enumerate(moments) if moment < end}
    assert max(moments[i] for i in past) + gap < min(moments[i] for i in held)


def test_a_share_of_the_rows_is_refused() -> None:
    assert refused(every(6, 10), holdout=0.2) == (
        "holdout=0.2 would be a random share of the rows, which overstates the model\n"
        'Give a length of time, like holdout="7d".'
    )


def test_a_holdout_longer_than_the_rows_leaves_no_past() -> None:
    assert refused(every(6, 2), holdout="7d") == (
        "the past would be empty\n"
        "  rows lie from 2013-01-07T00:00:00.000000Z to 2013-01-08T18:00:00.000000Z, "
        "the holdout begins at 2013-01-01T18:00:00.000001Z\n"
        "Read more rows, or take a shorter holdout or gap."
    )


def test_stale_rows_leave_no_holdout() -> None:
    assert "the holdout would be empty" in refused(every(6, 10), until=datetime(2013, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("rows", "words"),
    {
        "an empty table": (at(), "there are no rows to split"),
        "a naive time": (
            pa.table({"start": np.array(["2013-01-01"], "datetime64[us]")}),
            "column start is timestamp[us], a time without a zone",
        ),
        "a text": (pa.table({"start": ["2013-01-01"]}), "column start is string, a time without a zone"),
        "a null": (pa.table({"start": pa.array([None, 1], pa.timestamp("us", "UTC"))}), "column start has 1 nulls"),
        "another name": (
            pa.table({"starts": [1]}),
            "column start is missing\n  did you mean starts?\nRide declares it",
        ),
    }.values(),
)
def test_rows_without_usable_times_are_refused(rows: pa.Table, words: str) -> None:
    assert words in refused(rows)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"holdout": "0d"}, "the holdout has no length"),
        ({"holdout": timedelta(days=-1)}, "the holdout has no length"),
        ({"holdout": "a week"}, "'a week' is not a length of time"),
        ({"gap": timedelta(days=-1)}, "a gap of -1d would put rows on both sides"),
        ({"until": datetime(2013, 1, 8)}, "2013-01-08T00:00:00 has no time zone"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(how: dict[str, object], words: str) -> None:
    assert words in refused(every(6, 10), **how)


def test_times_finer_than_microseconds_and_of_other_zones_are_split_alike() -> None:
    rows = every(6, 10)
    fine = rows.set_column(0, "start", rows["start"].cast(pa.timestamp("ns", "America/New_York")))
    assert split(fine, Ride, holdout="2d").holdout["row"] == split(rows, Ride, holdout="2d").holdout["row"]


def warned(rows: pa.Table, **how: object) -> Split:
    return split(rows, Ride, **{"season": "7d", "until": datetime(2013, 2, 4, tzinfo=UTC), **how})


def test_whole_weeks_give_no_warning() -> None:
    assert warned(every(6, 28), holdout="7d").warnings == []


def test_less_than_a_season_is_a_warning_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = warned(every(6, 28), holdout="5d")
    assert found.warnings[0] == "the holdout of 5d lacks a full season of 7d"
    assert caplog.messages[0] == "split: the holdout of 5d lacks a full season of 7d"


def test_days_without_rows_are_a_warning() -> None:
    assert "only 4 days of the holdout have rows, a full season has 7" in warned(every(6, 25), holdout="7d").warnings


def test_another_mix_of_weekdays_is_a_warning() -> None:
    found = split(every(6, 28), Ride, holdout="3d", until=datetime(2013, 2, 4, tzinfo=UTC))
    assert found.warnings == ["its weekdays differ: Fri is 33% of it, of the past 12%"]


def test_days_too_few_for_a_mix_are_not_judged_by_it() -> None:
    assert split(every(6, 5), Ride, holdout="1d").warnings == []
