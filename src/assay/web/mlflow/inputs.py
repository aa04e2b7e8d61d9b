"""What runs used and made: data sets and models."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from assay.store import Store
from assay.store.among import among
from assay.store.database import insert_new, upsert
from assay.store.schema import datasets, run_datasets, run_models
from assay.web.mlflow.ask import Ask, check_length
from assay.web.mlflow.errors import invalid
from assay.web.mlflow.known import active_run

CONTEXT = "mlflow.data.context"
MOST = 1000
_LONGEST = {"name": 500, "digest": 36, "source_type": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}


def log_inputs(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep what data sets and models a run used."""
    run_id = ask.text("run_id")
    given, models = ask.items("datasets"), ask.items("models")
    if len(given) > MOST:
        raise invalid(f"A request can contain at most {MOST} datasets. Got {len(given)}.")
    rows = [_dataset(one) for one in given]
    with store.database.begin() as connection:
        experiment = active_run(connection, run_id)
        for row, tags in sorted(rows, key=lambda one: (one[0]["name"], one[0]["digest"])):  # in one order for all runs
            _add_dataset(connection, run_id, experiment, row, tags)
        _add_models(connection, run_id, "input", models)
    return {}


def _dataset(one: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    data = one.get("dataset")
    if data is None:
        raise invalid("Missing value for required parameter 'datasets.dataset'.")
    for name in ("name", "digest", "source_type", "source"):
        if not data.get(name):
            raise invalid(f"Missing value for required parameter 'datasets.dataset.{name}'.")
    row = {
        name: check_length(name, data[name], longest) if data.get(name) else None for name, longest in _LONGEST.items()
    }
    tags = {tag.get("key", ""): check_length("tag", tag.get("value", ""), 500) for tag in one.get("tags", [])}
    return row, tags


def _add_dataset(
    connection: Connection, run_id: str, experiment: int, row: dict[str, Any], tags: dict[str, str]
) -> None:
    insert_new(connection, datasets, [row | {"experiment_id": experiment}], on=["experiment_id", "name", "digest"])
    same = {"experiment_id": experiment, "name": row["name"], "digest": row["digest"]}
    number = connection.execute(select(datasets.c.id).filter_by(**same)).scalar_one()
    link = {"run_id": run_id, "dataset_id": number, "context": tags.get(CONTEXT, ""), "tags": tags}
    insert_new(connection, run_datasets, [link], on=["run_id", "dataset_id"])


def log_outputs(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep what models a run made."""
    run_id, models = ask.text("run_id"), ask.items("models")
    with store.database.begin() as connection:
        active_run(connection, run_id)
        _add_models(connection, run_id, "output", models)
    return {}


def _add_models(connection: Connection, run_id: str, direction: str, models: Sequence[dict[str, Any]]) -> None:
    rows: list[dict[str, Any]] = []
    for one in models:
        if not one.get("model_id"):
            raise invalid("Missing value for required parameter 'models.model_id'.")
        rows.append({"run_id": run_id, "model_id": one["model_id"], "direction": direction, "step": one.get("step", 0)})
    if rows:
        upsert(connection, run_models, rows)


def inputs_and_outputs(
    connection: Connection, run_ids: Sequence[str]
) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What each run used and made, as MLflow's JSON."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {run_id: ({}, {}) for run_id in run_ids}
    if not run_ids:
        return found
    asked = select(run_datasets, *(datasets.c[name] for name in _LONGEST)).join(datasets)
    for row in connection.execute(asked.where(among(run_datasets.c.run_id, run_ids))).mappings():
        data = {name: row[name] for name in _LONGEST if row[name] is not None}
        one = {"dataset": data, "tags": [{"key": key, "value": value} for key, value in row["tags"].items()]}
        found[row["run_id"]][0].setdefault("dataset_inputs", []).append(one)
    asked_models = select(run_models).where(among(run_models.c.run_id, run_ids)).order_by(run_models.c.model_id)
    for row in connection.execute(asked_models).mappings():
        inputs, outputs = found[row["run_id"]]
        if row["direction"] == "input":
            inputs.setdefault("model_inputs", []).append({"model_id": row["model_id"]})
        else:
            outputs.setdefault("model_outputs", []).append({"model_id": row["model_id"], "step": row["step"]})
    return found
