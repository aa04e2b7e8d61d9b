"""The files of one table, told by their names: day or run, when its rows came, which columns, whose they are.

    tables/<name>/day=2026-11-25/20261125T083000_20261125T083030_1f00c3aa_<id>.parquet
    tables/<name>/run=<run>/...

The two moments bound when the rows of a file were received, so that a look-up opens only what it needs; the eight
hexadecimal digits are those of its columns, so that of many files one need be opened to know them all. The id is that
of a part: of a spool segment, or `merged-...` for a file that compaction made of several; its footer lists whose rows
it holds. One rule makes every crash harmless: a file counts unless another file of its folder lists all that it holds.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MERGED = "merged-"
#: Under this key a merged file lists the ids of its parts.
PARTS = b"assay:parts"
_NAME = re.compile(r"(?P<first>\d{8}T\d{6})_(?P<last>\d{8}T\d{6})_(?P<columns>[0-9a-f]{8})_(?P<id>.+)\.parquet")
_STAMP = "%Y%m%dT%H%M%S"
_LATEST = "99999999T999999"


@dataclass(frozen=True, order=True)
class TableFile:
    """One file of a table."""

    #: Its folder: `day=...` or `run=...`.
    folder: str
    #: When its rows were received, to the second; empty and beyond all for files of older versions of Assay.
    first: str
    last: str
    #: Equal for files with the same columns; for older files their path.
    columns: str
    id: str
    path: Path

    @property
    def merged(self) -> bool:
        """Whether compaction made it."""
        return self.id.startswith(MERGED)

    @property
    def day(self) -> str:
        """The day that its rows are filed under, or nothing for rows of a run."""
        return self.folder.removeprefix("day=") if self.folder.startswith("day=") else ""

    @property
    def run(self) -> str:
        """The run whose rows it holds, or nothing."""
        return self.folder.removeprefix("run=") if self.folder.startswith("run=") else ""

    def since(self, moment: datetime | None) -> bool:
        """Whether it can hold rows received at `moment` or later."""
        return moment is None or self.last >= stamp(moment)


def stamp(moment: datetime) -> str:
    """A moment as names have it, in UTC and whole seconds.

    >>> stamp(datetime(2026, 11, 25, 8, 30, tzinfo=UTC))
    '20261125T083000'
    """
    return f"{moment.astimezone(UTC):{_STAMP}}"


def moment_of(stamped: str) -> datetime | None:
    """The moment of a stamp; None when the name of the file does not tell it."""
    try:
        return datetime.strptime(stamped, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def name_for(part: str, columns: pa.Schema, first: datetime, last: datetime) -> str:
    """The name of the file of a part whose rows were received from `first` to `last`."""
    until = last if last.microsecond == 0 else last + timedelta(seconds=1)
    return f"{stamp(first)}_{stamp(until)}_{columns_of(columns)}_{part}.parquet"


def columns_of(schema: pa.Schema) -> str:
    """Eight digits that are equal for equal names and types in the same order."""
    said = "\n".join(f"{field.name}: {field.type}" for field in schema)
    return sha256(said.encode()).hexdigest()[:8]


def told(folder: str, path: Path) -> TableFile:
    """What the name of a file says."""
    known = _NAME.fullmatch(path.name)
    if known is None:
        return TableFile(folder, "", _LATEST, str(path), path.stem, path)
    return TableFile(folder, known["first"], known["last"], known["columns"], known["id"], path)


def every(folders: set[str]) -> set[str]:
    """All folders of a table."""
    return folders


@dataclass(frozen=True)
class FileSelection:
    """Which files of a table are wanted."""

    #: Of the names of all folders, those that are looked into.
    folders: Callable[[set[str]], set[str]] = every
    #: Of the files in these, those that are wanted.
    file: Callable[[TableFile], bool] = lambda _: True
    #: Whether one file more is wanted of each set of columns that the others do not have.
    all_columns: bool = False


def folders_of(where: Path) -> set[str]:
    """The names of the folders of the table at `where`."""
    try:
        with os.scandir(where) as entries:
            return {one.name for one in entries if one.name.startswith(("day=", "run="))}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def choose_files(
    folders: set[str],
    wanted: FileSelection,
    counted: Callable[[str], list[TableFile]],
    listed: Callable[[str], Iterable[str]],
) -> list[TableFile]:
    """The wanted files of a table, in their order.

    `counted` gives the files of a folder that count; `listed` the paths of all, and quickly, for it is asked of each.
    """
    chosen = wanted.folders(folders) & folders
    files = [file for name in chosen for file in counted(name) if wanted.file(file)]
    if wanted.all_columns:
        known = {file.columns for file in files}
        for name in sorted(folders - chosen, reverse=True):
            for path in listed(name):
                if _columns_named(path) not in known:
                    files.append(told(name, Path(path)))
                    known.add(files[-1].columns)
    return sorted(files)


def _columns_named(path: str) -> str:
    found = _NAME.fullmatch(path.rpartition("/")[2])
    return found["columns"] if found else path


def list_folder(folder: Path) -> list[TableFile]:
    """Every file of one folder.

    A folder that changes while it is listed may show a file that is gone, and not the one that took its place:
    two listings that agree do not.
    """
    before: list[str] | None = None
    while (found := _names(folder)) != before:
        before = found
    return [told(folder.name, folder / name) for name in found]


def glance_at(folder: str) -> list[str]:
    """The paths of the files in a folder; while it changes they may be neither the old nor the new."""
    try:
        with os.scandir(folder) as entries:
            return [one.path for one in entries if one.name.endswith(".parquet") and one.name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _names(folder: Path) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in glance_at(str(folder)))


def counting(files: list[TableFile]) -> list[TableFile]:
    """The files of one folder without those whose rows another one holds too."""
    merged = [file for file in files if file.merged]
    if not merged:
        return files
    return [file for file in files if not any(_holds(other, file) for other in merged)]


def held_by(files: Iterable[TableFile], part: TableFile) -> bool:
    """Whether a merged file among `files` holds the rows of a part."""
    return any(_holds(file, part) for file in files if file.merged)


def _holds(other: TableFile, file: TableFile) -> bool:
    if other.path == file.path or (file.first and not other.first <= file.first <= file.last <= other.last):
        return False
    theirs, own = parts_of(other), parts_of(file)
    return own < theirs or (own == theirs and (not file.merged or other.path.name < file.path.name))


def parts_of(file: TableFile) -> frozenset[str]:
    """The ids of the parts whose rows a file holds; for a merged one its footer is read."""
    return _listed(file.path) if file.merged else frozenset([file.id])


@lru_cache(maxsize=256)
def _listed(path: Path) -> frozenset[str]:
    try:
        said = (pq.read_schema(path).metadata or {}).get(PARTS, b"")
    except FileNotFoundError:  # merged once more meanwhile
        return frozenset()
    return frozenset(said.decode().split("\n")) if said else frozenset()
