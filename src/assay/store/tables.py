"""Tables of Parquet files, one folder a day or a run: `tables/<name>/day=YYYY-MM-DD/<file>.parquet`.

A file is written whole or not at all, under a name that its source decides; writing the same part again replaces it.
So whoever writes can be killed at any time and start over. What names say is in `table_files`, how many small files
become few in `compact`.
"""

import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import BadInput, Unavailable
from assay.store.artifacts import write_whole
from assay.store.durable import sync_folder
from assay.store.table_files import held_by, list_folder, name_for, told

_PART = re.compile(r"\w[\w.:@#-]*")
T = TypeVar("T")
#: One day a row.
Days = np.ndarray[Any, np.dtype[Any]]
_EPOCH = np.datetime64(0, "us")
#: The folder of rows without a day of their own: without a time, or with an odd one.
NO_DAY = "1970-01-01"
#: Days that lie so far from when a row was received have folders as a matter of course.
BEFORE, AFTER = np.timedelta64(400, "D"), np.timedelta64(30, "D")
#: Other days have folders too, so many in a table: of rows that are sent again, years later.
FAR_DAYS = 400
#: The days of one part that have most rows have folders, the others have none: one hand-over opens no more files.
DAYS_OF_PART = 64


def folder(tables: Path, name: str) -> Path:
    """Where a table is kept; raises `BadInput` for a name that would leave `tables`."""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise BadInput(f"{name!r} can't be the name of a table", do="Use letters, digits and underscores.")
    return tables / name


def write_part(tables: Path, name: str, part: str, rows: pa.Table, *, day: str) -> int:
    """Write `rows` as `part`.parquet of each UTC day of their `day` column; returns the files written.

    Rows without a time are filed under 1970-01-01. Raises `BadInput` for a part that would leave the folder.
    """
    where, days = folder(tables, name), _days(rows, day).astype(str)

    def write(one: str) -> int:
        write_whole(where / f"day={one}" / f"{_checked(part)}.parquet", parquet(rows.filter(pa.array(days == one))))
        return 1

    return _each(write, np.unique(days).tolist())


def file_served(tables: Path, name: str, part: str, rows: pa.Table, *, day: str, at: str) -> int:
    """File rows by the days that `filed_days` gives, unless they are in the table already; returns the files written.

    `at` is the column that says when a row was received.
    """
    where = folder(tables, name)
    days, place = _filed(where, rows, day=day, at=at)
    columns, ends = rows.schema, np.cumsum(np.bincount(place, minlength=len(days)))
    by_day = rows.take(pa.array(np.argsort(place, kind="stable")))

    def write(number: int) -> int:
        one, begin = days[number], int(ends[number - 1]) if number else 0
        some = by_day.slice(begin, int(ends[number]) - begin)
        path = where / f"day={one}" / name_for(_checked(part), columns, *_bounds(some, at))
        if held_by(list_folder(path.parent), told(path.parent.name, path)):
            sync_folder(path.parent)  # whoever filed it may have been killed before its name was on the disk
            return 0
        try:
            write_whole(path, parquet(some))
        except Unavailable:
            path.unlink(missing_ok=True)  # it may stand there with a name that the disk does not have
            raise
        return 1

    return _each(write, range(len(days)))


def write_run(tables: Path, name: str, run: str, part: str, rows: pa.Table, *, day: str, at: str) -> None:
    """Write the rows of a run as one file, with the day of each in a column `day`."""
    dated = rows.append_column("day", pa.array(_days(rows, day).astype(str).tolist(), pa.string()))
    where = folder(tables, name) / f"run={_checked(run)}"
    write_whole(where / name_for(_checked(part), dated.schema, *_bounds(rows, at)), parquet(dated))
    for file in list_folder(where):  # of a run that was resumed
        if file.id == part and file.path.name != name_for(part, dated.schema, *_bounds(rows, at)):
            file.path.unlink(missing_ok=True)
            sync_folder(where)  # or a power cut brings its rows back, beside the new ones


def filed_days(where: Path, rows: pa.Table, *, day: str, at: str) -> Days:
    """The day (YYYY-MM-DD) that each row is filed under: its own, or 1970-01-01 for an odd one.

    Odd are days beyond the 64 of most rows, and days that lie more than 400 before or 30 after the row was received,
    once the table at `where` has 400 such folders.
    """
    days, place = _filed(where, rows, day=day, at=at)
    return np.array(days, dtype=str)[place]


def _filed(where: Path, rows: pa.Table, *, day: str, at: str) -> tuple[list[str], Days]:
    """The days under which rows are filed, sorted, and the place of the day of each row among them."""
    days, received = _days(rows, day), _days(rows, at)
    far = (days < received - BEFORE) | (days > received + AFTER)
    pairs, place, counts = np.unique(days.astype(np.int64) * 2 + far, return_inverse=True, return_counts=True)
    texts = (pairs // 2).astype("datetime64[D]").astype(str).tolist()
    named: list[tuple[str, bool]] = list(zip(texts, (pairs % 2 == 1).tolist(), strict=True))
    allowed: set[str] = set()
    known: set[str] | None = None
    for _, (one, is_far) in sorted(zip((-counts).tolist(), named, strict=True)):
        if len(allowed) == DAYS_OF_PART:
            break
        if is_far:
            known = _far_folders(where, str(received.max())) if known is None else known
            if one not in known and len(known) >= FAR_DAYS:
                continue
            known.add(one)
        allowed.add(one)
    filed = [one if one in allowed else NO_DAY for one, _ in named]
    names = sorted(set(filed))
    return names, np.array([names.index(one) for one in filed], dtype=np.int64)[place]


def _far_folders(where: Path, received: str) -> set[str]:
    """The days with folders that lie far from `received`."""
    around = np.datetime64(received)
    low, high = str(around - BEFORE), str(around + AFTER)
    try:
        with os.scandir(where) as entries:
            days = [one.name.removeprefix("day=") for one in entries if one.name.startswith("day=")]
    except FileNotFoundError:
        return set()
    return {one for one in days if not low <= one <= high}


def _days(rows: pa.Table, column: str) -> Days:
    times = rows.column(column).cast(pa.timestamp("us"), safe=False).to_numpy()
    return np.where(np.isnat(times), _EPOCH, times).astype("datetime64[D]")


def _bounds(rows: pa.Table, at: str) -> tuple[datetime, datetime]:
    times = np.sort(rows.column(at).cast(pa.timestamp("us")).to_numpy())  # none last
    times = times[~np.isnat(times)]
    first, last = (times[0], times[-1]) if len(times) else (_EPOCH, _EPOCH)
    return first.item().replace(tzinfo=UTC), last.item().replace(tzinfo=UTC)


def _checked(part: str) -> str:
    if not _PART.fullmatch(part):
        raise BadInput(
            f"{part!r} can't be the name of a part", do="Use letters, digits and . _ - : @ # after the first."
        )
    return part


def _each(write: Callable[[T], int], days: Iterable[T]) -> int:
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return sum(threads.map(write, days))  # which raises what a thread raised


def parquet(rows: pa.Table) -> bytes:
    """Rows as the bytes of a Parquet file."""
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue().to_pybytes()
