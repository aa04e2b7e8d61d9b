"""Age counts as the producer works: over open days, and up to when it was last due."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.checks import Calendar, Checks, Result, check, fresh
from assay.errors import BadInput

FRIDAY = datetime(2013, 6, 7, 18, tzinfo=UTC)
MONDAY = datetime(2013, 6, 10, 9, tzinfo=UTC)


def only(times: list[object], kind: pa.DataType, rule: object, now: datetime = MONDAY) -> Result:
    (result,) = check(pa.table({"at": pa.array(times, kind)}), Checks(rule), now=now).results
    return result


AWARE, NAIVE = pa.timestamp("us", "UTC"), pa.timestamp("us")


@pytest.mark.parametrize(
    ("old", "status"), [("11h", "pass"), ("12h", "pass"), ("12h 1m", "warn"), ("24h", "warn"), ("25h", "fail")]
)
def test_older_than_warn_warns_and_older_than_error_fails(old: str, status: str) -> None:
    hours, _, minutes = old.partition("h ")
    newest = MONDAY - timedelta(hours=int(hours.rstrip("h")), minutes=int(minutes.rstrip("m") or 0))
    result = only([newest, newest - timedelta(9)], AWARE, fresh("at", warn="12h", error="24h"))
    assert result.status == status
    assert result.age_s == (MONDAY - newest).total_seconds()


def test_no_time_passes_on_closed_days_and_holidays() -> None:
    weekdays = Calendar(closed=["sat", "SUN"])
    assert weekdays.age(FRIDAY, MONDAY) == timedelta(hours=15)
    assert only([FRIDAY], AWARE, fresh("at", error="24h")).status == "fail"
    assert only([FRIDAY], AWARE, fresh("at", error="24h", calendar=weekdays)).status == "pass"
    holiday = Calendar(closed=["SAT", "SUN"], holidays=["2013-06-10"])
    assert holiday.age(FRIDAY, MONDAY) == timedelta(hours=6)


def test_closed_days_are_those_of_the_calendars_zone() -> None:
    here = Calendar(closed=["SAT", "SUN"], tz="America/New_York")
    assert here.age(FRIDAY, MONDAY) == timedelta(hours=10 + 5)
    assert here.age(datetime(2013, 6, 8, 3, tzinfo=UTC), MONDAY) == timedelta(hours=1 + 5)


def test_a_table_is_as_old_as_it_was_when_its_producer_was_last_due() -> None:
    weekly = Calendar(cron="0 6 * * MON", tz="America/New_York", grace="2h")
    newest = datetime(2013, 6, 3, 9, tzinfo=UTC)  # an hour before the tick of 3 June
    due = datetime(2013, 6, 10, 12, tzinfo=UTC)  # the tick of 10 June and two hours
    assert weekly.age(newest, due - timedelta(seconds=1)) == timedelta(hours=1)
    assert weekly.age(newest, due) == timedelta(days=7, hours=1)
    assert weekly.age(newest + timedelta(days=7), due) == timedelta(hours=1)


def test_ticks_on_holidays_do_not_count() -> None:
    daily = Calendar(cron="0 6 * * *", holidays=[date(2013, 6, 10)])
    assert daily.age(FRIDAY, MONDAY) == timedelta(hours=36)  # until the tick of Sunday


@given(
    st.datetimes(datetime(2013, 1, 1), datetime(2013, 12, 31), timezones=st.just(UTC)),
    st.timedeltas(timedelta(), timedelta(days=40)),
    st.timedeltas(timedelta(), timedelta(days=40)),
    st.lists(st.sampled_from(["SAT", "SUN", "WED"])),
)
def test_age_grows_with_time_and_never_faster(newest: datetime, a: timedelta, b: timedelta, closed: list[str]) -> None:
    calendar = Calendar(closed=closed, tz="Europe/Zurich")
    first, later = sorted([newest + a, newest + b])
    grown = calendar.age(newest, later) - calendar.age(newest, first)
    assert timedelta() <= grown <= later - first
    assert calendar.age(newest, first) >= timedelta()


def test_a_time_of_the_future_warns_and_does_not_hide_age() -> None:
    result = only([FRIDAY, MONDAY + timedelta(hours=2)], AWARE, fresh("at", error="24h"))
    assert result.status == "fail"
    assert result.message == (
        "newest 2013-06-07T18:00:00Z, 63h old, not older than 24h expected   "
        "1 of 2 rows in the future   newest 2013-06-10T11:00:00Z, 2h ahead"
    )
    assert [row.row for row in result.worst] == [1]
    assert only([MONDAY, MONDAY + timedelta(hours=2)], AWARE, fresh("at", error="24h")).status == "warn"


def test_clocks_without_a_zone_need_one_and_are_read_in_it() -> None:
    noon = datetime(2013, 6, 10, 5)  # 9:00 UTC in New York
    assert only([noon], NAIVE, fresh("at", error="1h")).status == "fail"
    read = only([noon], NAIVE, fresh("at", error="1h", zone="America/New_York"))
    assert (read.status, read.age_s) == ("pass", 0)
    ahead = only([noon, noon + timedelta(hours=1)], NAIVE, fresh("at", error="1h", zone="America/New_York"))
    assert (ahead.status, ahead.failing) == ("warn", 1)


def test_a_day_is_as_old_as_its_first_moment() -> None:
    result = only([date(2013, 6, 9)], pa.date32(), fresh("at", error="30h", zone="America/New_York"))
    assert result.age_s == (MONDAY - datetime(2013, 6, 9, tzinfo=ZoneInfo("America/New_York"))).total_seconds()


def test_rows_that_a_condition_leaves_out_prove_nothing() -> None:
    table = pa.table({"at": pa.array([FRIDAY, MONDAY], AWARE), "source": ["a", "b"]})
    rules = Checks(fresh("at", error="24h", where="source = 'a'"), fresh("at", error="24h", where="source = 'b'"))
    assert [one.status for one in check(table, rules, now=MONDAY).results] == ["fail", "pass"]


@pytest.mark.parametrize("error", ["24h", None])
def test_a_table_without_a_time_is_not_fresh(error: str | None) -> None:
    result = only([None], AWARE, fresh("at", warn="1h", error=error))
    assert (result.status, result.message) == ("fail" if error else "warn", "no time from which to compute the age")


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda: fresh("at"), "needs a bound"),
        (lambda: fresh("at", warn="2d", error="24h"), "can never warn: 2d is longer than 24h"),
        (lambda: fresh("at", error="24h", zone="Newyork"), "not a time zone"),
        (lambda: Calendar(closed=["Caturday"]), "not a day of the week"),
        (lambda: Calendar(closed=["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]), "a day that is not closed"),
        (lambda: Calendar(holidays=["25.12."]), "is not a day"),
        (lambda: Calendar(cron="61 * * * *"), "not a cron line"),
        (lambda: Calendar(tz="Mars"), "not a time zone"),
        (lambda: Calendar(grace="soon"), "not a length of time"),
    ],
)
def test_an_impossible_freshness_is_refused(declare, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        declare()
