"""Drift over windows of time: has the world moved? It warns, and never blocks."""

from assay.drift.find import model_drift, table_drift
from assay.drift.report import DriftReport, Moved, Window

__all__ = ["DriftReport", "Moved", "Window", "model_drift", "table_drift"]
