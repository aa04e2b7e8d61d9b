"""Assay keeps models fresh and honest. What a user's project names is here, each loaded when it is first used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.blessing import Policy
    from assay.checks import Calendar, Checks, col, fresh, like, rows, sql, unique
    from assay.contract import Columns, EventTime, Key, Record, between, nulls
    from assay.logs import setup as setup_logs
    from assay.model import Matrix, Model, hour, load_model, log_model, month, read, split, weekday
    from assay.pipelines import pipeline, step
    from assay.track import (
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
    from assay.verbs import bless, check, publish, train

__version__ = "0.1.0"

_HOMES = {
    "assay.blessing": ("Policy",),
    "assay.checks": ("Calendar", "Checks", "col", "fresh", "like", "rows", "sql", "unique"),
    "assay.contract": ("Columns", "EventTime", "Key", "Record", "between", "nulls"),
    "assay.logs:setup": ("setup_logs",),
    "assay.model": ("Matrix", "Model", "hour", "load_model", "log_model", "month", "read", "split", "weekday"),
    "assay.pipelines": ("pipeline", "step"),
    "assay.track": (
        "active_run",
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
        "set_tag",
        "set_tags",
        "start_run",
    ),
    "assay.verbs": ("bless", "check", "publish", "train"),
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Calendar",
    "Checks",
    "Columns",
    "EventTime",
    "Key",
    "Matrix",
    "Model",
    "Policy",
    "Record",
    "active_run",
    "between",
    "bless",
    "check",
    "col",
    "fresh",
    "hour",
    "like",
    "load_model",
    "log_artifact",
    "log_dataset",
    "log_dict",
    "log_figure",
    "log_folder",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "month",
    "note",
    "nulls",
    "pipeline",
    "publish",
    "read",
    "rows",
    "set_tag",
    "set_tags",
    "setup_logs",
    "split",
    "sql",
    "start_run",
    "step",
    "train",
    "unique",
    "weekday",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'assay' has no attribute {name!r}")
    module, _, renamed = _WHERE[name].partition(":")
    value = getattr(importlib.import_module(module), renamed or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
