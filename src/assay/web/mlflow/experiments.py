"""Experiments."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, delete, select

from assay.errors import Taken
from assay.store import Store
from assay.store.among import among
from assay.store.database import upsert
from assay.store.locks import Purpose, lock_one
from assay.store.schema import experiment_tags, experiments
from assay.track import entities
from assay.track import experiments as tracked
from assay.track.entities import Attribute
from assay.track.whole import whole_number
from assay.web.mlflow import shape
from assay.web.mlflow.ask import Ask, check_key, check_length
from assay.web.mlflow.errors import MlflowError, invalid, missing, taken
from assay.web.mlflow.sources import check_location

LONGEST_TAG = 20_000


def create(store: Store, ask: Ask) -> dict[str, Any]:
    """Make one."""
    name = _new_name(ask.text("name"))
    location = check_location(ask.text_or_none("artifact_location"))
    tags = ask.keyed("tags", LONGEST_TAG)
    with store.database.begin() as connection:
        number = tracked.create(connection, name, artifact_uri=location)
        if number is None:
            raise _taken(connection, name)
        if tags:
            upsert(connection, experiment_tags, _tag_rows(number, tags))
    return {"experiment_id": str(number)}


def _new_name(name: str) -> str:
    check_length("name", name, tracked.LONGEST_NAME)
    tracked.check_name(name)
    return name


def _taken(connection: Connection, name: str) -> MlflowError:
    found = connection.execute(select(experiments.c.id, experiments.c.deleted_at).filter_by(name=name)).first()
    if found is None or found.deleted_at is None:
        return taken(f"Experiment(name={name}) already exists.")
    return taken(
        f"Experiment(name={name}) already exists in deleted state. Restore it (assay experiments restore, or"
        f" restore_experiment with the id {found.id}), or remove it for good: assay gc."
    )


def _tag_rows(number: int, tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"experiment_id": number, "name": name, "value": value} for name, value in tags.items()]


def get(store: Store, ask: Ask) -> dict[str, Any]:
    """One by its id, deleted or not."""
    number = experiment_number(ask.text("experiment_id"))
    found = _load(store, experiments.c.id == number)
    if not found:
        raise missing(f"No Experiment with id={number} exists")
    return {"experiment": found[0]}


def get_by_name(store: Store, ask: Ask) -> dict[str, Any]:
    """One by its name, deleted or not."""
    name = ask.text("experiment_name")
    found = _load(store, experiments.c.name == name)
    if not found:
        raise missing(f"Could not find experiment with name '{name}'")
    return {"experiment": found[0]}


def search(store: Store, ask: Ask) -> dict[str, Any]:
    """Those a filter finds, the newest first."""
    view = ask.text_or_none("view_type") or "ACTIVE_ONLY"
    asked = entities.Search(
        filter=ask.text_or_none("filter") or "",
        order_by=ask.texts("order_by") or ["creation_time DESC"],
        last=["experiment_id DESC"],
        limit=ask.limit(1000, 50_000),
        token=ask.text_or_none("page_token"),
        scope=[view],
    )
    every = select(experiments)
    if view != "ALL":
        deleted = experiments.c.deleted_at
        every = every.where(deleted.is_(None) if view == "ACTIVE_ONLY" else deleted.is_not(None))
    with store.database.read() as connection:
        found, token = entities.page(connection, _ENTITY, every, asked)
        shown = _shown(connection, found)
    return shape.without_none(experiments=shown, next_page_token=token)


def _tag(name: str) -> ColumnElement[Any]:
    t = experiment_tags.c
    return select(t.value).where(t.experiment_id == experiments.c.id, t.name == name).scalar_subquery()


_ENTITY = entities.Entity(
    "experiments",
    {
        "name": Attribute(experiments.c.name, is_text=True),
        "creation_time": Attribute(experiments.c.created_at),
        "last_update_time": Attribute(experiments.c.updated_at),
        "experiment_id": Attribute(cast(experiments.c.id, Text), is_text=True, sorted_by=experiments.c.id),
    },
    {"tag": _tag},
)


def _load(store: Store, where: Any) -> list[dict[str, Any]]:
    with store.database.read() as connection:
        return _shown(connection, connection.execute(select(experiments).where(where)).all())


def _shown(connection: Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    tags: dict[int, dict[str, str]] = {}
    asked = select(experiment_tags).where(among(experiment_tags.c.experiment_id, [row.id for row in rows]))
    for number, name, value in connection.execute(asked):
        tags.setdefault(number, {})[name] = value
    return [shape.experiment(row, tags.get(row.id, {})) for row in rows]


def delete_one(store: Store, ask: Ask) -> dict[str, Any]:
    """Delete one with its runs; it can be restored."""
    return _set_deleted(store, ask, deleted=True)


def restore(store: Store, ask: Ask) -> dict[str, Any]:
    """Take a deletion back, that of its runs too."""
    return _set_deleted(store, ask, deleted=False)


def _set_deleted(store: Store, ask: Ask, *, deleted: bool) -> dict[str, Any]:
    number = experiment_number(ask.text("experiment_id"))
    with store.database.begin() as connection:
        if not tracked.set_deleted(connection, number, deleted=deleted):
            raise missing(f"No Experiment with id={number} exists")
    return {}


def rename(store: Store, ask: Ask) -> dict[str, Any]:
    """Give one another name."""
    number, name = experiment_number(ask.text("experiment_id")), _new_name(ask.text("new_name"))
    try:
        with store.database.begin() as connection:
            active_root(connection, number, "change")
            tracked.change(connection, number, {"name": name})
    except Taken:
        with store.database.read() as connection:
            raise _taken(connection, name) from None
    return {}


def set_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep a tag."""
    number = experiment_number(ask.text("experiment_id"))
    key = check_key(ask.text("key"))
    value = check_length("value", ask.text_or_none("value") or "", LONGEST_TAG)
    with store.database.begin() as connection:
        active_root(connection, number, "change")
        upsert(connection, experiment_tags, _tag_rows(number, {key: value}))
    return {}


def delete_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag."""
    number, key = experiment_number(ask.text("experiment_id")), ask.text("key")
    t = experiment_tags.c
    with store.database.begin() as connection:
        active_root(connection, number, "change")
        if not connection.execute(delete(experiment_tags).where(t.experiment_id == number, t.name == key)).rowcount:
            raise missing(f"No tag with name: {key} in experiment with id {number}")
    return {}


def experiment_number(text: str) -> int:
    """The id of an experiment as a number."""
    number = whole_number(text, 0)
    if number is None:
        raise invalid(f"Invalid experiment ID '{text[:50]}'. Experiment ID must be a valid integer.")
    return number


def experiment_numbers(texts: Sequence[str]) -> list[int]:
    """Ids of experiments as numbers."""
    return list(map(experiment_number, texts))


def active_root(connection: Connection, number: int, purpose: Purpose = "keep") -> str | None:
    """Where an experiment that is there and not deleted wants its artifacts; None: here.

    It stays so until the transaction ends.
    """
    e = experiments.c
    found = lock_one(connection, experiments, number, e.deleted_at, e.artifact_uri, purpose=purpose)
    if found is None:
        raise missing(f"No Experiment with id={number} exists")
    if found.deleted_at is not None:
        raise invalid(f"The experiment {number} must be in the 'active' state. Current state is deleted.")
    return found.artifact_uri
