"""The REST API of MLflow, as far as its Python client uses it for tracking, models and artifacts."""

from assay.web.mlflow.routes import PREFIXES, find_route

__all__ = ["PREFIXES", "find_route"]
