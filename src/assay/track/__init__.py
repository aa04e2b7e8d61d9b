"""Runs with their parameters, metrics and artifacts, and the versions of models."""

from assay.track.find import Page, RunRow, find_runs, get_run, last_metrics, search
from assay.track.runs import Run, begin_run
from assay.track.versions import ModelVersion, alias, champion, find_version, register, set_alias, versions

__all__ = [
    "ModelVersion",
    "Page",
    "Run",
    "RunRow",
    "alias",
    "begin_run",
    "champion",
    "find_runs",
    "find_version",
    "get_run",
    "last_metrics",
    "register",
    "search",
    "set_alias",
    "versions",
]
