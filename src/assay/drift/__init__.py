"""Drift over windows of time: has the world moved? It warns, and never blocks."""

from assay.drift.find import model_drift, table_drift
from assay.drift.render import render
from assay.drift.report import DriftReport, Moved, WindowDrift

__all__ = ["DriftReport", "Moved", "WindowDrift", "model_drift", "render", "table_drift"]
