"""Which request goes where."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from assay.store import Store
from assay.web.http import Answer, Request, answer_json
from assay.web.mlflow import experiments, files, inputs, logged, logging, multipart, registry, runs
from assay.web.mlflow.ask import Ask, ask_of
from assay.web.mlflow.errors import MlflowError

Handler = Callable[[Store, Ask], Mapping[str, Any]]
#: Clients ask the first; the others are older names of the same.
PREFIXES = ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/", "/api/2.0/preview/mlflow/", "/api/3.0/mlflow/")
FILES = ("/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/")
_REPEATED = ("experiment_ids", "order_by", "stages", "run_ids")
_ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "experiments/create"): experiments.create,
    ("GET", "experiments/get"): experiments.get,
    ("GET", "experiments/get-by-name"): experiments.get_by_name,
    ("GET", "experiments/search"): experiments.search,
    ("POST", "experiments/search"): experiments.search,
    ("POST", "experiments/delete"): experiments.delete_one,
    ("POST", "experiments/restore"): experiments.restore,
    ("POST", "experiments/update"): experiments.rename,
    ("POST", "experiments/set-experiment-tag"): experiments.set_tag,
    ("POST", "experiments/delete-experiment-tag"): experiments.delete_tag,
    ("POST", "runs/create"): runs.create,
    ("GET", "runs/get"): runs.get,
    ("POST", "runs/update"): runs.change,
    ("POST", "runs/delete"): runs.delete,
    ("POST", "runs/restore"): runs.restore,
    ("POST", "runs/search"): runs.search,
    ("POST", "runs/set-tag"): runs.set_tag,
    ("POST", "runs/delete-tag"): runs.delete_tag,
    ("POST", "runs/log-metric"): logging.log_metric,
    ("POST", "runs/log-parameter"): logging.log_param,
    ("POST", "runs/log-batch"): logging.log_batch,
    ("POST", "runs/log-inputs"): inputs.log_inputs,
    ("POST", "runs/outputs"): inputs.log_outputs,
    ("POST", "runs/log-model"): runs.log_model,
    ("GET", "metrics/get-history"): runs.history,
    ("GET", "artifacts/list"): files.listed,
    ("POST", "registered-models/create"): registry.create_model,
    ("GET", "registered-models/get"): registry.get_model,
    ("PATCH", "registered-models/update"): registry.update_model,
    ("POST", "registered-models/rename"): registry.rename_model,
    ("DELETE", "registered-models/delete"): registry.delete_model,
    ("GET", "registered-models/search"): registry.search_models,
    ("POST", "registered-models/get-latest-versions"): registry.latest_versions,
    ("GET", "registered-models/get-latest-versions"): registry.latest_versions,
    ("POST", "registered-models/set-tag"): registry.set_model_tag,
    ("DELETE", "registered-models/delete-tag"): registry.delete_model_tag,
    ("POST", "registered-models/alias"): registry.set_alias,
    ("DELETE", "registered-models/alias"): registry.delete_alias,
    ("GET", "registered-models/alias"): registry.get_by_alias,
    ("POST", "model-versions/create"): registry.create_version,
    ("GET", "model-versions/get"): registry.get_version,
    ("PATCH", "model-versions/update"): registry.update_version,
    ("POST", "model-versions/transition-stage"): registry.transition,
    ("DELETE", "model-versions/delete"): registry.delete_version,
    ("GET", "model-versions/search"): registry.search_versions,
    ("GET", "model-versions/get-download-uri"): registry.download_uri,
    ("POST", "model-versions/set-tag"): registry.set_version_tag,
    ("DELETE", "model-versions/delete-tag"): registry.delete_version_tag,
    ("POST", "logged-models"): logged.create,
    ("POST", "logged-models/search"): logged.search,
}
_PLACED: list[tuple[str, re.Pattern[str], Handler]] = [
    ("GET", re.compile(r"logged-models/([^/]+)"), logged.get),
    ("PATCH", re.compile(r"logged-models/([^/]+)"), logged.finalize),
    ("DELETE", re.compile(r"logged-models/([^/]+)"), logged.delete_one),
    ("PATCH", re.compile(r"logged-models/([^/]+)/tags"), logged.set_tags),
    ("DELETE", re.compile(r"logged-models/([^/]+)/tags/(.+)"), logged.delete_tag),
    ("POST", re.compile(r"logged-models/([^/]+)/params"), logged.add_params),
    ("GET", re.compile(r"logged-models/([^/]+)/artifacts/directories"), files.listed_of_model),
]
_PLACED_FILES: list[tuple[str, re.Pattern[str], Handler]] = [
    ("GET", re.compile(r"artifacts"), files.listed_by_path),
    ("POST", re.compile(r"mpu/create/(.+)"), multipart.create),
    ("POST", re.compile(r"mpu/complete/(.+)"), multipart.complete),
    ("POST", re.compile(r"mpu/abort/(.+)"), multipart.abort),
]


def find_route(request: Request) -> Handler | None:
    """Who answers a request; its places are noted in it. None when nobody does."""
    for prefixes, table, placed in ((PREFIXES, _ROUTES, _PLACED), (FILES, {}, _PLACED_FILES)):
        prefix = next((one for one in prefixes if request.path.startswith(one)), None)
        if prefix is None:
            continue
        rest = request.path[len(prefix) :].rstrip("/")
        handler = table.get((request.method, rest))
        if handler:
            return handler
        for method, pattern, placed_handler in placed:
            match = pattern.fullmatch(rest)
            if match and method == request.method:
                request.places = match.groups()
                return placed_handler
    return None


def answer_mlflow(store: Store, request: Request) -> Answer:
    """The answer to a request that has a route. Raises errors of Assay for what can't be answered."""
    handler = find_route(request)
    if handler is None:
        return not_served(request)
    return answer_json(handler(store, ask_of(request, _REPEATED)))


def not_served(request: Request) -> Answer:
    """MLflow has it, Assay does not, or nobody has."""
    if request.path.startswith(("/api/", "/ajax-api/")):
        what = f"Assay does not serve {request.method} {request.path[:200]}: of MLflow it serves tracking, models and artifacts."
        return error_answer(MlflowError("NOT_IMPLEMENTED", what), 501, "NOT_IMPLEMENTED")
    return error_answer(
        MlflowError("ENDPOINT_NOT_FOUND", f"there is no {request.path[:200]}"), 404, "ENDPOINT_NOT_FOUND"
    )


def error_answer(error: Exception, status: int, code: str) -> Answer:
    """An error as MLflow's JSON."""
    return answer_json({"error_code": code, "message": str(error)}, status)
