"""What MLflow's ways of keeping things have in common: its names, codes and rows as our records."""

import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from assay.exchange.records import (
    SourceDataset,
    SourceExperiment,
    SourceLink,
    SourceModel,
    SourceRegistered,
    SourceRun,
    SourceVersion,
)
from assay.track.points import Point

CONTEXT = "mlflow.data.context"
#: MLflow's codes of the status of a run.
STATUS = {1: "running", 2: "scheduled", 3: "finished", 4: "failed", 5: "killed"}
#: And of a logged model.
MODEL_STATUS = {"LOGGED_MODEL_PENDING": 1, "LOGGED_MODEL_READY": 2, "LOGGED_MODEL_UPLOAD_FAILED": 3}
#: MLflow's databases hold no infinity: it stands in them as the largest number there is.
_LARGEST = sys.float_info.max

Row = Mapping[str, Any]


def number(value: Any) -> float:
    """A metric's value; the largest number stands for infinity.

    >>> number("NaN"), number(-1.7976931348623157e308), number("0.5")
    (nan, -inf, 0.5)
    """
    found = float(value)
    return math.copysign(math.inf, found) if abs(found) == _LARGEST else found


def point(name: str, value: Any, step: Any, at_ms: Any) -> Point:
    """One point; MLflow's times are milliseconds."""
    return Point(name, number(value), int(step or 0), int(at_ms or 0) * 1000)


def pairs(rows: Iterable[Row]) -> dict[str, str]:
    """Tags or parameters of a list of key and value."""
    return {str(row["key"]): str(row.get("value") or "") for row in rows}


def experiment(row: Row, tags: dict[str, str]) -> SourceExperiment:
    """An experiment of a mapping with MLflow's names."""
    created = int(row.get("creation_time") or 0)
    return SourceExperiment(
        key=str(row["experiment_id"]),
        name=str(row["name"]),
        created_ms=created,
        updated_ms=int(row.get("last_update_time") or created),
        deleted=row.get("lifecycle_stage") == "deleted",
        tags=tags,
    )


def run(
    row: Row,
    *,
    params: dict[str, str],
    tags: dict[str, str],
    metrics: Iterable[str],
    points_mark: str,
    datasets: Iterable[SourceDataset] = (),
    links: Iterable[SourceLink] = (),
) -> SourceRun:
    """A run of a mapping with the names of MLflow's run info."""
    status = row.get("status")
    return SourceRun(
        id=str(row.get("run_id") or row["run_uuid"]),
        name=str(row.get("run_name") or row.get("name") or tags.get("mlflow.runName") or ""),
        status=STATUS.get(status, "running") if isinstance(status, int) else str(status or "running").lower(),
        user=row.get("user_id") or tags.get("mlflow.user"),
        started_ms=int(row.get("start_time") or 0),
        ended_ms=int(row["end_time"]) if row.get("end_time") else None,
        deleted=row.get("lifecycle_stage") == "deleted",
        deleted_ms=int(row["deleted_time"]) if row.get("deleted_time") else None,
        artifact_uri=str(row.get("artifact_uri") or ""),
        params=params,
        tags=tags,
        metrics=tuple(sorted(metrics)),
        points_mark=points_mark,
        datasets=tuple(sorted(datasets, key=lambda one: (one.name, one.digest))),
        links=tuple(sorted(links, key=lambda one: (one.direction, one.model_id))),
        parent=tags.get("mlflow.parentRunId"),
        code_version=tags.get("mlflow.source.git.commit"),
    )


def dataset(row: Row, tags: dict[str, str]) -> SourceDataset:
    """A dataset of a mapping with MLflow's names, and the tags of its use."""
    return SourceDataset(
        name=str(row["name"]),
        digest=str(row["digest"]),
        source_type=str(row.get("source_type") or row.get("dataset_source_type") or ""),
        source=str(row.get("source") or row.get("dataset_source") or ""),
        schema=row.get("schema") or row.get("dataset_schema"),
        profile=row.get("profile") or row.get("dataset_profile"),
        context=tags.get(CONTEXT, ""),
        tags=tags,
    )


def model(row: Row, *, params: dict[str, str], tags: dict[str, str], metrics: Iterable[Row]) -> SourceModel:
    """A logged model of a mapping with MLflow's names."""
    status = row.get("status")
    return SourceModel(
        id=str(row["model_id"]),
        name=str(row["name"]),
        model_type=str(row.get("model_type") or ""),
        run_id=str(row.get("source_run_id") or ""),
        status=status if isinstance(status, int) else MODEL_STATUS.get(str(status), 0),
        created_ms=int(row.get("creation_timestamp_ms") or row.get("creation_timestamp") or 0),
        updated_ms=int(row.get("last_updated_timestamp_ms") or row.get("last_updated_timestamp") or 0),
        deleted=row.get("lifecycle_stage") == "deleted",
        artifact_uri=str(row.get("artifact_uri") or row.get("artifact_location") or ""),
        params=params,
        tags=tags,
        metrics=tuple(sorted(map(_model_metric, metrics), key=repr)),
    )


def _model_metric(row: Row) -> tuple[str, float, int, int, str, str | None, str | None]:
    at, step = int(row.get("timestamp") or 0), int(row.get("step") or 0)
    value = float("nan") if row["value"] is None else number(row["value"])
    run_id, name, digest = str(row.get("run_id") or ""), row.get("dataset_name"), row.get("dataset_digest")
    return (str(row["key"]), value, step, at, run_id, name or None, digest or None)


def registered(
    row: Row, *, tags: dict[str, str], aliases: Mapping[str, Any], versions: Iterable[SourceVersion]
) -> SourceRegistered:
    """A registered model of a mapping with MLflow's names."""
    created = int(row.get("creation_timestamp") or row.get("creation_time") or 0)
    return SourceRegistered(
        name=str(row["name"]),
        description=row.get("description") or None,
        created_ms=created,
        updated_ms=int(row.get("last_updated_timestamp") or row.get("last_updated_time") or created),
        tags=tags,
        aliases={name: int(version) for name, version in sorted(aliases.items())},
        versions=tuple(sorted(versions, key=lambda one: one.version)),
    )


def version(row: Row, tags: dict[str, str]) -> SourceVersion:
    """A version of a registered model, of a mapping with MLflow's names."""
    created = int(row.get("creation_timestamp") or row.get("creation_time") or 0)
    source = str(row.get("source") or "")
    return SourceVersion(
        version=int(row["version"]),
        run_id=row.get("run_id") or None,
        source=source,
        logged_model_id=row.get("model_id") or _logged_model(source),
        run_link=row.get("run_link") or None,
        user=row.get("user_id") or None,
        description=row.get("description") or None,
        stage=str(row.get("current_stage") or "None"),
        created_ms=created,
        updated_ms=int(row.get("last_updated_timestamp") or row.get("last_updated_time") or created),
        tags=tags,
    )


def _logged_model(source: str) -> str | None:
    return source.removeprefix("models:/") if source.startswith("models:/m-") else None
