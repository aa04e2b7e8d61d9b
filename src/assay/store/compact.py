"""Makes few files of many: a day's small files become one, while others read and write.

A merged file is on the disk, under its name, before those that it was made of are removed, and its footer lists them:
whoever lists the folder meanwhile knows that they count no more (`table_files.counting`). So a kill at any moment
neither loses a row nor doubles one, and what it left is removed by the next pass. Readers that know nothing of this,
with a glob of their own, see rows twice for the moment between the two, or a file that is gone when they open it.
"""

import fcntl
import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import Unavailable
from assay.store.durable import open_writable
from assay.store.parts import Part
from assay.store.table_files import MERGED, PARTS, TableFile, columns_of, counting, list_folder, parts_of, stamp
from assay.times import now

log = logging.getLogger(__name__)
#: So many small files of one folder are merged at once, also while more come.
MANY = 32
#: A folder that got no row for so long is quiet: its files become one.
QUIET = timedelta(days=1)
#: Larger files stay as they are.
LARGE_BYTES = 256 << 20
#: Folders that one pass works on: so much, and it ends.
FOLDERS_AT_ONCE = 64
_ROWS_AT_ONCE = 64 << 10
_ROW_GROUP = 128 << 10
_LOCK = ".compacting"


@dataclass
class Compacted:
    """What a pass did."""

    folders: int = 0
    #: Files that were merged, and what became of them.
    merged: int = 0
    into: int = 0


def compact(table: Path, *, limit: int = FOLDERS_AT_ONCE, at: datetime | None = None) -> Compacted:
    """Merge the small files of a table's days, of `limit` folders at most; nothing when another process is at it.

    Raises `Unavailable` when the disk is full; the table is whole then.
    """
    done = Compacted()
    quiet = quiet_since(at)
    with _alone(table) as mine:
        for folder in sorted(table.glob("day=*")) if mine else ():
            if done.folders >= limit:
                break
            _compact_folder(folder, quiet, done)
    return done


def quiet_since(at: datetime | None = None) -> str:
    """What got no row since is quiet."""
    return stamp((at or now()) - QUIET)


def _compact_folder(folder: Path, quiet: str, done: Compacted) -> None:
    listed = list_folder(folder)
    files = counting(listed)
    for left in set(listed) - set(files):  # by a pass that was killed
        left.path.unlink(missing_ok=True)
    chosen = choose(files, quiet)
    if not chosen:
        return
    merged = 0
    for group in of_one_schema(chosen):
        if len(group) > 1 and merged_file(folder, group):
            merged += len(group)
            done.into += 1
    done.merged += merged
    done.folders += merged > 0


def merged_file(folder: Path, files: Sequence[TableFile]) -> Path | None:
    """Make one file of several, which are removed; None when one of them is damaged or gone, and they stay.

    Raises `Unavailable` when the disk is full.
    """
    try:
        return _merge(folder, files)
    except (pa.ArrowException, FileNotFoundError) as error:
        log.warning("files of %s can't be merged and stay as they are: %s", folder, error)
        return None
    except OSError as error:
        raise Unavailable(f"can't write into {folder}: {error.strerror or error}", do="Free some disk space.") from None


def choose(files: Sequence[TableFile], quiet: str) -> list[TableFile]:
    """The files of one folder to merge now, oldest first.

    A quiet folder becomes one file; in a busy one every 32 parts, and then every 32 merged files, do.
    """
    small = sorted(file for file in files if _size(file) < LARGE_BYTES)
    if len(small) > 1 and all(_received(file) < quiet for file in small):
        return _together(small)
    for some in ([file for file in small if not file.merged], [file for file in small if file.merged]):
        if len(some) >= MANY:
            return _together(some)
    return []


def _together(files: Sequence[TableFile]) -> list[TableFile]:
    """The first files that make a large one, two at least."""
    chosen, total = list(files[:1]), _size(files[0])
    for file in files[1:]:
        if total >= LARGE_BYTES and len(chosen) > 1:
            break
        chosen.append(file)
        total += _size(file)
    return chosen


def _received(file: TableFile) -> str:
    """When the newest row was received; of a file of an older version, when it was written."""
    if file.first:
        return file.last
    try:
        return stamp(datetime.fromtimestamp(file.path.stat().st_mtime).astimezone())
    except FileNotFoundError:
        return file.last


def _size(file: TableFile) -> int:
    try:
        return file.path.stat().st_size
    except FileNotFoundError:
        return 0


def of_one_schema(files: Sequence[TableFile]) -> Iterator[list[TableFile]]:
    """The files in groups whose columns fit together: a column of another type than before is another group.

    A file that can't be read is left out.
    """
    groups: list[tuple[pa.Schema, list[TableFile]]] = []
    for file in files:
        try:
            schema = pq.read_schema(file.path).remove_metadata()
        except (pa.ArrowInvalid, OSError) as error:
            log.warning("%s can't be read and stays as it is: %s", file.path, error)
            continue
        for i, (known, group) in enumerate(groups):
            try:
                groups[i] = (pa.unify_schemas([known, schema]), [*group, file])
                break
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                continue
        else:
            groups.append((schema, [file]))
    return (group for _, group in groups)


def _merge(folder: Path, files: Sequence[TableFile]) -> Path:
    schema = pa.unify_schemas([pq.read_schema(file.path).remove_metadata() for file in files])
    ids = sorted(set[str]().union(*map(parts_of, files)))
    name = f"{MERGED}{sha256(chr(10).join(ids).encode()).hexdigest()[:12]}"
    first, last = min(_first(file) for file in files), max(_received(file) for file in files)
    target = folder / f"{first}_{last}_{columns_of(schema)}_{name}.parquet"
    told = schema.with_metadata({PARTS: "\n".join(ids).encode()})
    with Part(folder, str(target)) as part:
        with pq.ParquetWriter(part.path, told, compression="zstd") as writer:
            for batch in _batches(files, schema):
                writer.write_table(batch, row_group_size=_ROW_GROUP)
        part.keep(target)
    for file in files:
        if file.path != target:
            file.path.unlink(missing_ok=True)
    return target


def _first(file: TableFile) -> str:
    return file.first or "00010101T000000"


def _batches(files: Sequence[TableFile], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of all files, about a row group at a time."""
    waiting: list[pa.Table] = []
    rows = 0
    for file in files:
        with pq.ParquetFile(file.path) as opened:
            for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE):
                waiting.append(_as(pa.table(batch), schema))
                rows += batch.num_rows
                if rows >= _ROW_GROUP:
                    yield pa.concat_tables(waiting)
                    waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _as(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows with all columns of a schema, null where they have none."""
    known = set(rows.column_names)
    columns: list[Any] = [
        rows.column(field.name).cast(field.type) if field.name in known else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


@contextmanager
def _alone(table: Path) -> Generator[bool]:
    """Hold the table's lock; False when another process has it, or there is no such table."""
    try:
        file = open_writable(table / _LOCK, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        yield False
        return
    except OSError as error:
        raise Unavailable(f"can't write into {table}: {error.strerror}", do="Correct the permissions.") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)
