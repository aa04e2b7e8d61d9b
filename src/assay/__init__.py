"""Assay checks, trains, judges and serves models. Each name of the public API is imported when it is first used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.blessing import Policy
    from assay.checks import Calendar, Checks, col, fresh, like, rows, sql, unique
    from assay.contract import (
        Columns,
        EventTime,
        Key,
        Probabilities,
        Record,
        between,
        field,
        length,
        nulls,
        probability,
        quantile,
    )
    from assay.logs import setup as setup_logs
    from assay.metrics import metric
    from assay.model import (
        Codes,
        Estimator,
        Matrix,
        Model,
        bucket,
        cyclic,
        day_of_year,
        elapsed,
        hashed,
        holiday,
        hour,
        impute,
        load_model,
        log_model,
        month,
        one_hot,
        split,
        weekday,
    )
    from assay.pipelines import pipeline, step
    from assay.tables import csv, read
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
    "assay.contract": (
        "Columns",
        "EventTime",
        "Key",
        "Probabilities",
        "Record",
        "between",
        "field",
        "length",
        "nulls",
        "probability",
        "quantile",
    ),
    "assay.logs:setup": ("setup_logs",),
    "assay.metrics": ("metric",),
    "assay.model": (
        "Codes",
        "Estimator",
        "Matrix",
        "Model",
        "bucket",
        "cyclic",
        "day_of_year",
        "elapsed",
        "hashed",
        "holiday",
        "hour",
        "impute",
        "load_model",
        "log_model",
        "month",
        "one_hot",
        "split",
        "weekday",
    ),
    "assay.pipelines": ("pipeline", "step"),
    "assay.tables": ("csv", "read"),
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
    "Codes",
    "Columns",
    "Estimator",
    "EventTime",
    "Key",
    "Matrix",
    "Model",
    "Policy",
    "Probabilities",
    "Record",
    "active_run",
    "between",
    "bless",
    "bucket",
    "check",
    "col",
    "csv",
    "cyclic",
    "day_of_year",
    "elapsed",
    "field",
    "fresh",
    "hashed",
    "holiday",
    "hour",
    "impute",
    "length",
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
    "metric",
    "month",
    "note",
    "nulls",
    "one_hot",
    "pipeline",
    "probability",
    "publish",
    "quantile",
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
