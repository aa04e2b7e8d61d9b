"""How old a table is, counted as its producer works: not over weekends, not before it was due. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property

from cronsim import CronSim, CronSimError

from assay import times
from assay.errors import BadInput
from assay.times import EPOCH

FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
#: A clock elsewhere may be a little ahead.
AHEAD = timedelta(minutes=5)
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_DAY = timedelta(days=1)
#: How far back the last tick of a producer is looked for.
_YEAR = timedelta(days=366)


@dataclass(frozen=True)
class Calendar:
    """When new rows can be expected.

    On days in `closed` (like "SAT", "SUN") and on `holidays` no time passes: a table of Friday evening is hours old on
    Monday morning. With `cron`, when its producer runs, age is that at the producer's last tick, `grace` (how long it
    takes) ago or longer: until Monday's tick nothing is due. Ticks on closed days and holidays don't count. Days are
    those of `tz`. Raises `BadInput` for an unknown day, zone or cron line.

    >>> weekdays = Calendar(closed=["SAT", "SUN"], tz="America/New_York")
    >>> friday, monday = times.instant("2013-06-07T18:00:00-04:00"), times.instant("2013-06-10T09:00:00-04:00")
    >>> weekdays.age(friday, monday)
    datetime.timedelta(seconds=54000)
    """

    closed: Iterable[str] = ()
    holidays: Iterable[date | str] = ()
    cron: str = ""
    grace: str | timedelta = timedelta()
    tz: str = "UTC"

    def __post_init__(self) -> None:
        known = tuple(day.upper()[:3] for day in self.closed)
        if unknown := [day for day in known if day not in _WEEKDAYS]:
            raise BadInput(f"{unknown[0]!r} is not a day of the week", do=f"Use {', '.join(_WEEKDAYS)}.")
        if len(set(known)) == len(_WEEKDAYS):
            raise BadInput("a calendar needs a day that is not closed", do="Leave one out of closed.")
        object.__setattr__(self, "closed", known)
        object.__setattr__(self, "holidays", frozenset(map(_day, self.holidays)))
        object.__setattr__(self, "grace", times.duration(self.grace))
        _ = self._zone
        if self.cron:
            self._last_tick(EPOCH + _YEAR)

    @cached_property
    def _zone(self) -> tzinfo:
        return times.zone(self.tz)

    def age(self, newest: datetime, now: datetime) -> timedelta:
        """How old `newest` is at `now`, both aware; zero when it is ahead."""
        if self.cron:
            now = self._last_tick(now - times.duration(self.grace)) or newest
        return max(now - newest, timedelta()) - self._closed_between(newest, now)

    def _last_tick(self, now: datetime) -> datetime | None:
        """The newest tick at or before `now` on an open day."""
        try:
            ticks = CronSim(self.cron, now.astimezone(self._zone) + timedelta(seconds=1), reverse=True)
        except CronSimError as error:
            raise BadInput(f"{self.cron!r} is not a cron line: {error}", do='Write "0 6 * * MON-FRI".') from None
        for tick in ticks:
            if now - tick > _YEAR:
                return None
            if self._open(tick.date()):
                return tick.astimezone(UTC)
        return None

    def _open(self, day: date) -> bool:
        return _WEEKDAYS[day.weekday()] not in tuple(self.closed) and day not in tuple(self.holidays)

    def _closed_between(self, newest: datetime, now: datetime) -> timedelta:
        """The time of closed days between two moments; a year at most is looked at, older is old enough."""
        if not (self.closed or self.holidays) or now <= newest or now - newest > _YEAR:
            return timedelta()
        total, day = timedelta(), newest.astimezone(self._zone).date()
        while (begin := self._midnight(day)) < now:
            end = self._midnight(day + _DAY)
            if not self._open(day):
                total += min(end, now) - max(begin, newest)
            day += _DAY
        return total

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone).astimezone(UTC)


def _day(value: date | str) -> date:
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except ValueError:
        raise BadInput(f"{value!r} is not a day", do="Write 2013-12-25.") from None


def moment_of(newest_us: float, zone: str) -> datetime:
    """The moment of microseconds since 1970, which are those of a clock in `zone` when it is named.

    What a clock shows twice when summer ends is taken for the later; a day is its first moment. What lies outside of
    the years 1 to 9999 becomes their end.
    """
    try:
        told = EPOCH + timedelta(microseconds=newest_us)
        return told.replace(tzinfo=times.zone(zone), fold=1).astimezone(UTC) if zone else told
    except OverflowError:
        return LAST if newest_us > 0 else FIRST


def ahead_us(now: datetime, zone: str) -> int:
    """From where on a time lies in the future, in microseconds since 1970, as a clock in `zone` shows it if one is named."""
    shown = clock(now + AHEAD, zone).replace(tzinfo=UTC) if zone else now + AHEAD
    return (shown - EPOCH) // timedelta(microseconds=1)


def clock(moment: datetime, zone: str) -> datetime:
    """What a clock in `zone` shows at `moment`, without a zone."""
    return moment.astimezone(times.zone(zone or "UTC")).replace(tzinfo=None)
