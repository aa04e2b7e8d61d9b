"""Runs of the past are what-ifs: their ids say so, and they never move production unless they are told to.

`weekly@2013-06-03T10:00Z` belongs to production, `weekly@2013-06-03T10:00Z~what-if` to a what-if of its own, and
`weekly@2013-06-03T10:00Z~2013-03-01..2013-12-31` to a replay. The id alone decides, so a resumed what-if is one still.
"""

from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import select

from assay.context import PRODUCTION, WhatIf
from assay.pipelines.schedule import newest_tick
from assay.store import Store
from assay.store.schema import runs
from assay.times import now

MARK = "~"
ALONE = "what-if"
#: What is past for a pipeline without a schedule.
OLD = timedelta(days=1)


def is_past(schedule: str | None, tz: str, asof: datetime) -> bool:
    """Whether a moment is older than the current tick of a schedule; without a schedule, than a day."""
    at = now()
    tick = newest_tick(schedule, tz, at) if schedule else None
    return asof < (tick or at - OLD)


def run_name(pipeline: str, asof: datetime, mark: str = "") -> str:
    """The id of the first run of a moment: to the minute, or as much more of it as it has."""
    parts = "microseconds" if asof.microsecond else "seconds" if asof.second else "minutes"
    return f"{pipeline}@{asof.replace(tzinfo=None).isoformat(timespec=parts)}Z{MARK if mark else ''}{mark}"


def scope_of(run_id: str) -> WhatIf:
    """Where a run judges and publishes, by its id: in production, in a what-if of its own, or in that of its replay.

    >>> scope_of("weekly@2013-06-03T10:00Z").name
    ''
    >>> scope_of("weekly@2013-06-03T10:00Z~what-if#2").name
    'weekly@2013-06-03T10:00Z~what-if#2'
    >>> scope_of("weekly@2013-06-03T10:00Z~2013-03-01..2013-12-31").name
    'weekly~2013-03-01..2013-12-31'
    """
    run, mark, replay = run_id.partition(MARK)
    if not mark:
        return PRODUCTION
    alone = replay.partition("#")[0] == ALONE
    return WhatIf(run_id if alone else f"{run.partition('@')[0]}{MARK}{replay}", run_id)


def replay_name(store: Store, pipeline: str, first: datetime, last: datetime, *, again: bool = False) -> str:
    """What the runs of a replay are marked with: its span, and from the second on its number.

    With `again` it is a new replay, whose incumbents are its own; else the newest of that span, which goes on.
    """
    span = f"{_short(first)}..{_short(last)}"
    names = (span if number == 1 else f"{span}#{number}" for number in count(1))
    newest = span
    for name in names:
        if not _is_begun(store, pipeline, name):
            return name if again else newest
        newest = name
    raise AssertionError


def _is_begun(store: Store, pipeline: str, name: str) -> bool:
    marked = runs.c.id.startswith(f"{pipeline}@", autoescape=True)
    asked = select(runs.c.id).where(marked, runs.c.id.endswith(f"{MARK}{name}", autoescape=True))
    with store.database.read() as connection:
        return connection.execute(asked.limit(1)).first() is not None


def _short(at: datetime) -> str:
    """A day, or a minute where it is not midnight; on the clock of the moment's own zone."""
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%dT%H:%M}"
