"""The prediction log: what training and serving saw, computed and said, in one layout."""

from assay.predictions.layout import Layout
from assay.predictions.read import open_sql, read_rows
from assay.predictions.write import PredictionLog, drain_predictions, log_training

__all__ = ["Layout", "PredictionLog", "drain_predictions", "log_training", "open_sql", "read_rows"]
