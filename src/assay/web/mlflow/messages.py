"""The fields of MLflow's requests. What a client sends beyond them is left out."""

from assay.web.fields import LONGEST_LIST, ManyOf, Message, as_it_is, flag, listed, name_or_number, one_of, text, whole

#: Parameters, tags and points of one request; what a handler takes of them is less.
_PAIRS = ManyOf(Message(key=text, value=text), LONGEST_LIST)
_TEXTS = ManyOf(text)
_IDS = ManyOf(name_or_number)
_VIEW = one_of("ACTIVE_ONLY", "DELETED_ONLY", "ALL")
_RUN = {"run_id": text, "run_uuid": text}
_PAGE = {"max_results": whole, "page_token": text}

NOTHING = Message()
CREATE_EXPERIMENT = Message(name=text, artifact_location=text, tags=_PAIRS)
EXPERIMENT = Message(experiment_id=name_or_number)
EXPERIMENT_BY_NAME = Message(experiment_name=text)
SEARCH_EXPERIMENTS = Message(filter=text, order_by=_TEXTS, view_type=_VIEW, **_PAGE)
RENAME_EXPERIMENT = Message(experiment_id=name_or_number, new_name=text)
EXPERIMENT_TAG = Message(experiment_id=name_or_number, key=text, value=text)
DATASETS_OF_EXPERIMENTS = Message(experiment_ids=_IDS)

CREATE_RUN = Message(experiment_id=name_or_number, user_id=text, run_name=text, start_time=whole, tags=_PAIRS)
RUN = Message(**_RUN)
RUN_STATUS = one_of("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
CHANGE_RUN = Message(status=RUN_STATUS, end_time=whole, run_name=text, **_RUN)
SEARCH_RUNS = Message(experiment_ids=_IDS, filter=text, run_view_type=_VIEW, order_by=_TEXTS, **_PAGE)
RUN_TAG = Message(key=text, value=text, **_RUN)
_POINT = {"key": text, "value": as_it_is, "timestamp": as_it_is, "step": as_it_is}
LOG_METRIC = Message(model_id=text, dataset_name=text, dataset_digest=text, **_POINT, **_RUN)
LOG_BATCH = Message(metrics=listed, params=_PAIRS, tags=_PAIRS, **_RUN)
_DATASET = Message(name=text, digest=text, source_type=text, source=text, schema=text, profile=text)
_MODELS = ManyOf(Message(model_id=text, step=whole))
LOG_INPUTS = Message(datasets=ManyOf(Message(dataset=_DATASET, tags=_PAIRS)), models=_MODELS, **_RUN)
LOG_OUTPUTS = Message(models=_MODELS, **_RUN)
LOG_MODEL = Message(model_json=text, **_RUN)
HISTORY = Message(metric_key=text, **_PAGE, **_RUN)
HISTORY_BULK = Message(run_id=_TEXTS, metric_key=text, max_results=whole)
HISTORY_INTERVAL = Message(run_ids=_TEXTS, metric_key=text, start_step=whole, end_step=whole, max_results=whole)
ARTIFACTS = Message(path=text, page_token=text, **_RUN)
RUN_FILE = Message(path=text, **_RUN)

CREATE_LOGGED = Message(
    experiment_id=name_or_number, name=text, model_type=text, source_run_id=text, params=_PAIRS, tags=_PAIRS
)
GET_LOGGED = Message(allow_deleted=flag)
LOGGED_STATUS = one_of(
    "LOGGED_MODEL_STATUS_UNSPECIFIED",
    "LOGGED_MODEL_PENDING",
    "LOGGED_MODEL_READY",
    "LOGGED_MODEL_UPLOAD_FAILED",
    first=0,
)
FINALIZE_LOGGED = Message(status=LOGGED_STATUS)
LOGGED_VALUES = Message(tags=_PAIRS, params=_PAIRS)
LOGGED_FILE = Message(artifact_file_path=text)
LOGGED_ARTIFACTS = Message(artifact_directory_path=text, page_token=text)
_OF_DATASET = {"dataset_name": text, "dataset_digest": text}
SEARCH_LOGGED = Message(
    experiment_ids=_IDS,
    filter=text,
    datasets=ManyOf(Message(**_OF_DATASET), 100),
    order_by=ManyOf(Message(field_name=text, ascending=flag, **_OF_DATASET), 100),
    **_PAGE,
)

CREATE_MODEL = Message(name=text, description=text, tags=_PAIRS)
MODEL = Message(name=text, description=text, new_name=text)
SEARCH_MODELS = Message(filter=text, order_by=_TEXTS, **_PAGE)
LATEST_VERSIONS = Message(name=text, stages=_TEXTS)
MODEL_TAG = Message(name=text, key=text, value=text)
ALIAS = Message(name=text, alias=text, version=name_or_number)
CREATE_VERSION = Message(
    name=text, source=text, run_id=text, run_link=text, description=text, model_id=text, tags=_PAIRS
)
VERSION = Message(name=text, version=name_or_number, description=text)
STAGE = Message(name=text, version=name_or_number, stage=text, archive_existing_versions=flag)
VERSION_FILE = Message(name=text, version=name_or_number, path=text)
VERSION_TAG = Message(name=text, version=name_or_number, key=text, value=text)

BELOW = Message(path=text)
CREATE_UPLOAD = Message(path=text, num_parts=whole)
UPLOAD = Message(path=text, upload_id=text, parts=ManyOf(Message(part_number=whole, etag=text)))
