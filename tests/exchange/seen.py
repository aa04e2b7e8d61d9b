"""What a store holds, in the form in which `fill_mlflow.py` says what MLflow holds."""

from math import isinf
from typing import Any

from sqlalchemy import Table, select

from assay.store import Store
from assay.store.schema import (
    aliases,
    datasets,
    experiment_tags,
    experiments,
    logged_model_artifacts,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    model_version_tags,
    model_versions,
    registered_model_tags,
    registered_models,
    run_artifacts,
    run_datasets,
)
from assay.track.find import RunRow, search
from assay.track.points import history, microseconds

OURS = ("assay.imported", "assay.imported_from")


def seen(store: Store) -> dict[str, Any]:
    """Everything, but when the experiment of no name began: every store has one of its own."""
    found: dict[str, Any] = {
        "experiments": {
            row["name"]: {
                "tags": _texts(store, experiment_tags, experiment_id=row["id"]),
                "deleted": row["deleted_at"] is not None,
                "at": microseconds(row["created_at"]) // 1000,
            }
            for row in _rows(store, experiments)
        },
        "runs": {row.id: _run(store, row) for row in search(store, deleted=None, limit=1000).runs},
        "models": {row["id"]: _model(store, row) for row in _rows(store, logged_models)},
        "registered": {row["name"]: _registered(store, row) for row in _rows(store, registered_models)},
    }
    found["experiments"]["Default"]["at"] = None
    return found


def said(truth: dict[str, Any]) -> dict[str, Any]:
    """What MLflow says, with the infinity that its databases hold as the largest number."""
    for run in truth["runs"].values():
        for points in run["metrics"].values():
            for point in points:
                point[2] = {"1.7976931348623157e+308": "inf", "-1.7976931348623157e+308": "-inf"}.get(
                    point[2], point[2]
                )
        if run["deleted"]:
            run["artifacts"] = {}
    truth["experiments"]["Default"]["at"] = None
    for model in truth["registered"].values():
        model["description"] = model["description"] or ""
        for version in model["versions"].values():
            version[2] = version[2] or ""
    return truth


def _rows(store: Store, table: Table, **where: Any) -> list[dict[str, Any]]:
    with store.database.read() as connection:
        return [dict(row) for row in connection.execute(select(table).filter_by(**where)).mappings()]


def _texts(store: Store, table: Table, **where: Any) -> dict[str, str]:
    return {row["name"]: row["value"] for row in _rows(store, table, **where) if row["name"] not in OURS}


def _files(store: Store, table: Table, **where: Any) -> dict[str, str]:
    return {row["name"]: store.artifacts.get(row["digest"]).hex() for row in _rows(store, table, **where)}


def _run(store: Store, row: RunRow) -> dict[str, Any]:
    used = []
    for use in _rows(store, run_datasets, run_id=row.id):
        [one] = _rows(store, datasets, id=use["dataset_id"])
        used.append([one["name"], one["digest"], one["source_type"], use["tags"]])
    return {
        "experiment": row.experiment,
        "name": row.name,
        "status": row.status,
        "user": row.user,
        "start": microseconds(row.started_at) // 1000,
        "end": microseconds(row.ended_at) // 1000 if row.ended_at else None,
        "deleted": row.deleted_at is not None,
        "params": row.params,
        "tags": {name: value for name, value in row.tags.items() if name not in OURS},
        "metrics": {
            name: sorted([p.step, p.at_us // 1000, repr(p.value)] for p in history(store, row.id, name))
            for name in row.metrics
        },
        "datasets": used,
        "artifacts": _files(store, run_artifacts, run_id=row.id),
    }


def _model(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    metrics = _rows(store, logged_model_metrics, model_id=row["id"])
    assert not any(isinf(metric["value"]) for metric in metrics)
    return {
        "name": row["name"],
        "params": _texts(store, logged_model_params, model_id=row["id"]),
        "tags": _texts(store, logged_model_tags, model_id=row["id"]),
        "metrics": [[m["name"], m["value"], m["step"], m["at_us"] // 1000, m["run_id"]] for m in metrics],
        "run": row["source_run_id"],
        "artifacts": _files(store, logged_model_artifacts, model_id=row["id"]),
    }


def _registered(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    model = row["name"]
    return {
        "tags": _texts(store, registered_model_tags, model=model),
        "description": row["description"] or "",
        "aliases": {one["alias"]: one["version"] for one in _rows(store, aliases, model=model)},
        "versions": {
            str(v["version"]): [
                v["source"],
                v["run_id"],
                v["description"] or "",
                _texts(store, model_version_tags, model=model, version=v["version"]),
                v["stage"],
                microseconds(v["created_at"]) // 1000,
            ]
            for v in _rows(store, model_versions, model=model)
        },
    }
