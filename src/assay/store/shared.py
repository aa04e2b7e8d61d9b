"""The tables of a team: files of Parquet tables beside the artifacts, where every machine reads them.

    ASSAY_ARTIFACTS/tables/<name>/<day=... or run=...>/<file>.parquet

A machine writes into its own `tables/` first, and hands the files on later (`hand_on`); then they are in its `shared/`,
where also lies what it fetched of others. A file never changes under its name, so a copy is as good as the original.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from assay.errors import NotFound, Unavailable
from assay.store.bucket import Bucket
from assay.store.compact import FOLDERS_AT_ONCE, Compacted, choose, merged_file, of_one_schema, quiet_since
from assay.store.durable import make_folder
from assay.store.home import Home
from assay.store.parts import Part, pieces
from assay.store.place import folder_of
from assay.store.table_files import (
    FileSelection,
    TableFile,
    choose_files,
    counting,
    folders_of,
    glance_at,
    list_folder,
    told,
)
from assay.store.tables import folder as table_folder

PREFIX = "tables"
_FETCHES_AT_ONCE = 8


class Shared(Protocol):
    """Where the files of tables lie for all machines; names are relative, with "/". All methods raise `Unavailable`."""

    def names(self, below: str) -> Iterator[str]:
        """The files below a folder."""
        ...

    def put(self, name: str, path: Path) -> None:
        """Keep a file; the same again changes nothing."""
        ...

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file to here. Raises `NotFound`."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


class SharedBucket:
    """In a bucket."""

    def __init__(self, url: str, spool: Path) -> None:
        self._bucket = Bucket(f"{url.rstrip('/')}/{PREFIX}", spool)

    def names(self, below: str) -> Iterator[str]:
        """The files below a folder."""
        return self._bucket.below(below)

    def put(self, name: str, path: Path) -> None:
        """Keep a file; the same again changes nothing."""
        self._bucket.put(name, path)

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file to here. Raises `NotFound`."""
        with Part(to.parent, str(to)) as part:
            for piece in self._bucket.read(name):
                part.write(piece)
            part.keep(to)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._bucket.delete_named(name)


class SharedFolder:
    """In a folder that several machines have, beside the artifacts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / PREFIX

    def names(self, below: str) -> Iterator[str]:
        """The files below a folder."""
        for path in (self._folder / below).rglob("*.parquet"):
            if not path.name.startswith("."):
                yield path.relative_to(self._folder).as_posix()

    def put(self, name: str, path: Path) -> None:
        """Keep a file; the same again changes nothing."""
        _copy(path, self._folder / name)

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file to here. Raises `NotFound`."""
        _copy(self._folder / name, to)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"can't delete {self._folder / name}: {error.strerror}") from None


def _copy(source: Path, to: Path) -> None:
    with Part(to.parent, str(to)) as part:
        for piece in pieces(source):
            part.write(piece)
        part.keep(to)


def shared_tables(home: Home) -> Shared | None:
    """Where the machines of a team share their tables; None when the artifacts lie in this home and nobody shares."""
    url = home.artifacts_url
    if url.startswith("s3://"):
        return SharedBucket(url, home.shared)
    folder = folder_of(home)
    return None if folder.resolve() == home.artifacts.resolve() else SharedFolder(folder)


def hand_on(home: Home) -> int:
    """Give the files of this machine's tables to where all read them; returns how many.

    Raises `Unavailable` when that is away: then they wait, and are read here all the same.
    """
    shared = shared_tables(home)
    if shared is None:
        return 0
    done = 0
    for path in sorted(home.tables.glob("*.*/*/*.parquet")):
        name = path.relative_to(home.tables).as_posix()
        kept = home.shared / name
        try:
            shared.put(name, path)
            make_folder(kept.parent)
            path.replace(kept)
        except (NotFound, FileNotFoundError):  # compacted, or handed on by another process
            continue
        done += 1
        with suppress(OSError):
            path.parent.rmdir()
    return done


def forget(home: Home) -> int:
    """Remove the local copies of files that are shared no more; returns how many. Raises `Unavailable`."""
    shared = shared_tables(home)
    if shared is None:
        shutil.rmtree(home.shared, ignore_errors=True)
        return 0
    there, gone = set(shared.names("")), 0
    for path in sorted(home.shared.glob("*/*/*.parquet")):
        if path.relative_to(home.shared).as_posix() not in there:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


ALL = FileSelection()


def files_for_all(home: Home, table: str, wanted: FileSelection = ALL) -> list[TableFile]:
    """The files of a table that count, of all machines; what is wanted of others is fetched first.

    Raises `Unavailable` when the place that is shared is away.
    """
    shared = shared_tables(home)
    if shared is None:
        return files_here(home, table, wanted)
    own, far = table_folder(home.tables, table), _by_folder(shared, table)

    def listed(folder: str) -> list[str]:
        names = far.get(folder, ())
        return [*glance_at(f"{own}/{folder}"), *(f"{home.shared}/{table}/{folder}/{name}" for name in names)]

    def counted(folder: str) -> list[TableFile]:
        files = _unique(list_folder(own / folder), _told(home, table, folder, far.get(folder, ())))
        if len(files) > 1:
            _fetch(home, shared, (file for file in files if file.merged))
        return counting(files)

    chosen = choose_files(folders_of(own) | set(far), wanted, counted, listed)
    _fetch(home, shared, chosen)
    return chosen


def files_here(home: Home, table: str, wanted: FileSelection = ALL) -> list[TableFile]:
    """The files of a table that this machine has: its own, and copies of those of others."""
    places = [place for place in (table_folder(home.tables, table), home.shared / table) if place.is_dir()]

    def counted(folder: str) -> list[TableFile]:
        return counting(_unique(*(list_folder(place / folder) for place in places)))

    def listed(folder: str) -> list[str]:
        return [path for place in places for path in glance_at(f"{place}/{folder}")]

    return choose_files(set[str]().union(*map(folders_of, places)), wanted, counted, listed)


def _unique(*listings: Iterable[TableFile]) -> list[TableFile]:
    """Each file once, that of the first listing which has it."""
    found: dict[str, TableFile] = {}
    for file in (file for files in listings for file in files):
        found.setdefault(file.path.name, file)
    return sorted(found.values())


def _told(home: Home, table: str, folder: str, names: Iterable[str]) -> list[TableFile]:
    return [told(folder, home.shared / table / folder / name) for name in names]


def files_listed(home: Home, table: str) -> list[TableFile]:
    """Every file of a table, of all machines, whether it counts and is here or not."""
    shared, own = shared_tables(home), table_folder(home.tables, table)
    far = _by_folder(shared, table) if shared else {}
    return [
        file
        for folder in sorted(folders_of(own) | set(far))
        for file in _unique(list_folder(own / folder), _told(home, table, folder, far.get(folder, ())))
    ]


def _by_folder(shared: Shared, table: str) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in shared.names(table):
        _, folder, file = name.split("/")[-3:]
        if name.startswith(f"{table}/") and file.endswith(".parquet"):
            found[folder].append(file)
    return found


def _fetch(home: Home, shared: Shared, files: Iterable[TableFile]) -> None:
    def one(file: TableFile) -> None:
        if not file.path.exists():
            shared.fetch(file.path.relative_to(home.shared).as_posix(), file.path)

    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as threads:
        list(threads.map(one, files))


def compact_shared(home: Home, table: str, *, limit: int = FOLDERS_AT_ONCE) -> Compacted:
    """Merge the small files of a shared table, of `limit` folders at most.

    Several machines may do it at once: each file lists what it holds, so that the rows of none count twice.
    Raises `Unavailable`; the table is whole then.
    """
    shared, done = shared_tables(home), Compacted()
    for folder, names in sorted(_by_folder(shared, table).items()) if shared else ():
        if done.folders >= limit:
            break
        if shared and len(names) > 1 and folder.startswith("day="):
            _compact_folder(home, shared, _told(home, table, folder, names), done)
    return done


def _compact_folder(home: Home, shared: Shared, listed: list[TableFile], done: Compacted) -> None:
    try:
        _fetch(home, shared, (file for file in listed if file.merged))
        files = counting(listed)
        chosen = choose(files, quiet_since())
        _fetch(home, shared, chosen)
    except NotFound:  # another machine is at it
        return
    _delete(home, shared, set(listed) - set(files))  # of a pass that was killed
    groups = [group for group in of_one_schema(chosen) if len(group) > 1]
    for group in groups:
        target = merged_file(group[0].path.parent, group)
        if target is None:
            continue
        shared.put(target.relative_to(home.shared).as_posix(), target)
        _delete(home, shared, (file for file in group if file.path != target))
        done.merged += len(group)
        done.into += 1
    done.folders += bool(groups)


def _delete(home: Home, shared: Shared, files: Iterable[TableFile]) -> None:
    for file in files:
        shared.delete(file.path.relative_to(home.shared).as_posix())
        file.path.unlink(missing_ok=True)
