"""Files of runs and logged models on their way into this store."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Table, select

from assay.errors import BadInput, Unavailable
from assay.exchange.records import OutOfReach, SourceFile, SourceModel, SourceRun, Tracker
from assay.exchange.summary import Summary
from assay.store import Store
from assay.store.database import upsert
from assay.store.durable import make_folder
from assay.store.locks import lock_one
from assay.store.schema import logged_models, run_artifacts, runs
from assay.track.values import artifact_name

_PIECE = 1 << 20


def list_files(source: Tracker, of: SourceRun | SourceModel, shown: str, summary: Summary) -> list[SourceFile]:
    """The files of a run or a model; that they can't be listed, or that one has an impossible name, is noted."""
    try:
        files = source.files(of)
    except OutOfReach as error:
        summary.leave_unfinished(shown, str(error))
        return []
    fitting: list[SourceFile] = []
    for file in files:
        try:
            artifact_name(file.name)
        except BadInput:
            summary.leave_out("files whose names can't be those of artifacts", f"{shown}: {file.name[:80]}")
        else:
            fitting.append(file)
    return fitting


def bring_files(
    store: Store, source: Tracker, table: Table, key: tuple[str, str], files: list[SourceFile], *, new: bool
) -> tuple[list[int], dict[str, str]]:
    """Bring files one by one: the sizes of those that came, and of those that could not be had the reasons.

    Of a run that was on its way when an import ended (`new`), only those that lack are fetched.
    """
    column, of = key
    with store.database.read() as connection:
        asked = select(table.c.name, table.c.digest, table.c.size_bytes).where(table.c[column] == of)
        here = {name: (digest, size) for name, digest, size in connection.execute(asked)}
    came: list[int] = []
    missing: dict[str, str] = {}
    for file in files:
        name = artifact_name(file.name)
        if new and not file.mark and here.get(name, ("", -1))[1] == file.size_bytes:
            continue
        try:
            kept = _fetch(store, source, file)
        except OutOfReach as error:
            missing[file.name] = str(error)
            continue
        if here.get(name) == kept:
            continue
        row = {column: of, "name": name, "digest": kept[0], "size_bytes": kept[1]}
        store.database.write(lambda c, row=row: _note(c, table, row))
        came.append(kept[1])
    return came, missing


def _note(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Note a file of a run or a model, which others who write to it wait for."""
    key = "run_id" if table is run_artifacts else "model_id"
    owners = runs if table is run_artifacts else logged_models
    lock_one(connection, owners, row[key], owners.c.id)
    upsert(connection, table, [row])


def bring_contents(store: Store, source: Tracker, files: Iterable[SourceFile]) -> dict[str, str]:
    """Bring files that rows name by their digests; of those that could not be had, the reasons."""
    missing: dict[str, str] = {}
    for file in files:
        try:
            kept = _fetch(store, source, file)
        except OutOfReach as error:
            missing[file.name] = str(error)
        else:
            if kept[0] != file.mark:
                missing[file.name] = "it does not match its digest"
    return missing


def _fetch(store: Store, source: Tracker, file: SourceFile) -> tuple[str, int]:
    if file.problem:
        raise OutOfReach(file.problem)
    with TemporaryDirectory(prefix="assay-import-", dir=_scratch(store)) as folder:
        stored = store.artifacts.put_stream(pieces(source.fetch(file, Path(folder))))
    return stored.digest, stored.size


def pieces(path: Path) -> Iterator[bytes]:
    """A file, piece by piece. Raises `OutOfReach` when it can't be read."""
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise OutOfReach(f"it can't be read: {error.strerror}") from None


def _scratch(store: Store) -> Path:
    """A folder on the disk of the home, for files on their way."""
    folder = store.home.path / "tmp"
    try:
        make_folder(folder)
    except OSError as error:
        raise Unavailable(f"can't make {folder}: {error.strerror}", do="Correct its permissions.") from None
    return folder
