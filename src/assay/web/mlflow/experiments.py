"""Experiments."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import experiment_tags, experiments, runs
from assay.times import now
from assay.track import experiments as tracked
from assay.web.mlflow import among, shape
from assay.web.mlflow.ask import Ask, check_key, check_length
from assay.web.mlflow.errors import invalid, missing, taken
from assay.web.mlflow.sources import check_location

LONGEST_TAG = 20_000
_ATTRIBUTES = {"name": str, "creation_time": float, "last_update_time": float, "experiment_id": str}
_COLUMNS = {"creation_time": "created_at", "last_update_time": "updated_at"}


def create(store: Store, ask: Ask) -> dict[str, Any]:
    """Make one."""
    name = _new_name(store, ask.text("name"))
    location = check_location(ask.text_or_none("artifact_location"))
    tags = ask.keyed("tags", LONGEST_TAG)
    with store.database.begin() as connection:
        number = tracked.create(connection, name, artifact_uri=location)
        if tags:
            upsert(connection, experiment_tags, _tag_rows(number, tags))
    return {"experiment_id": str(number)}


def _new_name(store: Store, name: str) -> str:
    check_length("name", name, tracked.LONGEST_NAME)
    tracked.check_name(name)
    with store.database.read() as connection:
        if connection.execute(select(experiments.c.id).where(experiments.c.name == name)).first():
            raise taken(f"Experiment(name={name}) already exists.")
    return name


def _tag_rows(number: int, tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"experiment_id": number, "name": name, "value": value} for name, value in tags.items()]


def get(store: Store, ask: Ask) -> dict[str, Any]:
    """One by its id, deleted or not."""
    number = experiment_number(ask.text("experiment_id"))
    found = _load(store, experiments.c.id == number)
    if not found:
        raise missing(f"No Experiment with id={number} exists")
    return {"experiment": shape.experiment(*found[0])}


def get_by_name(store: Store, ask: Ask) -> dict[str, Any]:
    """One by its name, deleted or not."""
    name = ask.text("experiment_name")
    found = _load(store, experiments.c.name == name)
    if not found:
        raise missing(f"Could not find experiment with name '{name}'")
    return {"experiment": shape.experiment(*found[0])}


def search(store: Store, ask: Ask) -> dict[str, Any]:
    """Those a filter finds, the newest change first."""
    limit = ask.limit(1000, 50_000)
    view = ask.text_or_none("view_type") or "ACTIVE_ONLY"
    found = _load(store, {"ACTIVE_ONLY": experiments.c.deleted_at.is_(None)}.get(view, experiments.c.deleted_at.is_not(None)) if view != "ALL" else experiments.c.id >= 0)  # fmt: skip
    found = among.chosen(found, ask.text_or_none("filter") or "", _ATTRIBUTES, _look)
    order = ask.texts("order_by") or ["creation_time DESC"]
    found = among.ordered(found, order, _ATTRIBUTES, _look, ["experiment_id DESC"])
    some, token = among.page(found, limit, ask.text_or_none("page_token"))
    return shape.without_none(experiments=[shape.experiment(*one) for one in some], next_page_token=token)


def _look(thing: Any, kind: str, name: str) -> Any:
    row, tags = thing
    if kind == "tag":
        return tags.get(name)
    if kind != "attribute":
        raise invalid(f"experiments have no {kind}s")
    if name == "experiment_id":
        return row["id"]
    return shape.milliseconds(row[_COLUMNS[name]]) if name in _COLUMNS else row[name]


def _load(store: Store, where: Any) -> list[tuple[Any, dict[str, str]]]:
    with store.database.read() as connection:
        rows = connection.execute(select(experiments).where(where)).mappings().all()
        asked = select(experiment_tags.c.experiment_id, experiment_tags.c.name, experiment_tags.c.value)
        if len(rows) == 1:
            asked = asked.where(experiment_tags.c.experiment_id == rows[0]["id"])
        tags: dict[int, dict[str, str]] = {}
        for number, name, value in connection.execute(asked):
            tags.setdefault(number, {})[name] = value
    return [(row, tags.get(row["id"], {})) for row in rows]


def delete_one(store: Store, ask: Ask) -> dict[str, Any]:
    """Delete one with its runs; it can be restored."""
    return _set_deleted(store, ask, deleted=True)


def restore(store: Store, ask: Ask) -> dict[str, Any]:
    """Take a deletion back, that of its runs too."""
    return _set_deleted(store, ask, deleted=False)


def _set_deleted(store: Store, ask: Ask, *, deleted: bool) -> dict[str, Any]:
    number = experiment_number(ask.text("experiment_id"))
    with store.database.begin() as connection:
        at = connection.execute(select(experiments.c.deleted_at).where(experiments.c.id == number)).first()
        if at is None or (at[0] is not None) is deleted:
            raise missing(f"No Experiment with id={number} exists")
        when = now() if deleted else None
        tracked.change(connection, number, {"deleted_at": when})
        of = update(runs).where(runs.c.experiment_id == number)
        connection.execute((of.where(runs.c.deleted_at.is_(None)) if deleted else of).values(deleted_at=when))
    return {}


def rename(store: Store, ask: Ask) -> dict[str, Any]:
    """Give one another name."""
    number = active(store, ask.text("experiment_id"))
    name = _new_name(store, ask.text("new_name"))
    with store.database.begin() as connection:
        tracked.change(connection, number, {"name": name})
    return {}


def set_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep a tag."""
    number = active(store, ask.text("experiment_id"))
    key = check_key(ask.text("key"))
    value = check_length("value", ask.text_or_none("value") or "", LONGEST_TAG)
    with store.database.begin() as connection:
        upsert(connection, experiment_tags, _tag_rows(number, {key: value}))
    return {}


def delete_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag."""
    number, key = active(store, ask.text("experiment_id")), ask.text("key")
    t = experiment_tags.c
    with store.database.begin() as connection:
        if not connection.execute(delete(experiment_tags).where(t.experiment_id == number, t.name == key)).rowcount:
            raise missing(f"No tag with name: {key} in experiment with id {number}")
    return {}


def experiment_number(text: str) -> int:
    """The id of an experiment as a number."""
    if not text.isdigit() or len(text) > 18:
        raise invalid(f"Invalid experiment ID '{text[:50]}'. Experiment ID must be a valid integer.")
    return int(text)


def experiment_numbers(texts: Sequence[str]) -> list[int]:
    """Ids of experiments as numbers."""
    return list(map(experiment_number, texts))


def active(store: Store, text: str) -> int:
    """The id of an experiment that is there and not deleted."""
    number = experiment_number(text)
    with store.database.read() as connection:
        active_root(connection, number)
    return number


def active_root(connection: Connection, number: int) -> str | None:
    """Where an experiment that is there and not deleted wants its artifacts; None: here."""
    found = connection.execute(_ACTIVE, {"number": number}).first()
    if found is None:
        raise missing(f"No Experiment with id={number} exists")
    if found.deleted_at is not None:
        raise invalid(f"The experiment {number} must be in the 'active' state. Current state is deleted.")
    return found.artifact_uri


_ACTIVE = select(experiments.c.deleted_at, experiments.c.artifact_uri).where(experiments.c.id == bindparam("number"))
