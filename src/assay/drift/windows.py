"""Windows of time, and the profile of each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from assay.checks.target import VIEW, Opened, open_target, reading
from assay.contract.formats.sql import quoted
from assay.errors import BadInput, near_miss
from assay.profiles import Profile, merge, profile
from assay.store.duck import connect

#: Rows read at a time.
_BATCH = 1 << 20
_TIMES = ("time", "naive", "date")
_NUMBER = "assay:window"
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True)
class Window:
    """The rows of `[start, end)`."""

    start: datetime
    end: datetime
    profile: Profile


def table_windows(target: str, time: str, every: timedelta, *, since: datetime | None = None) -> list[Window]:
    """The whole windows of a table by its time column, oldest first; one without rows is left out.

    The first begins at midnight UTC of the first day; the last one counts only when the table reaches its last hour.
    Times without a zone are taken as UTC. Raises `BadInput` when there is no such table, column or time.
    """
    with connect() as connection:
        opened = open_target(connection, target, [])
        _need_time(opened, time)
        with reading(target):
            moment = f"CAST({quoted(time)} AS TIMESTAMPTZ)"
            # Texts, so that no package for time zones is needed.
            (ends,) = connection.sql(f"SELECT epoch_us(min({moment})), epoch_us(max({moment})) FROM {VIEW}").fetchall()
            if ends[0] is None:
                raise BadInput(f"{target} has no row with a time in {time}", do="Name another column with --time.")
            first, last = (_EPOCH + timedelta(microseconds=each) for each in ends)
            first = max(first, since) if since else first
            names = [name for name, kind in opened.kinds.items() if kind not in _TIMES]
            columns = ", ".join(quoted(name) for name in names)
            cuts = list(spans(first, last, every))
            start = cuts[0][0] if cuts else first
            rows = connection.sql(
                f"SELECT {columns}, (epoch_us({moment}) - {_micros(start)}) // {every // _MICROSECOND} AS {quoted(_NUMBER)} "
                f"FROM {VIEW} WHERE {moment} >= make_timestamptz({_micros(start)})"
            )
            profiles = _profiles(rows.to_arrow_reader(_BATCH), names, len(cuts))
    return [Window(*cut, one) for cut, one in zip(cuts, profiles, strict=True) if one.rows]


def _profiles(batches: Iterable[pa.RecordBatch], names: list[str], count: int) -> list[Profile]:
    """The profile of each of `count` windows from rows in any order, each with the number of its window."""
    parts: list[list[Profile]] = [[] for _ in range(count)]
    for batch in batches:
        numbers = batch.column(_NUMBER).to_numpy(zero_copy_only=False)
        order = np.argsort(numbers, kind="stable")
        rows = pa.table(batch).select(names).take(pa.array(order))
        inside, starts = np.unique(numbers[order], return_index=True)
        for number, start, end in zip(inside, starts, [*starts[1:], len(order)], strict=True):
            if number < count:
                parts[int(number)].append(profile(rows.slice(start, end - start)))
    return [merge(one) for one in parts]


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _need_time(opened: Opened, time: str) -> None:
    kinds = opened.kinds
    if time not in kinds:
        raise BadInput(f"{opened.name} has no column {time!r}", near_miss(time, kinds), do="Name it with --time.")
    if kinds[time] not in _TIMES:
        known = [name for name, kind in kinds.items() if kind in _TIMES]
        raise BadInput(
            f"{time} of {opened.name} is {opened.types[time]}, not a time",
            *[f"times are {', '.join(known)}"] * bool(known),
            do="Name a column of times with --time.",
        )


def spans(first: datetime, last: datetime, every: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Start and end of each whole window between two moments; an hour may lack at the end.

    >>> day = timedelta(days=1)
    >>> [start.day for start, _ in spans(datetime(2013, 1, 1, 7), datetime(2013, 1, 4, 12), day)]
    [1, 2, 3]
    """
    if every < timedelta(hours=1):
        raise BadInput(f"windows of {every} are too short", do="Write at least --every 1h.")
    start = first.replace(hour=0, minute=0, second=0, microsecond=0)
    while start + every <= last + timedelta(hours=1):
        yield start, start + every
        start += every


def day_windows(days: Mapping[datetime, Iterable[Profile]], every: timedelta) -> list[Window]:
    """Whole windows made of the profiles of days, given by their midnights in UTC; windows without rows are left out.

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
    return [window for window in made if window.profile.rows]
