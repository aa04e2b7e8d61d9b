"""Logged models: what a run made that can predict, before anybody registers it."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, delete, insert, select, update

from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import (
    experiments,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from assay.times import now
from assay.track.points import Point
from assay.web.mlflow import among, shape
from assay.web.mlflow.ask import Ask, check_key, check_length
from assay.web.mlflow.errors import invalid, missing
from assay.web.mlflow.experiments import active, experiment_numbers

READY = 2
_STATUS = {1: "LOGGED_MODEL_PENDING", 2: "LOGGED_MODEL_READY", 3: "LOGGED_MODEL_UPLOAD_FAILED"}
_NUMBERS = {name: number for number, name in _STATUS.items()}
LONGEST_TAG, LONGEST_PARAM = 8000, 6000
_ATTRIBUTES = {
    "name": str,
    "model_id": str,
    "model_type": str,
    "status": str,
    "source_run_id": str,
    "experiment_id": str,
    "creation_timestamp": float,
    "creation_time": float,
    "last_updated_timestamp": float,
    "last_updated_time": float,
}
_TABLES = {"tags": logged_model_tags, "params": logged_model_params}


class Measured(NamedTuple):
    """A point that was measured of a model."""

    model_id: str
    point: Point
    dataset_name: str | None
    dataset_digest: str | None


def add_model_metrics(connection: Connection, run_id: str, measured: Sequence[Measured]) -> None:
    """Keep points of models beside those of their run."""
    rows: list[dict[str, Any]] = []
    for model_id, point, name, digest in measured:
        value = None if point.value != point.value else point.value
        row = {"model_id": model_id, "run_id": run_id, "name": point.name, "step": point.step, "at_us": point.at_us}
        rows.append(row | {"value": value, "dataset_name": name, "dataset_digest": digest})
    for model_id in {one.model_id for one in measured}:
        _row(connection, model_id)
    connection.execute(insert(logged_model_metrics), rows)


def create(store: Store, ask: Ask) -> dict[str, Any]:
    """Make one; its files are still to come."""
    number = active(store, ask.text("experiment_id"))
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
    if row is None or (row.deleted_at is not None and not deleted):
        raise missing(f"Logged model with ID '{model_id[:256]}' not found.")
    return row


def model_root(connection: Connection, model_id: str) -> str:
    """Where the files of a model are."""
    row = _row(connection, model_id)
    uri = connection.execute(select(experiments.c.artifact_uri).where(experiments.c.id == row.experiment_id)).scalar()
    return f"{shape.artifact_root(row.experiment_id, uri)}/models/{model_id}/artifacts"


def source_run(connection: Connection, model_id: str) -> str:
    """The run that made a model."""
    return _row(connection, model_id).source_run_id


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
        "status": _STATUS.get(row["status"], "LOGGED_MODEL_STATUS_UNSPECIFIED"),
        "model_type": row["model_type"],
        "source_run_id": row["source_run_id"],
        "tags": shape.pairs(kept["tags"]),
    }
    return {"info": info, "data": {"params": shape.pairs(kept["params"]), "metrics": measured}}


def _kept(connection: Connection, table: Any, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    rows: Any = connection.execute(select(table).where(table.c.model_id.in_(ids)))
    for model_id, name, value in rows:
        found.setdefault(model_id, {})[name] = value
    return found


def _metrics(connection: Connection, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    m = logged_model_metrics.c
    found: dict[str, list[dict[str, Any]]] = {}
    asked = select(logged_model_metrics).where(m.model_id.in_(ids)).order_by(m.at_us, m.step, m.id)
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
    given = ask.fields.get("status")
    status = _NUMBERS.get(given) if isinstance(given, str) else given
    if status not in _STATUS:
        raise invalid(f"Invalid model status: {given!r}.")
    return _change(store, ask.request.places[0], status=status)


def _change(store: Store, model_id: str, **values: Any) -> dict[str, Any]:
    with store.database.begin() as connection:
        _row(connection, model_id)
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
        _row(connection, model_id)
        _put(connection, model_id, what, ask.keyed(what, longest))
    return _one(store, model_id)


def delete_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag."""
    model_id, key = ask.request.places[0], check_key(ask.request.places[1])
    t = logged_model_tags.c
    with store.database.begin() as connection:
        _row(connection, model_id)
        if not connection.execute(delete(logged_model_tags).where(t.model_id == model_id, t.name == key)).rowcount:
            raise missing(f"No tag with key {key!r} found for model with ID {model_id!r}.")
    return {}


def search(store: Store, ask: Ask) -> dict[str, Any]:
    """A page of those a filter finds, the newest first."""
    limit = ask.limit(100, 50_000)
    numbers = experiment_numbers(ask.texts("experiment_ids"))
    with store.database.read() as connection:
        found = load(connection, logged_models.c.experiment_id.in_(numbers) & logged_models.c.deleted_at.is_(None))
    of = [(one.get("dataset_name"), one.get("dataset_digest")) for one in ask.items("datasets")]
    if any(not name for name, _ in of):
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    found = among.chosen(found, ask.text_or_none("filter") or "", _ATTRIBUTES, lambda *asked: _look(of, *asked))
    order = [f"{_field(one)} {'ASC' if one.get('ascending', True) else 'DESC'}" for one in ask.items("order_by")]
    named = [one for one in ask.items("order_by") if one.get("dataset_name")]
    if named:
        of = [(named[0]["dataset_name"], named[0].get("dataset_digest"))]
    found = among.ordered(
        found, order, _ATTRIBUTES, lambda *asked: _look(of, *asked), ["creation_timestamp DESC", "model_id ASC"]
    )
    some, token = among.page(found, limit, ask.text_or_none("page_token"))
    return shape.without_none(models=list(some), next_page_token=token)


def _field(one: dict[str, Any]) -> str:
    name = one.get("field_name")
    if not isinstance(name, str) or "`" in name:
        raise invalid(f"Invalid order by field name: {name!r}")
    kind, dot, rest = name.partition(".")
    if dot and kind != "metrics":
        raise invalid(f"Invalid order by field name: {name}. Only metrics are supported.")
    return f"metrics.`{rest}`" if dot else name.removesuffix("_ms")


def _look(of: Sequence[tuple[Any, Any]], thing: Any, kind: str, name: str) -> Any:
    info, data = thing["info"], thing["data"]
    if kind == "attribute":
        key = {"creation_time": "creation_timestamp", "last_updated_time": "last_updated_timestamp"}.get(name, name)
        return info[f"{key}_ms" if key.endswith("timestamp") else key]
    if kind == "metric":
        return _newest([one for one in data["metrics"] if one["key"] == name and _is_of(one, of)])
    pairs = info["tags"] if kind == "tag" else data["params"]
    return next((one["value"] for one in pairs if one["key"] == name), None)


def _is_of(one: dict[str, Any], of: Sequence[tuple[Any, Any]]) -> bool:
    said = one.get("dataset_name"), one.get("dataset_digest")
    return not of or any(said[0] == name and digest in (None, "", said[1]) for name, digest in of)


def _newest(measured: list[dict[str, Any]]) -> float | None:
    if not measured:
        return None
    value = max(measured, key=lambda one: (one["timestamp"], one["step"]))["value"]
    return None if isinstance(value, str) else value
