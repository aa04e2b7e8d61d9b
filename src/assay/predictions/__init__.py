"""The prediction log: what training and serving saw, computed and said, in one layout."""

from assay.predictions.layout import Layout, is_value
from assay.predictions.read import count_days, open_sql, read_rows
from assay.predictions.write import PredictionLog, drain_predictions, log_training

__all__ = [
    "Layout",
    "PredictionLog",
    "count_days",
    "drain_predictions",
    "is_value",
    "log_training",
    "open_sql",
    "read_rows",
]
