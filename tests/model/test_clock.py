"""The clock on the wall and the calendar, the same for one row and for many."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import BadInput
from assay.model.clock import day_of_year, elapsed, holiday, hour, month, weekday

ZONES = ["America/New_York", "UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/London"]
times = st.lists(
    st.integers(800_000_000, 2_200_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)), min_size=1, max_size=20
)


@pytest.mark.parametrize("zone", ZONES)
@given(times)
def test_calendar_features_are_those_of_the_wall_clock(zone: str, moments: list[datetime]) -> None:
    column = np.array([moment.replace(tzinfo=None) for moment in moments], dtype="datetime64[us]")
    local = [moment.astimezone(ZoneInfo(zone)) for moment in moments]
    for feature, expected in (
        (hour, [at.hour for at in local]),
        (weekday, [at.weekday() for at in local]),
        (month, [at.month for at in local]),
        (day_of_year, [at.timetuple().tm_yday for at in local]),
    ):
        assert feature(column, tz=zone).tolist() == expected
        alone = [feature(column[i : i + 1], tz=zone)[0] for i in range(len(column))]
        assert alone == expected


def test_a_missing_time_has_no_hour() -> None:
    missing = np.array(["NaT"], dtype="datetime64[us]")
    assert np.isnan(hour(missing, tz="America/New_York")).all()
    with pytest.raises(BadInput, match="is not a time zone"):
        hour(np.array([0], dtype="datetime64[us]"), tz="America/New_Yorck")


@given(st.lists(st.dates(), min_size=1, max_size=20))
def test_a_date_is_the_same_day_in_every_zone(days: list[date]) -> None:
    column = np.array(days, "datetime64[D]")
    for zone in (None, "America/New_York", "Pacific/Kiritimati"):
        assert weekday(column, tz=zone).tolist() == [day.weekday() for day in days]
        assert month(column, tz=zone).tolist() == [day.month for day in days]
        assert day_of_year(column, tz=zone).tolist() == [day.timetuple().tm_yday for day in days]
        assert holiday(column, days[:1], tz=zone).tolist() == [float(day == days[0]) for day in days]


def test_what_is_no_time_is_refused_with_what_to_do() -> None:
    dates, times = np.array(["2013-07-01"], "datetime64[D]"), np.array(["2013-07-01"], "datetime64[us]")
    with pytest.raises(BadInput, match="a date has no hour"):
        hour(dates, tz="UTC")
    with pytest.raises(BadInput, match="the day of a time depends on the zone"):
        weekday(times)
    with pytest.raises(BadInput, match="float64 is not a column of times"):
        month(np.array([1.0]), tz="UTC")
    with pytest.raises(BadInput, match="float64 is not a column of times"):
        elapsed(np.array([1.0]), times)


@pytest.mark.parametrize("days", [["2013-13-01"], [7], ["Christmas"], [None]])
def test_a_holiday_that_is_no_day_is_refused(days: list[object]) -> None:
    with pytest.raises(BadInput, match="a holiday is not a day"):
        holiday(np.array(["2013-07-01"], "datetime64[D]"), days)  # pyright: ignore[reportArgumentType]


def test_holidays_are_days_of_the_zone() -> None:
    evening = np.array(["2013-12-26T03:00", "2013-12-25T03:00", "NaT"], "datetime64[us]")
    days = [datetime(2013, 12, 25, 12, tzinfo=UTC), date(2013, 1, 1)]
    np.testing.assert_array_equal(holiday(evening, days, tz="America/New_York"), [1, 0, np.nan])
    np.testing.assert_array_equal(holiday(evening, days, tz="UTC"), [0, 1, np.nan])
    with pytest.raises(BadInput, match="there are no holidays"):
        holiday(evening, [], tz="UTC")


def test_elapsed_is_signed_in_its_unit_and_missing_when_either_is() -> None:
    start = np.array(["2013-07-01T00:00", "2013-07-01T12:00", "NaT", "2013-07-01"], "datetime64[us]")
    end = np.array(["2013-07-01T01:30", "2013-07-01T00:00", "2013-07-01", "NaT"], "datetime64[us]")
    for unit, expected in (("s", [5400, -43200]), ("min", [90, -720]), ("h", [1.5, -12]), ("d", [1 / 16, -0.5])):
        np.testing.assert_array_equal(elapsed(start, end, unit=unit), [*expected, np.nan, np.nan])
    with pytest.raises(BadInput, match="'w' is not a unit of time"):
        elapsed(start, end, unit="w")  # pyright: ignore[reportArgumentType]
