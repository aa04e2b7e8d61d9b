"""Windows of time, and the profile of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from assay.checks.freshness import moment_of
from assay.contract.formats.sql import quoted
from assay.errors import BadInput, near_miss
from assay.profiles import Profile, merge, profile
from assay.tables import Table, Target, using
from assay.tables.facts import as_number
from assay.tables.view import HOLDS, TIMES, VIEW
from assay.times import EPOCH

_MICROSECOND, HOUR = timedelta(microseconds=1), timedelta(hours=1)
#: 57 years of days, or 2 of hours.
MAX_WINDOWS = 20_000


@dataclass(frozen=True)
class Window:
    """The rows of `[start, end)`."""

    start: datetime
    end: datetime
    profile: Profile


def table_windows(target: Target, time: str, every: timedelta, *, since: datetime | None = None) -> list[Window]:
    """The whole windows of a table by its time column, oldest first; one without rows is kept between two that have some.

    The first begins at midnight UTC of the first day; the last one counts only when the table reaches its last hour.
    Times without a zone are taken as UTC. Raises `BadInput` when there is no such table, column or time.
    """
    with using(target) as table:
        _need_time(table, time)
        low, high = (table.micros(f"{end}({quoted(time)})") for end in ("min", "max"))
        ends = table.rows(f"SELECT {low} AS low, {high} AS high FROM {VIEW}")[0]
        first, last = as_number(ends["low"]), as_number(ends["high"])
        if first is None or last is None:
            raise BadInput(f"{table.name} has no row with a time in {time}", do="Name another column with --time.")
        begin = max(moment_of(first, ""), since) if since else moment_of(first, "")
        cuts = list(spans(begin, _reached(table.name, begin, moment_of(last, ""), every), every))
        names = [name for name, kind in table.kinds.items() if kind not in TIMES]
        query = f"SELECT {', '.join(map(quoted, [*names, time]))} FROM {VIEW} WHERE {quoted(time)} IS NOT NULL"
        profiles = _profiles(table.batches(query), names, time, cuts, every)
    return _inner([Window(*cut, one) for cut, one in zip(cuts, profiles, strict=True)])


def _profiles(
    batches: Iterable[pa.RecordBatch],
    names: list[str],
    time: str,
    cuts: Sequence[tuple[datetime, datetime]],
    every: timedelta,
) -> list[Profile]:
    """The profile of each window from rows in any order."""
    parts: list[list[Profile]] = [[] for _ in cuts]
    begin = (cuts[0][0] - EPOCH) // _MICROSECOND if cuts else 0
    for batch in batches:
        micros = batch.column(time).cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_numpy()
        numbers = (micros - begin) // (every // _MICROSECOND)
        order = np.argsort(numbers, kind="stable")
        rows = pa.table(batch).select(names).take(pa.array(order))
        inside, starts = np.unique(numbers[order], return_index=True)
        for number, start, end in zip(inside, starts, [*starts[1:], len(order)], strict=True):
            if 0 <= number < len(cuts):
                parts[int(number)].append(profile(rows.slice(start, end - start)))
    return [merge(one) for one in parts]


def _reached(name: str, begin: datetime, end: datetime, every: timedelta) -> datetime:
    """The end. Raises `BadInput` when there are too many windows before it."""
    if (end - begin) // max(every, HOUR) > MAX_WINDOWS:
        what = f"its times reach from {begin:%Y-%m-%d} to {end:%Y-%m-%d}: more than {MAX_WINDOWS:,} windows"
        raise BadInput(f"{name} has too many windows", what, do="Write a longer --every, or correct the times.")
    return end


def _need_time(table: Table, time: str) -> None:
    kinds = table.kinds
    if time not in kinds:
        raise BadInput(f"{table.name} has no column {time!r}", near_miss(time, kinds), do="Name it with --time.")
    if kinds[time] not in TIMES:
        known = [name for name, kind in kinds.items() if kind in TIMES]
        raise BadInput(
            f"{time} of {table.name} holds {HOLDS[kinds[time]]}, not times",
            *[f"times are {', '.join(known)}"] * bool(known),
            do="Name a column of times with --time.",
        )


def spans(first: datetime, last: datetime, every: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Start and end of each whole window between two moments; an hour may lack at the end.

    >>> day = timedelta(days=1)
    >>> [start.day for start, _ in spans(datetime(2013, 1, 1, 7), datetime(2013, 1, 4, 12), day)]
    [1, 2, 3]
    """
    if every < HOUR:
        raise BadInput(f"windows of {every} are too short", do="Write at least --every 1h.")
    start = first.replace(hour=0, minute=0, second=0, microsecond=0)
    while every <= last - start + HOUR:
        yield start, start + every
        start += every


def day_windows(days: Mapping[datetime, Iterable[Profile]], every: timedelta) -> list[Window]:
    """Whole windows made of the profiles of days, given by their midnights in UTC, from the first with rows to the last.

    Raises `BadInput` when a window is no whole number of days.
    """
    if every % timedelta(days=1):
        raise BadInput(f"served rows are kept by day, so a window can't be {every}", do="Write whole days: --every 7d.")
    if not days:
        return []
    made = [
        Window(start, end, merge(part for day, parts in days.items() if start <= day < end for part in parts))
        for start, end in spans(min(days), max(days) + timedelta(days=1), every)
    ]
    return _inner(made)


def _inner(windows: Sequence[Window]) -> list[Window]:
    """The windows from the first that has rows to the last."""
    there = [i for i, window in enumerate(windows) if window.profile.rows]
    return list(windows[there[0] : there[-1] + 1]) if there else []
