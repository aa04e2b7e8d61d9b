"""The prediction log: what training and serving saw, computed and said, in one layout."""

from assay.predictions.bounds import bound, compact_served
from assay.predictions.layout import Layout, check_model_name, is_label, is_value
from assay.predictions.read import count_days, read_rows
from assay.predictions.sql import open_sql, stream_sql
from assay.predictions.write import PredictionLog, drain_predictions, log_training

__all__ = [
    "Layout",
    "PredictionLog",
    "bound",
    "check_model_name",
    "compact_served",
    "count_days",
    "drain_predictions",
    "is_label",
    "is_value",
    "log_training",
    "open_sql",
    "read_rows",
    "stream_sql",
]
