"""Runs with their parameters, metrics and artifacts, and the versions of models."""

from assay.track.find import RunRow, find_runs, last_metrics
from assay.track.runs import Run, start_run
from assay.track.versions import ModelVersion, alias, champion, find_version, register, set_alias, versions

__all__ = [
    "ModelVersion",
    "Run",
    "RunRow",
    "alias",
    "champion",
    "find_runs",
    "find_version",
    "last_metrics",
    "register",
    "set_alias",
    "start_run",
    "versions",
]
