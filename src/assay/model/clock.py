"""Features of times: what the clock on the wall and the calendar say, the same for one row and for a million."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.times import zone

#: Microseconds of the units in which a span of time is told.
_UNITS = {"s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_DAY_US = _UNITS["d"]
_QUARTER_US = 15 * 60 * 1_000_000  # offsets of zones change only on quarters of an hour
_NAT = np.iinfo(np.int64).min
#: So many rows, as a server has them at once, are looked up faster one by one than made unique.
_FEW = 100
#: Two days within what `datetime` can hold, so that a zone's offset never leaves it.
_FIRST_QUARTER, _LAST_QUARTER = (
    int(np.datetime64(day, "us").astype(np.int64)) // _QUARTER_US for day in ("0001-01-03", "9999-12-29")
)


def hour(times: Array, *, tz: str) -> Array:
    """The hour of the day, 0 to 23, on the wall clock of `tz`; float64 of shape (n,), NaN where the time is missing.

    >>> hour(np.array(["2013-07-01T12:30", "NaT"], dtype="datetime64[us]"), tz="America/New_York")
    array([ 8., nan])
    """
    return _float(_local_us(times, tz) // _UNITS["h"] % 24, times)


def weekday(times: Array, *, tz: str | None = None) -> Array:
    """The day of the week, Monday 0 to Sunday 6, on the calendar of `tz`; float64 of shape (n,).

    A date is the same everywhere and needs no `tz`, here and below.

    >>> weekday(np.array(["2013-07-01T03:00"], dtype="datetime64[us]"), tz="America/New_York")
    array([6.])
    """
    return _float((_days(times, tz) + 3) % 7, times)  # 1970-01-01 was a Thursday


def month(times: Array, *, tz: str | None = None) -> Array:
    """The month, 1 to 12, on the calendar of `tz`; float64 of shape (n,)."""
    return _float(_days(times, tz).view("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1, times)


def day_of_year(times: Array, *, tz: str | None = None) -> Array:
    """The day of the year, 1 to 366, on the calendar of `tz`; float64 of shape (n,).

    >>> day_of_year(np.array(["2013-12-31", "2012-12-31", "NaT"], dtype="datetime64[D]"))
    array([365., 366.,  nan])
    """
    days = _days(times, tz)
    first = days.view("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").view(np.int64)
    return _float(days - first + 1, times)


def holiday(times: Array, days: Iterable[date | str], *, tz: str | None = None) -> Array:
    """1 on one of the `days` of the calendar of `tz`, 0 on another; float64 of shape (n,).

    `days` are dates, or texts like "2013-12-25". Raises `BadInput` for anything else, and for no day at all.

    >>> holiday(np.array(["2013-12-26T03:00"], dtype="datetime64[us]"), ["2013-12-25"], tz="America/New_York")
    array([1.])
    """
    return _float(np.isin(_days(times, tz), _numbers(tuple(days))), times)


@lru_cache(maxsize=64)
def _numbers(days: tuple[date | str, ...]) -> Array:
    try:
        found = [
            date.fromisoformat(day) if isinstance(day, str) else date(day.year, day.month, day.day) for day in days
        ]
    except (ValueError, AttributeError):
        raise BadInput("a holiday is not a day", *map(str, days[:3]), do='Write dates, like "2013-12-25".') from None
    if not found:
        raise BadInput("there are no holidays", do="Give at least one day, or leave the feature out.")
    return np.array(found, "datetime64[D]").view(np.int64)


def elapsed(start: Array, end: Array, *, unit: Literal["s", "min", "h", "d"] = "h") -> Array:
    """How long it was from `start` to `end`, negative when `end` came first; float64 of shape (n,).

    Raises `BadInput` for a unit that is none of s, min, h, d.

    >>> a, b = (np.array([day], dtype="datetime64[us]") for day in ("2013-07-01", "2013-07-02"))
    >>> elapsed(a, b)
    array([24.])
    """
    if unit not in _UNITS:
        raise BadInput(f"{unit!r} is not a unit of time", do=f"Use one of {', '.join(_UNITS)}.")
    first, last = (_micros(times) for times in (start, end))
    span = (last.astype(np.int64) - first.astype(np.int64)) / _UNITS[unit]
    return np.where(np.isnat(start) | np.isnat(end), np.nan, span)


def _float(values: Array, times: Array) -> Array:
    return np.where(np.isnat(times), np.nan, values)


def _micros(times: Array) -> Array:
    if times.dtype.kind != "M":
        raise BadInput(
            f"{times.dtype} is not a column of times", do="Give a column that the contract declares as a time."
        )
    return times.astype("datetime64[us]")


def _days(times: Array, tz: str | None) -> Array:
    """Days since 1970 on the calendar of `tz`, int64; a date is that day in every zone."""
    if times.dtype == np.dtype("datetime64[D]"):
        return times.view(np.int64)
    if tz is None:
        raise BadInput("the day of a time depends on the zone", do='Name it: tz="America/New_York".')
    return _local_us(times, tz) // _DAY_US


def _local_us(times: Array, tz: str) -> Array:
    """Wall-clock microseconds since 1970 in `tz`."""
    if times.dtype == np.dtype("datetime64[D]"):
        raise BadInput("a date has no hour", do="Give a column that the contract declares as a time.")
    micros = _micros(times).view(np.int64)
    quarters = micros // _QUARTER_US
    if len(quarters) <= _FEW:
        return micros + np.array([_offset_us(tz, quarter) for quarter in quarters.tolist()], np.int64)
    values, positions = np.unique(quarters, return_inverse=True)
    return micros + np.array([_offset_us(tz, quarter) for quarter in values.tolist()], np.int64)[positions]


@lru_cache(maxsize=200_000)
def _offset_us(tz: str, quarter: int) -> int:
    if quarter == _NAT // _QUARTER_US:
        return 0
    within = min(max(quarter, _FIRST_QUARTER), _LAST_QUARTER)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=within * _QUARTER_US)
    offset = at.astimezone(_zone(tz)).utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)


@lru_cache(maxsize=64)
def _zone(tz: str) -> ZoneInfo:
    return zone(tz)
