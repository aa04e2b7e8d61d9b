"""Logged models: what a run made that can predict, before anybody registers it."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, delete, insert, select, update

from assay.store import Store
from assay.store.among import among
from assay.store.database import upsert
from assay.store.locks import lock, lock_one
from assay.store.schema import (
    experiments,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from assay.times import now
from assay.track import entities
from assay.track.points import Point
from assay.web.mlflow import shape
from assay.web.mlflow.ask import Ask, check_key, check_length
from assay.web.mlflow.errors import MlflowError, invalid, missing
from assay.web.mlflow.experiments import active_root, experiment_number, experiment_numbers
from assay.web.mlflow.searched_logged import STATUS, UNSPECIFIED, Dataset, measured_on, searched_models

READY = 2
VERSIONS = "mlflow.modelVersions"
_NUMBERS = {name: number for number, name in STATUS.items()}
LONGEST_TAG, LONGEST_PARAM = 8000, 6000
_TABLES = {"tags": logged_model_tags, "params": logged_model_params}


class ModelPoint(NamedTuple):
    """A point that was measured of a model."""

    model_id: str
    point: Point
    dataset_name: str | None
    dataset_digest: str | None


def add_model_metrics(connection: Connection, run_id: str, measured: Sequence[ModelPoint]) -> None:
    """Keep points of models beside those of their run."""
    rows: list[dict[str, Any]] = []
    for model_id, point, name, digest in measured:
        value = None if point.value != point.value else point.value
        row = {"model_id": model_id, "run_id": run_id, "name": point.name, "step": point.step, "at_us": point.at_us}
        rows.append(row | {"value": value, "dataset_name": name, "dataset_digest": digest})
    ids = {one.model_id for one in measured}
    # Who writes points of a model waits for the one before, so that what is sent twice at once is there once, too.
    found = {
        row.id
        for row in lock(connection, logged_models, ids, logged_models.c.id, logged_models.c.deleted_at)
        if row.deleted_at is None
    }
    for model_id in ids - found:
        raise _no_model(model_id)
    kept = _kept_points(connection, rows)
    new = {key: row for row in rows if (key := tuple(row.values())) not in kept}
    if new:
        connection.execute(insert(logged_model_metrics), list(new.values()))


def _kept_points(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """Points of the same models and times that are there: a client that got no answer sends its own again."""
    m = logged_model_metrics.c
    asked = select(*(m[name] for name in rows[0])).where(
        m.model_id.in_({row["model_id"] for row in rows}),
        m.name.in_({row["name"] for row in rows}),
        m.at_us.between(min(row["at_us"] for row in rows), max(row["at_us"] for row in rows)),
    )
    return {tuple(row) for row in connection.execute(asked)}


def _no_model(model_id: str) -> MlflowError:
    return missing(f"Logged model with ID '{model_id[:256]}' not found.")


def create(store: Store, ask: Ask) -> dict[str, Any]:
    """Make one; its files are still to come."""
    number = experiment_number(ask.text("experiment_id"))
    params, tags = ask.keyed("params", LONGEST_PARAM), ask.keyed("tags", LONGEST_TAG)
    name = check_length("name", ask.text_or_none("name") or f"model-{uuid4().hex[:8]}", 500)
    if any(sign in name for sign in "/:.%\"'"):
        raise invalid(f"Invalid model name ({name}) provided. Model name must not contain / : . % \" or '.")
    model_id, at = f"m-{uuid4().hex}", now()
    row = {
        "id": model_id,
        "experiment_id": number,
        "name": name,
        "model_type": ask.text_or_none("model_type") or "",
        "source_run_id": ask.text_or_none("source_run_id") or "",
        "status": 1,
        "created_at": at,
        "updated_at": at,
    }
    with store.database.begin() as connection:
        active_root(connection, number)
        connection.execute(insert(logged_models).values(row))
        _put(connection, model_id, "params", params)
        _put(connection, model_id, "tags", tags)
    return _one(store, model_id)


def _put(connection: Connection, model_id: str, what: str, values: dict[str, str]) -> None:
    if values:
        rows = [{"model_id": model_id, "name": name, "value": value} for name, value in values.items()]
        upsert(connection, _TABLES[what], rows)


def get(store: Store, ask: Ask) -> dict[str, Any]:
    """One."""
    return _one(store, ask.request.places[0], deleted=ask.flag("allow_deleted"))


def _one(store: Store, model_id: str, *, deleted: bool = False) -> dict[str, Any]:
    with store.database.read() as connection:
        _row(connection, model_id, deleted=deleted)
        return {"model": load(connection, logged_models.c.id == model_id)[0]}


def _row(connection: Connection, model_id: str, *, deleted: bool = False) -> Any:
    row = connection.execute(select(logged_models).where(logged_models.c.id == model_id)).first()
    return _found(row, model_id, deleted=deleted)


def _held(connection: Connection, model_id: str) -> None:
    """Raise an error unless the model is there; nobody else writes to it until the transaction ends."""
    _found(lock_one(connection, logged_models, model_id, logged_models.c.deleted_at), model_id)


def _found(row: Any, model_id: str, *, deleted: bool = False) -> Any:
    if row is None or (row.deleted_at is not None and not deleted):
        raise _no_model(model_id)
    return row


def model_root(connection: Connection, model_id: str) -> str:
    """Where the files of a model are."""
    row = _row(connection, model_id)
    uri = connection.execute(select(experiments.c.artifact_uri).where(experiments.c.id == row.experiment_id)).scalar()
    return f"{shape.artifact_root(row.experiment_id, uri)}/models/{model_id}/artifacts"


def source_run(connection: Connection, model_id: str) -> str:
    """The run that made a model."""
    return _row(connection, model_id).source_run_id


def hold_logged(connection: Connection, model_id: str) -> None:
    """Have others who write to a logged model wait, before `note_version` of the version that is registered."""
    lock_one(connection, logged_models, model_id, logged_models.c.id)


def note_version(connection: Connection, model_id: str, name: str, version: int) -> None:
    """Note in a tag which versions were registered of a model, which is held: MLflow's pages find them by it."""
    t = logged_model_tags.c
    before = connection.execute(select(t.value).where(t.model_id == model_id, t.name == VERSIONS)).scalar()
    known = [*_versions(before), {"name": name, "version": version}]
    _put(connection, model_id, "tags", {VERSIONS: json.dumps(known)})


def _versions(text: str | None) -> list[Any]:
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]


def load(connection: Connection, where: Any) -> list[dict[str, Any]]:
    """Models as MLflow's JSON."""
    asked = select(logged_models, experiments.c.artifact_uri).join(experiments).where(where)
    rows = connection.execute(asked).mappings().all()
    ids = [row["id"] for row in rows]
    kept = {what: _kept(connection, table, ids) for what, table in _TABLES.items()}
    measured = _metrics(connection, ids)
    return [
        _shown(row, {w: k.get(row["id"], {}) for w, k in kept.items()}, measured.get(row["id"], [])) for row in rows
    ]


def _shown(row: Any, kept: dict[str, dict[str, str]], measured: list[dict[str, Any]]) -> dict[str, Any]:
    info = {
        "model_id": row["id"],
        "experiment_id": str(row["experiment_id"]),
        "name": row["name"],
        "creation_timestamp_ms": shape.milliseconds(row["created_at"]),
        "last_updated_timestamp_ms": shape.milliseconds(row["updated_at"]),
        "artifact_uri": f"{shape.artifact_root(row['experiment_id'], row['artifact_uri'])}/models/{row['id']}/artifacts",
        "status": STATUS.get(row["status"], UNSPECIFIED),
        "model_type": row["model_type"],
        "source_run_id": row["source_run_id"],
        "tags": shape.pairs(kept["tags"]),
    }
    return {"info": info, "data": {"params": shape.pairs(kept["params"]), "metrics": measured}}


def _kept(connection: Connection, table: Any, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    rows: Any = connection.execute(select(table).where(among(table.c.model_id, ids)))
    for model_id, name, value in rows:
        found.setdefault(model_id, {})[name] = value
    return found


def _metrics(connection: Connection, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    m = logged_model_metrics.c
    found: dict[str, list[dict[str, Any]]] = {}
    asked = select(logged_model_metrics).where(among(m.model_id, ids)).order_by(m.at_us, m.step, m.id)
    for row in connection.execute(asked).mappings():
        value = float("nan") if row["value"] is None else row["value"]
        point = shape.metric(Point(row["name"], value, row["step"], row["at_us"]))
        of = {name: row[name] for name in ("dataset_name", "dataset_digest") if row[name]}
        found.setdefault(row["model_id"], []).append(
            point | of | {"model_id": row["model_id"], "run_id": row["run_id"]}
        )
    return found


def finalize(store: Store, ask: Ask) -> dict[str, Any]:
    """Say whether its files came."""
    status = _NUMBERS.get(ask.text("status"))
    if status is None:
        raise invalid(f"Invalid model status: {ask.text('status')}.")
    return _change(store, ask.request.places[0], status=status)


def _change(store: Store, model_id: str, **values: Any) -> dict[str, Any]:
    with store.database.begin() as connection:
        _held(connection, model_id)
        connection.execute(
            update(logged_models).where(logged_models.c.id == model_id).values(**values, updated_at=now())
        )
    return _one(store, model_id, deleted=True)


def delete_one(store: Store, ask: Ask) -> dict[str, Any]:
    """Delete one."""
    _change(store, ask.request.places[0], deleted_at=now())
    return {}


def set_tags(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep tags."""
    return _add(store, ask, "tags", LONGEST_TAG)


def add_params(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep parameters."""
    return _add(store, ask, "params", LONGEST_PARAM)


def _add(store: Store, ask: Ask, what: str, longest: int) -> dict[str, Any]:
    model_id = ask.request.places[0]
    with store.database.begin() as connection:
        _held(connection, model_id)
        _put(connection, model_id, what, ask.keyed(what, longest))
    return _one(store, model_id)


def delete_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag."""
    model_id, key = ask.request.places[0], check_key(ask.request.places[1])
    t = logged_model_tags.c
    with store.database.begin() as connection:
        _held(connection, model_id)
        if not connection.execute(delete(logged_model_tags).where(t.model_id == model_id, t.name == key)).rowcount:
            raise missing(f"No tag with key {key!r} found for model with ID {model_id!r}.")
    return {}


def search(store: Store, ask: Ask) -> dict[str, Any]:
    """A page of those a filter finds, the newest first."""
    numbers = experiment_numbers(ask.texts("experiment_ids"))
    of = _datasets(ask.items("datasets"))
    if any(not name for name, _ in of):
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    orders, metrics = _orders(ask.items("order_by"))
    asked = entities.Search(
        filter=ask.text_or_none("filter") or "",
        order_by=orders,
        last=["creation_timestamp DESC", "model_id ASC"],
        limit=ask.limit(100, 50_000),
        token=ask.text_or_none("page_token"),
        scope=[sorted(set(numbers)), of, list(metrics.items())],
    )
    m = logged_models.c
    every = select(m.id).where(among(m.experiment_id, numbers), m.deleted_at.is_(None))
    if of:  # without a metric in the filter, too, only what was measured on one of them
        every = every.where(measured_on(of))
    with store.database.read() as connection:
        found, token = entities.page(connection, searched_models(of, metrics), every, asked)
        ids = [row.id for row in found]
        shown = {one["info"]["model_id"]: one for one in load(connection, among(m.id, ids))}
    return shape.without_none(models=[shown[one] for one in ids], next_page_token=token)


def _datasets(given: Sequence[dict[str, Any]]) -> list[Dataset]:
    return [(one.get("dataset_name") or "", one.get("dataset_digest")) for one in given]


def _orders(given: Sequence[dict[str, Any]]) -> tuple[list[str], dict[str, tuple[str, list[Dataset]]]]:
    """What to order by, and for each metric among it by its key: its name, and the dataset that counts, if one does."""
    orders: list[str] = []
    metrics: dict[str, tuple[str, list[Dataset]]] = {}
    for at, one in enumerate(given):
        name = one.get("field_name")
        if not name or "`" in name:
            raise invalid(f"Invalid order by field name: {name!r}")
        kind, dot, rest = name.partition(".")
        if dot and kind != "metrics":
            raise invalid(f"Invalid order by field name: {name}. Only metrics are supported.")
        if dot:
            metrics[str(at)] = (rest, [dataset for dataset in _datasets([one]) if dataset[0]])
        field = f"metrics.`{at}`" if dot else name.removesuffix("_ms")
        orders.append(f"{field} {'ASC' if one.get('ascending', True) else 'DESC'}")
    return orders, metrics
