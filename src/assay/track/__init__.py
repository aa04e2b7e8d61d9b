"""Runs with their parameters, metrics and artifacts, and the versions of models."""

from assay.track.active import (
    active_run,
    log_artifact,
    log_dataset,
    log_dict,
    log_figure,
    log_folder,
    log_metric,
    log_metrics,
    log_param,
    log_params,
    log_table,
    log_text,
    note,
    set_tag,
    set_tags,
    start_run,
)
from assay.track.aliases import By, alias, champion
from assay.track.begin import begin_run
from assay.track.find import Page, RunRow, find_runs, get_run, last_metrics, search
from assay.track.render import render
from assay.track.runs import Run
from assay.track.versions import ModelVersion, find_version, register, versions

__all__ = [
    "By",
    "ModelVersion",
    "Page",
    "Run",
    "RunRow",
    "active_run",
    "alias",
    "begin_run",
    "champion",
    "find_runs",
    "find_version",
    "get_run",
    "last_metrics",
    "log_artifact",
    "log_dataset",
    "log_dict",
    "log_figure",
    "log_folder",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "note",
    "register",
    "render",
    "search",
    "set_tag",
    "set_tags",
    "start_run",
    "versions",
]
