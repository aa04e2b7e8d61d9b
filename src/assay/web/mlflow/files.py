"""Artifacts of runs and of logged models, by the paths that MLflow gives them.

A path is only a name: it is looked up in the database, and what lies on the disk is named by its content.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from assay.store import Store
from assay.store.database import upsert
from assay.store.locks import lock_one
from assay.store.schema import logged_model_artifacts, logged_models, run_artifacts, runs
from assay.track.find import ARTIFACTS
from assay.track.find import load as load_runs
from assay.web.http import Answer, answer_json
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
                found = owner_of(connection, owner, of_model=parts[at - 2] == "models")
            except MlflowError:
                continue
            table, root = found
            if f"{uri}/".startswith(f"{root}/"):
                name = uri[len(root) :].strip("/")
                return Place(table, owner, check_length("path", name, LONGEST_NAME))
    raise missing(f"No run and no model has artifacts at {path[:200]!r}")


def owner_of(connection: Connection, owner: str, *, of_model: bool) -> tuple[Table, str]:
    """The table of the artifacts of a run or of a model, and their root. Raises an error of MLflow's for one of nothing."""
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
        table, root = owner_of(connection, run_id, of_model=False)
        return {"root_uri": root, "files": _list(connection, Place(table, run_id, _below(path)), from_root=True)}


def listed_of_model(store: Store, ask: Ask) -> dict[str, Any]:
    """The files and folders of a logged model below a path."""
    model_id, path = ask.request.places[0], ask.text_or_none("artifact_directory_path") or ""
    with store.database.read() as connection:
        table, root = owner_of(connection, model_id, of_model=True)
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


def begin(store: Store, path: str) -> "_Incoming":
    """Begin to take in a file for a path; it is there whole or not at all."""
    with store.database.read() as connection:
        place = locate(connection, path)
    if not place.name:
        raise invalid(f"{path!r} names a folder, not a file")
    return _Incoming(store, place)


class _Incoming:
    def __init__(self, store: Store, place: Place) -> None:
        self._store, self._place = store, place
        self._growing = store.artifacts.begin()
        self.write, self.drop = self._growing.write, self._growing.drop

    def keep(self) -> Answer:
        stored = self._growing.keep()
        keep(self._store, self._place, stored.digest, stored.size)
        return answer_json({})


def keep(store: Store, place: Place, digest: str, size: int) -> None:
    """Note a file that is kept."""
    row = {**place.key, "name": place.name, "digest": digest, "size_bytes": size}
    with store.database.begin() as connection:
        _hold(connection, place)
        _check_no_clash(connection, place)
        upsert(connection, place.table, [row])


def _hold(connection: Connection, place: Place) -> None:
    """Have others who keep a file of the same run or model wait: a file and a folder of one name would pass both."""
    owners = runs if place.table is run_artifacts else logged_models
    if lock_one(connection, owners, place.owner, owners.c.id) is None:
        raise missing(f"{place.owner[:200]!r} was removed meanwhile")


def _check_no_clash(connection: Connection, place: Place) -> None:
    """A name is that of a file or of a folder; of both, listings would show one only."""
    t = place.table.c
    parts = place.name.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    below = t.name.startswith(f"{place.name}/", autoescape=True)
    found = connection.execute(select(t.name).filter_by(**place.key).where(below | t.name.in_(above)).limit(1)).scalar()
    if found is not None:
        what = "a folder" if len(found) > len(place.name) else f"below the file {found[:200]!r}"
        raise invalid(f"{place.name[:200]!r} can't be stored as a file: it is {what} already. Give it another name.")


def remove(store: Store, ask: Ask) -> Answer:
    """Remove the file at a path, or everything below it; its content goes with the next `assay gc`."""
    with store.database.begin() as connection:
        place = locate(connection, ask.request.places[0])
        t = place.table.c
        prefix = f"{place.name}/" if place.name else ""
        below = t.name == place.name
        below = below | (t.name.startswith(prefix, autoescape=True) if prefix else t.name.is_not(None))
        connection.execute(delete(place.table).filter_by(**place.key).where(below))
    return answer_json({})
