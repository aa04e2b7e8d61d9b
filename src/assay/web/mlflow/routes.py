"""Which request goes where."""

import re
from collections.abc import Sequence

from assay.web.http import Answer, answer_json
from assay.web.mlflow import (
    downloads,
    experiments,
    files,
    histories,
    inputs,
    logged,
    logging,
    model_aliases,
    model_versions,
    multipart,
    registered_models,
    runs,
)
from assay.web.mlflow import messages as take
from assay.web.mlflow.errors import MlflowError
from assay.web.rule import Download, RequestSchema, Upload, admin, read, write

#: Clients ask the first; the others are older names of the same.
PREFIXES = ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/", "/api/2.0/preview/mlflow/", "/api/3.0/mlflow/")
FILES = ("/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/")
#: Where a data set's profile of 16 MiB fits in, and a model's signature of some ten thousand columns.
DATASETS_BYTES, MODEL_BYTES = 24 << 20, 16 << 20
_ROUTES: dict[tuple[str, str], RequestSchema] = {
    ("POST", "experiments/create"): write(experiments.create, take.CREATE_EXPERIMENT),
    ("GET", "experiments/get"): read(experiments.get, take.EXPERIMENT),
    ("GET", "experiments/get-by-name"): read(experiments.get_by_name, take.EXPERIMENT_BY_NAME),
    ("GET", "experiments/search"): read(experiments.search, take.SEARCH_EXPERIMENTS),
    ("POST", "experiments/search"): read(experiments.search, take.SEARCH_EXPERIMENTS),
    ("POST", "experiments/delete"): write(experiments.delete_one, take.EXPERIMENT),
    ("POST", "experiments/restore"): write(experiments.restore, take.EXPERIMENT),
    ("POST", "experiments/update"): write(experiments.rename, take.RENAME_EXPERIMENT),
    ("POST", "experiments/set-experiment-tag"): write(experiments.set_tag, take.EXPERIMENT_TAG),
    ("POST", "experiments/delete-experiment-tag"): write(experiments.delete_tag, take.EXPERIMENT_TAG),
    ("POST", "runs/create"): write(runs.create, take.CREATE_RUN),
    ("GET", "runs/get"): read(runs.get, take.RUN),
    ("POST", "runs/update"): write(runs.change, take.CHANGE_RUN),
    ("POST", "runs/delete"): write(runs.delete, take.RUN),
    ("POST", "runs/restore"): write(runs.restore, take.RUN),
    ("POST", "runs/search"): read(runs.search, take.SEARCH_RUNS),
    ("POST", "runs/set-tag"): write(runs.set_tag, take.RUN_TAG),
    ("POST", "runs/delete-tag"): write(runs.delete_tag, take.RUN_TAG),
    ("POST", "runs/log-metric"): write(logging.log_metric, take.LOG_METRIC),
    ("POST", "runs/log-parameter"): write(logging.log_param, take.RUN_TAG),
    ("POST", "runs/log-batch"): write(logging.log_batch, take.LOG_BATCH),
    ("POST", "runs/log-inputs"): write(inputs.log_inputs, take.LOG_INPUTS, DATASETS_BYTES),
    ("POST", "runs/outputs"): write(inputs.log_outputs, take.LOG_OUTPUTS),
    ("POST", "runs/log-model"): write(runs.log_model, take.LOG_MODEL, MODEL_BYTES),
    ("GET", "metrics/get-history"): read(histories.one, take.HISTORY),
    ("GET", "metrics/get-history-bulk"): read(histories.bulk, take.HISTORY_BULK),
    ("GET", "metrics/get-history-bulk-interval"): read(histories.interval, take.HISTORY_INTERVAL),
    ("POST", "experiments/search-datasets"): read(histories.search_datasets, take.DATASETS_OF_EXPERIMENTS),
    ("GET", "artifacts/list"): read(files.listed, take.ARTIFACTS),
    ("POST", "registered-models/create"): write(registered_models.create_model, take.CREATE_MODEL),
    ("GET", "registered-models/get"): read(registered_models.get_model, take.MODEL),
    ("PATCH", "registered-models/update"): write(registered_models.update_model, take.MODEL),
    ("POST", "registered-models/rename"): write(registered_models.rename_model, take.MODEL),
    ("DELETE", "registered-models/delete"): admin(registered_models.delete_model, take.MODEL),
    ("GET", "registered-models/search"): read(registered_models.search_models, take.SEARCH_MODELS),
    ("POST", "registered-models/get-latest-versions"): read(registered_models.latest_versions, take.LATEST_VERSIONS),
    ("GET", "registered-models/get-latest-versions"): read(registered_models.latest_versions, take.LATEST_VERSIONS),
    ("POST", "registered-models/set-tag"): write(registered_models.set_model_tag, take.MODEL_TAG),
    ("DELETE", "registered-models/delete-tag"): write(registered_models.delete_model_tag, take.MODEL_TAG),
    ("POST", "registered-models/alias"): write(model_aliases.set_alias, take.ALIAS),
    ("DELETE", "registered-models/alias"): write(model_aliases.delete_alias, take.ALIAS),
    ("GET", "registered-models/alias"): read(model_aliases.get_by_alias, take.ALIAS),
    ("POST", "model-versions/create"): write(model_versions.create_version, take.CREATE_VERSION),
    ("GET", "model-versions/get"): read(model_versions.get_version, take.VERSION),
    ("PATCH", "model-versions/update"): write(model_versions.update_version, take.VERSION),
    ("POST", "model-versions/transition-stage"): write(model_versions.transition, take.STAGE),
    ("DELETE", "model-versions/delete"): admin(model_versions.delete_version, take.VERSION),
    ("GET", "model-versions/search"): read(model_versions.search_versions, take.SEARCH_MODELS),
    ("GET", "model-versions/get-download-uri"): read(model_versions.download_uri, take.VERSION),
    ("POST", "model-versions/set-tag"): write(model_versions.set_version_tag, take.VERSION_TAG),
    ("DELETE", "model-versions/delete-tag"): write(model_versions.delete_version_tag, take.VERSION_TAG),
    ("POST", "logged-models"): write(logged.create, take.CREATE_LOGGED, MODEL_BYTES),
    ("POST", "logged-models/search"): read(logged.search, take.SEARCH_LOGGED),
}


def _got(pattern: str, rule: Download) -> list[tuple[str, re.Pattern[str], RequestSchema | Upload | Download]]:
    return [(method, re.compile(pattern), rule) for method in ("GET", "HEAD")]


_PLACED: list[tuple[str, re.Pattern[str], RequestSchema | Upload | Download]] = [
    ("GET", re.compile(r"logged-models/([^/]+)"), read(logged.get, take.GET_LOGGED)),
    ("PATCH", re.compile(r"logged-models/([^/]+)"), write(logged.finalize, take.FINALIZE_LOGGED)),
    ("DELETE", re.compile(r"logged-models/([^/]+)"), write(logged.delete_one, take.NOTHING)),
    ("PATCH", re.compile(r"logged-models/([^/]+)/tags"), write(logged.set_tags, take.LOGGED_VALUES)),
    ("DELETE", re.compile(r"logged-models/([^/]+)/tags/(.+)"), write(logged.delete_tag, take.NOTHING)),
    ("POST", re.compile(r"logged-models/([^/]+)/params"), write(logged.add_params, take.LOGGED_VALUES)),
    (
        "GET",
        re.compile(r"logged-models/([^/]+)/artifacts/directories"),
        read(files.listed_of_model, take.LOGGED_ARTIFACTS),
    ),
    *_got(r"logged-models/([^/]+)/artifacts/files", Download("read", downloads.of_model, take.LOGGED_FILE)),
]
_PLACED_FILES: list[tuple[str, re.Pattern[str], RequestSchema | Upload | Download]] = [
    ("GET", re.compile(r"artifacts"), read(files.listed_by_path, take.BELOW)),
    *_got(r"artifacts/(.+)", Download("read", downloads.of_path, take.NOTHING)),
    ("PUT", re.compile(r"artifacts/(.+)"), Upload("write", files.begin)),
    ("DELETE", re.compile(r"artifacts/(.+)"), Download("admin", files.remove, take.NOTHING)),
    # MLflow's client sends no token with a part: the id of the upload, which is in its address, is its right.
    ("PUT", re.compile(r"mpu/part/([^/]+)/([^/]+)"), Upload("secret", multipart.begin_part)),
    ("POST", re.compile(r"mpu/create/(.+)"), write(multipart.create, take.CREATE_UPLOAD)),
    ("POST", re.compile(r"mpu/complete/(.+)"), write(multipart.complete, take.UPLOAD)),
    ("POST", re.compile(r"mpu/abort/(.+)"), write(multipart.abort, take.UPLOAD)),
]


#: What pages of MLflow ask beside its API.
_PLACED_PAGES = [
    *_got(r"/*get-artifact", Download("read", downloads.of_run, take.RUN_FILE)),
    *_got(r"/*model-versions/get-artifact", Download("read", downloads.of_version, take.VERSION_FILE)),
]
_NONE: dict[tuple[str, str], RequestSchema] = {}
_TABLES = ((PREFIXES, _ROUTES, _PLACED), (FILES, _NONE, _PLACED_FILES), (("/",), _NONE, _PLACED_PAGES))


def find_route(method: str, path: str) -> tuple[RequestSchema | Upload | Download, Sequence[str]] | None:
    """Who answers a request, and what stands in the places of its route. None when nobody does."""
    for prefixes, table, placed in _TABLES:
        prefix = next((one for one in prefixes if path.startswith(one)), None)
        if prefix is None:
            continue
        rest = path[len(prefix) :].rstrip("/")
        rule = table.get((method, rest))
        if rule:
            return rule, ()
        for one, pattern, placed_rule in placed:
            match = pattern.fullmatch(rest)
            if match and one == method:
                return placed_rule, match.groups()
    return None


def not_served(method: str, path: str) -> Answer:
    """MLflow has it, Assay does not, or nobody has."""
    if path.startswith(("/api/", "/ajax-api/")):
        what = f"Assay does not serve {method} {path[:200]}: of MLflow it serves tracking, models and artifacts."
        return error_answer(MlflowError("NOT_IMPLEMENTED", what), 501, "NOT_IMPLEMENTED")
    return error_answer(MlflowError("ENDPOINT_NOT_FOUND", f"there is no {path[:200]}"), 404, "ENDPOINT_NOT_FOUND")


def error_answer(error: Exception, status: int, code: str) -> Answer:
    """An error as MLflow's JSON."""
    return answer_json({"error_code": code, "message": str(error)}, status)
