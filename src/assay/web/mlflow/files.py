"""Artifacts of runs and of logged models, by the paths that MLflow gives them.

A path is only a name: it is looked up in the database, and what lies on the disk is named by its content.
"""

import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Table, delete, select

from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import logged_model_artifacts, run_artifacts
from assay.track.find import ARTIFACTS
from assay.track.find import load as load_runs
from assay.web.http import Answer
from assay.web.mlflow import shape
from assay.web.mlflow.ask import Ask, check_length, safe_path
from assay.web.mlflow.errors import MlflowError, invalid, missing
from assay.web.mlflow.known import no_run
from assay.web.mlflow.logged import model_root

LONGEST_NAME = 500


@dataclass(frozen=True)
class Place:
    """Where an artifact is kept: of which run or model, under which name; an empty name is all of them."""

    table: Table
    owner: str
    name: str

    @property
    def key(self) -> dict[str, str]:
        """The owner, as a column."""
        return {"run_id" if self.table is run_artifacts else "model_id": self.owner}


def locate(connection: Connection, path: str) -> Place:
    """The place that a path below the root of all artifacts names. Raises an error of MLflow's for one of nothing."""
    parts = safe_path(path.strip("/")).split("/")
    uri = ARTIFACTS + "/".join(parts)
    for at, part in enumerate(parts):
        if part == "artifacts" and at > 1:
            owner = parts[at - 1]
            try:
                found = _owner(connection, owner, of_model=parts[at - 2] == "models")
            except MlflowError:
                continue
            table, root = found
            if f"{uri}/".startswith(f"{root}/"):
                name = uri[len(root) :].strip("/")
                return Place(table, owner, check_length("path", name, LONGEST_NAME))
    raise missing(f"No run and no model has artifacts at {path[:200]!r}")


def _owner(connection: Connection, owner: str, *, of_model: bool) -> tuple[Table, str]:
    if of_model:
        return logged_model_artifacts, model_root(connection, owner)
    found = load_runs(connection, [owner])
    if not found:
        raise no_run(owner)
    return run_artifacts, shape.run_root(found[0])


def listed(store: Store, ask: Ask) -> dict[str, Any]:
    """The files and folders of a run below a path."""
    run_id, path = ask.text("run_id", "run_uuid"), ask.text_or_none("path") or ""
    with store.database.read() as connection:
        table, root = _owner(connection, run_id, of_model=False)
        return {"root_uri": root, "files": _list(connection, Place(table, run_id, _below(path)), from_root=True)}


def listed_of_model(store: Store, ask: Ask) -> dict[str, Any]:
    """The files and folders of a logged model below a path."""
    model_id, path = ask.request.places[0], ask.text_or_none("artifact_directory_path") or ""
    with store.database.read() as connection:
        table, root = _owner(connection, model_id, of_model=True)
        return {"root_uri": root, "files": _list(connection, Place(table, model_id, _below(path)), from_root=True)}


def listed_by_path(store: Store, ask: Ask) -> dict[str, Any]:
    """The files and folders below a path of all artifacts, by their last names."""
    with store.database.read() as connection:
        return {"files": _list(connection, locate(connection, ask.text("path")), from_root=False)}


def _below(path: str) -> str:
    return safe_path(path.strip("/")) if path.strip("/") else ""


def _list(connection: Connection, place: Place, *, from_root: bool) -> list[dict[str, Any]]:
    t = place.table.c
    rows = connection.execute(select(t.name, t.size_bytes).filter_by(**place.key).order_by(t.name)).all()
    prefix = f"{place.name}/" if place.name else ""
    found: dict[str, dict[str, Any]] = {}
    for name, size in rows:
        if not name.startswith(prefix):
            continue
        first, deeper, _ = name[len(prefix) :].partition("/")
        shown = prefix + first if from_root else first
        found[first] = (
            {"path": shown, "is_dir": True} if deeper else {"path": shown, "is_dir": False, "file_size": size}
        )
    return [found[name] for name in sorted(found)]


def put(store: Store, path: str, chunks: Iterable[bytes]) -> None:
    """Keep a file at a path; it is there whole or not at all."""
    with store.database.read() as connection:
        place = locate(connection, path)
    if not place.name:
        raise invalid(f"{path!r} names a folder, not a file")
    stored = store.artifacts.put_stream(chunks)
    keep(store, place, stored.digest, stored.size)


def keep(store: Store, place: Place, digest: str, size: int) -> None:
    """Note a file that is kept."""
    row = {**place.key, "name": place.name, "digest": digest, "size_bytes": size}
    with store.database.begin() as connection:
        upsert(connection, place.table, [row])


def get(store: Store, path: str) -> Answer:
    """The file at a path, as a download: no browser shows it as a page of ours."""
    with store.database.read() as connection:
        place = locate(connection, path)
        t = place.table.c
        row = connection.execute(select(t.digest, t.size_bytes).filter_by(**place.key, name=place.name)).first()
    if row is None:
        raise missing(f"There is no artifact {path[:200]!r}")
    name = quote(place.name.rsplit("/", 1)[-1])
    headers = {
        "content-type": mimetypes.guess_type(place.name)[0] or "application/octet-stream",
        "content-disposition": f"attachment; filename*=UTF-8''{name}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }
    return Answer(headers=headers, pieces=iter(store.artifacts.read(row.digest)), size=row.size_bytes)


def remove(store: Store, path: str) -> None:
    """Remove the file at a path, or everything below it; its content goes with the next `assay gc`."""
    with store.database.begin() as connection:
        place = locate(connection, path)
        t = place.table.c
        prefix = f"{place.name}/" if place.name else ""
        below = t.name == place.name
        below = below | (t.name.startswith(prefix, autoescape=True) if prefix else t.name.is_not(None))
        connection.execute(delete(place.table).filter_by(**place.key).where(below))
