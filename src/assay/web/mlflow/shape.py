"""Rows of the store as MLflow's JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from assay.track.find import ARTIFACTS, RunRow
from assay.track.points import Point
from assay.web.mlflow.errors import invalid

RUN_NAME = "mlflow.runName"
PARENT = "mlflow.parentRunId"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def milliseconds(moment: datetime | None) -> int | None:
    """A moment as MLflow has it."""
    return None if moment is None else (moment - _EPOCH) // _MS


def moment(milliseconds: int) -> datetime:
    """A moment of MLflow's."""
    try:
        return _EPOCH + milliseconds * _MS
    except OverflowError:
        raise invalid(f"{milliseconds} milliseconds since 1970 is not a time that can be stored") from None


def pairs(values: Mapping[str, Any]) -> list[dict[str, str]]:
    """Keys and values."""
    return [{"key": key, "value": str(value)} for key, value in values.items()]


def without_none(**values: Any) -> dict[str, Any]:
    """Only what is there: MLflow leaves out what is not."""
    return {name: value for name, value in values.items() if value is not None}


def number(value: float) -> float | str:
    """A number, or its name when JSON has none for it."""
    if isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def metric(point: Point) -> dict[str, Any]:
    """A point of a metric."""
    return {"key": point.name, "value": number(point.value), "timestamp": point.at_us // 1000, "step": point.step}


def stage(deleted_at: datetime | None) -> str:
    """Whether it was deleted."""
    return "active" if deleted_at is None else "deleted"


def artifact_root(experiment_id: int, uri: str | None) -> str:
    """Where the artifacts of an experiment are."""
    return uri or f"{ARTIFACTS}{experiment_id}"


def run_root(row: RunRow) -> str:
    """Where the artifacts of a run are."""
    return row.artifact_uri or f"{ARTIFACTS}{row.experiment_id}/{row.id}/artifacts"


def run_info(row: RunRow) -> dict[str, Any]:
    """What MLflow calls the info of a run."""
    return without_none(
        run_id=row.id,
        run_uuid=row.id,
        run_name=row.name,
        experiment_id=str(row.experiment_id),
        user_id=row.user or "",
        status=row.status.upper(),
        start_time=milliseconds(row.started_at),
        end_time=milliseconds(row.ended_at),
        artifact_uri=run_root(row),
        lifecycle_stage=stage(row.deleted_at),
    )


def run(row: RunRow, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """A run with its data."""
    known = {RUN_NAME: row.name} | ({PARENT: row.parent_id} if row.parent_id else {})
    return {
        "info": run_info(row),
        "data": {
            "metrics": list(map(metric, row.points)),
            "params": pairs(row.params),
            "tags": pairs(known | row.tags),
        },
        "inputs": inputs,
        "outputs": outputs,
    }


def experiment(row: Any, tags: Mapping[str, str]) -> dict[str, Any]:
    """An experiment."""
    return {
        "experiment_id": str(row.id),
        "name": row.name,
        "artifact_location": artifact_root(row.id, row.artifact_uri),
        "lifecycle_stage": stage(row.deleted_at),
        "creation_time": milliseconds(row.created_at),
        "last_update_time": milliseconds(row.updated_at),
        "tags": pairs(tags),
    }
