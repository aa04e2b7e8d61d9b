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
    return Point(name, number(value), int(step or 0), _us(at_ms))


def _us(ms: Any) -> int:
    """Microseconds of MLflow's milliseconds."""
    return 0 if ms is None or ms == "" else int(ms) * 1000


def _text(value: Any) -> str | None:
    """A text, None when it is empty or not there. Raises `TypeError` for a list or an object."""
    if isinstance(value, list | dict):
        raise TypeError(f"{str(value)[:100]} is no text")  # pyright: ignore[reportUnknownArgumentType]
    return None if value is None or value == "" else str(value)


def pairs(rows: Iterable[Row]) -> dict[str, str]:
    """Tags or parameters of a list of key and value."""
    return {str(row["key"]): str(row.get("value") or "") for row in rows}


def experiment(row: Row, tags: dict[str, str]) -> SourceExperiment:
    """An experiment of a mapping with MLflow's names."""
    created = row.get("creation_time")
    return SourceExperiment(
        key=str(row["experiment_id"]),
        name=str(row["name"]),
        created_us=_us(created),
        updated_us=_us(row.get("last_update_time") or created),
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
        user=_text(row.get("user_id")) or tags.get("mlflow.user"),
        started_us=_us(row.get("start_time")),
        ended_us=_us(row["end_time"]) if row.get("end_time") else None,
        deleted=row.get("lifecycle_stage") == "deleted",
        deleted_us=_us(row["deleted_time"]) if row.get("deleted_time") else None,
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
        schema=_text(row.get("schema")) or _text(row.get("dataset_schema")),
        profile=_text(row.get("profile")) or _text(row.get("dataset_profile")),
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
        created_us=_us(row.get("creation_timestamp_ms") or row.get("creation_timestamp")),
        updated_us=_us(row.get("last_updated_timestamp_ms") or row.get("last_updated_timestamp")),
        deleted=row.get("lifecycle_stage") == "deleted",
        artifact_uri=str(row.get("artifact_uri") or row.get("artifact_location") or ""),
        params=params,
        tags=tags,
        metrics=tuple(sorted(map(_model_metric, metrics), key=repr)),
    )


def _model_metric(row: Row) -> tuple[str, float, int, int, str, str | None, str | None]:
    at, step = _us(row.get("timestamp")), int(row.get("step") or 0)
    value = float("nan") if row["value"] is None else number(row["value"])
    run_id, name, digest = (
        str(row.get("run_id") or ""),
        _text(row.get("dataset_name")),
        _text(row.get("dataset_digest")),
    )
    return (str(row["key"]), value, step, at, run_id, name, digest)


def registered(
    row: Row, *, tags: dict[str, str], aliases: Mapping[str, Any], versions: Iterable[SourceVersion]
) -> SourceRegistered:
    """A registered model of a mapping with MLflow's names."""
    created = row.get("creation_timestamp") or row.get("creation_time")
    return SourceRegistered(
        name=str(row["name"]),
        description=_text(row.get("description")),
        created_us=_us(created),
        updated_us=_us(row.get("last_updated_timestamp") or row.get("last_updated_time") or created),
        tags=tags,
        aliases={name: int(version) for name, version in sorted(aliases.items())},
        versions=tuple(sorted(versions, key=lambda one: one.version)),
    )


def version(row: Row, tags: dict[str, str]) -> SourceVersion:
    """A version of a registered model, of a mapping with MLflow's names."""
    created = row.get("creation_timestamp") or row.get("creation_time")
    source = str(row.get("source") or "")
    return SourceVersion(
        version=int(row["version"]),
        run_id=_text(row.get("run_id")),
        source=source,
        logged_model_id=_text(row.get("model_id")) or _logged_model(source),
        run_link=_text(row.get("run_link")),
        user=_text(row.get("user_id")),
        description=_text(row.get("description")),
        stage=str(row.get("current_stage") or "None"),
        created_us=_us(created),
        updated_us=_us(row.get("last_updated_timestamp") or row.get("last_updated_time") or created),
        tags=tags,
    )


def _logged_model(source: str) -> str | None:
    return source.removeprefix("models:/") if source.startswith("models:/m-") else None
