"""Fills an MLflow store, and says as JSON what its own client then reads from it. Run by MLflow's interpreter.

Usage: python fill_mlflow.py URI fill|add|read [FOLDER]
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import mlflow
import numpy as np
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient


def fill(client: MlflowClient) -> None:
    from sklearn.linear_model import LogisticRegression

    experiment = client.create_experiment("flights", tags={"team": "air", "mlflow.note.content": "late flights"})
    gone = client.create_experiment("gone")
    mlflow.set_experiment("flights")
    with mlflow.start_run(run_name="parent", description="the sweep") as parent:
        mlflow.log_params({"leaves": 31, "rate": 0.1, "long": "x" * 3000, "empty": ""})
        mlflow.set_tags({"season": "winter", "ünï": "çode 🛫"})
        points = [Metric("loss", 1 / (i + 1), 1_700_000_000_000 + i * 10, i) for i in range(3000)]
        for start in range(0, 3000, 1000):
            client.log_batch(parent.info.run_id, metrics=points[start : start + 1000])
        odd = [("auc", 0.7, 0), ("auc", 0.8, 2), ("auc", float("nan"), 1), ("odd/nan", float("nan"), 0)]
        odd += [("odd/inf", float("inf"), 3), ("odd/inf", float("-inf"), 4)]
        client.log_batch(parent.info.run_id, metrics=[Metric(n, v, 1_700_000_100_000, s) for n, v, s in odd])
        mlflow.log_text("a text", "notes/a.txt")
        mlflow.log_text("another", "notes/deep/b c.txt")
        mlflow.log_text("top", "top.txt")
        data = mlflow.data.from_numpy(np.arange(6.0).reshape(3, 2), name="rows")
        mlflow.log_input(data, context="training", tags={"grade": "A"})
        for number in range(2):
            with mlflow.start_run(run_name=f"child {number}", nested=True):
                mlflow.log_metric("auc", 0.5 + number / 10, step=1)
                model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
                if number == 0:
                    logged = mlflow.sklearn.log_model(model, name="model", params={"solver": "lbfgs"})
                    mlflow.log_metric("of_model", 0.25, model_id=logged.model_id)
                    mlflow.set_logged_model_tags(logged.model_id, {"stage": "try"})
    failed = client.create_run(experiment, run_name="failed")
    client.log_param(failed.info.run_id, "leaves", "7")
    client.set_terminated(failed.info.run_id, "FAILED")
    deleted = client.create_run(experiment, run_name="deleted")
    client.log_metric(deleted.info.run_id, "auc", 0.1)
    client.delete_run(deleted.info.run_id)
    client.create_run(experiment, run_name="still running")
    client.delete_experiment(gone)
    client.create_registered_model("flight-delay", tags={"owner": "us"}, description="is it late?")
    mlflow.register_model(f"models:/{logged.model_id}", "flight-delay", tags={"v": "1"})
    source = parent.info.artifact_uri + "/notes"
    client.create_model_version("flight-delay", source, run_id=parent.info.run_id, tags={"v": "2"}, description="d")
    client.set_registered_model_alias("flight-delay", "champion", "2")
    client.transition_model_version_stage("flight-delay", "1", "Staging")
    client.create_registered_model("empty")


def add(client: MlflowClient) -> None:
    """What happens at the source after it was imported."""
    [running] = client.search_runs([_flights(client)], "attributes.run_name = 'still running'")
    client.log_batch(
        running.info.run_id,
        metrics=[Metric("auc", 0.9, 1_700_000_200_000, 5)],
        params=[Param("leaves", "63")],
        tags=[RunTag("late", "yes")],
    )
    client.log_text(running.info.run_id, "more", "more.txt")
    client.set_terminated(running.info.run_id)
    client.set_registered_model_alias("flight-delay", "champion", "1")
    client.set_experiment_tag(_flights(client), "team", "sea")


def _flights(client: MlflowClient) -> str:
    return client.get_experiment_by_name("flights").experiment_id


def read(client: MlflowClient) -> dict:
    experiments = client.search_experiments(view_type=ViewType.ALL)
    return {
        "experiments": {
            e.name: {"tags": e.tags, "deleted": e.lifecycle_stage == "deleted", "at": e.creation_time}
            for e in experiments
        },
        "runs": {
            run.info.run_id: _run(client, run, experiment.name)
            for experiment in experiments
            for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
        },
        "models": {
            m.model_id: {
                "name": m.name,
                "params": m.params,
                "tags": dict(m.tags.items()),
                "metrics": [[x.key, x.value, x.step, x.timestamp, x.run_id] for x in m.metrics or []],
                "run": m.source_run_id,
                "artifacts": _files(f"models:/{m.model_id}"),
            }
            for e in experiments
            if e.lifecycle_stage == "active"
            for m in client.search_logged_models([e.experiment_id])
        },
        "registered": {
            m.name: {
                "tags": m.tags,
                "description": m.description,
                "aliases": {k: int(v) for k, v in m.aliases.items()},
                "versions": {
                    int(v.version): [v.source, v.run_id, v.description, v.tags, v.current_stage, v.creation_timestamp]
                    for v in client.search_model_versions(f"name = '{m.name}'")
                },
            }
            for m in client.search_registered_models()
        },
    }


def _run(client: MlflowClient, run, experiment: str) -> dict:
    info = run.info
    return {
        "experiment": experiment,
        "name": info.run_name,
        "status": info.status.lower(),
        "user": info.user_id,
        "start": info.start_time,
        "end": info.end_time,
        "deleted": info.lifecycle_stage == "deleted",
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": {
            name: sorted([m.step, m.timestamp, repr(m.value)] for m in client.get_metric_history(info.run_id, name))
            for name in run.data.metrics
        },
        "datasets": [
            [d.dataset.name, d.dataset.digest, d.dataset.source_type, {t.key: t.value for t in d.tags}]
            for d in run.inputs.dataset_inputs
        ],
        "artifacts": {} if info.lifecycle_stage == "deleted" else _files(info.artifact_uri),
    }


def _files(uri: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            mlflow.artifacts.download_artifacts(uri, dst_path=folder)
        except Exception:  # noqa: BLE001 - MLflow refuses what holds nothing, in many ways
            return {}
        root = Path(folder)
        while uri.startswith("models:/") is False and (root / "artifacts").is_dir():
            root /= "artifacts"
        return {
            path.relative_to(root).as_posix(): path.read_bytes().hex()
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.name != "registered_model_meta"
        }


if __name__ == "__main__":
    uri, word = sys.argv[1:3]
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    mlflow.set_tracking_uri(uri)
    done = {"fill": fill, "add": add, "read": read}[word](MlflowClient(uri, uri))
    print("\n" + json.dumps(done))  # noqa: T201
