"""When a schedule ticks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from assay.errors import BadInput
from assay.times import aware, zone

_ANY = datetime(2000, 1, 1, tzinfo=UTC)


def check_schedule(line: str) -> None:
    """Raise `BadInput` for a cron line that can't be read or never ticks."""
    try:
        next(CronSim(line, _ANY))
    except (CronSimError, StopIteration) as error:
        raise BadInput(
            f"{line!r} is not a schedule: {str(error) or 'it never ticks'}",
            do="Write five cron fields, like 0 6 * * MON.",
        ) from None


def newest_tick(line: str, tz: str, until: datetime) -> datetime | None:
    """The newest tick of a schedule at or before a moment; None when there was none in the ten years before it."""
    for days in (1, 32, 366, 3660):
        found = None
        for found in ticks(line, tz, until - timedelta(days=days), until + timedelta(microseconds=1)):  # noqa: B007
            pass
        if found:
            return found
    return None


def ticks(line: str, tz: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """The ticks in `[start, end)`, in UTC, oldest first; right through changes of daylight saving.

    >>> [f"{t:%m-%d %H:%M}" for t in ticks("0 6 * * MON", "America/New_York",
    ...  datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 12, tzinfo=UTC))]
    ['03-04 11:00', '03-11 10:00']
    """
    check_schedule(line)
    start, end = aware(start), aware(end)
    before = (start - timedelta(seconds=1)).astimezone(zone(tz))
    for local in CronSim(line, before):
        at = local.astimezone(UTC)
        if at >= end:
            return
        if at >= start:
            yield at
