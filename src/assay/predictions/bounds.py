"""Keeps the prediction log from growing without bound: days are compacted, old training rows go."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from assay.predictions.layout import table_name
from assay.store import Home, Store
from assay.store.compact import FOLDERS_AT_ONCE, Compacted, compact
from assay.store.schema import aliases, model_versions
from assay.store.shared import compact_shared, files_listed, forget, shared_tables
from assay.store.table_files import TableFile, moment_of
from assay.times import now

#: The training rows of so many of the newest versions of a model stay, however old.
VERSIONS = 5
#: Training rows of a run that is younger stay, whatever became of it.
TRAINED_FOR = timedelta(days=30)


@dataclass
class Bounded:
    """What was compacted and removed, or would be removed."""

    #: Folders of days that were compacted, how many files went into it and came out.
    compacted_days: int = 0
    compacted_files: int = 0
    compacted_into: int = 0
    #: Runs whose training rows were removed.
    training_runs: int = 0


def bound(store: Store, *, older_than: timedelta = TRAINED_FOR, dry_run: bool = False) -> Bounded:
    """Compact the served rows and remove the training rows that nobody needs, of every model.

    Training rows stay while their run is younger than `older_than`, or made a version that has an alias or is one of
    the five newest of its model. Raises `Unavailable` when the database or the disk is away.
    """
    done = Bounded()
    if not dry_run:
        each = compact_served(store.home)
        done.compacted_days, done.compacted_files, done.compacted_into = each.folders, each.merged, each.into
    for runs in _needless(store, now() - older_than).values():
        done.training_runs += 1
        for file in [] if dry_run else runs:
            _remove(store.home, file)
    if not dry_run:
        forget(store.home)
    return done


def compact_served(home: Home, *, limit: int = FOLDERS_AT_ONCE) -> Compacted:
    """Compact the tables of served rows, `limit` folders of each at most."""
    done = Compacted()
    shared = {path.name for path in home.shared.glob("served.*")} if shared_tables(home) else set[str]()
    each = [compact(table, limit=limit) for table in sorted(home.tables.glob("served.*"))]
    for one in [*each, *(compact_shared(home, name, limit=limit) for name in sorted(shared))]:
        done.folders, done.merged, done.into = (
            done.folders + one.folders,
            done.merged + one.merged,
            done.into + one.into,
        )
    return done


def _needless(store: Store, before: datetime) -> dict[str, list[TableFile]]:
    """The files of training rows that nobody needs, by their run."""
    needed = _needed_runs(store)
    found: dict[str, list[TableFile]] = {}
    for table in sorted(_tables(store.home, "trained.")):
        for file in files_listed(store.home, table):
            run = file.run or file.id.rpartition("-")[0]  # older files are filed by day and called RUN-PART
            if run not in needed.get(table, ()) and _trained_at(file) < before:
                found.setdefault(run, []).append(file)
    return found


def _tables(home: Home, begin: str) -> set[str]:
    """The tables that this machine or another has."""
    here = {path.name for path in home.tables.glob(f"{begin}*")}
    shared = shared_tables(home)
    return here | ({name.partition("/")[0] for name in shared.names("") if name.startswith(begin)} if shared else set())


def _needed_runs(store: Store) -> dict[str, set[str]]:
    """The runs of versions that are needed, by table."""
    v = model_versions.c
    found: dict[str, set[str]] = {}
    with store.database.read() as connection:
        named = {(row.model, row.version) for row in connection.execute(select(aliases.c.model, aliases.c.version))}
        newest: dict[str, int] = {}
        for row in connection.execute(select(v.model, v.version, v.run_id).order_by(v.version.desc())):
            newest[row.model] = newest.get(row.model, 0) + 1
            if row.run_id and (newest[row.model] <= VERSIONS or (row.model, row.version) in named):
                found.setdefault(table_name("trained", row.model), set()).add(row.run_id)
    return found


def _trained_at(file: TableFile) -> datetime:
    try:
        return moment_of(file.first) or datetime.fromtimestamp(file.path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.now(UTC)


def _remove(home: Home, file: TableFile) -> None:
    file.path.unlink(missing_ok=True)
    if file.run:
        with suppress(OSError):  # not empty yet, or not here
            file.path.parent.rmdir()
    shared = shared_tables(home)
    if shared and file.path.is_relative_to(home.shared):
        shared.delete(file.path.relative_to(home.shared).as_posix())
