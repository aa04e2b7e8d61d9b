"""One code path: a model, its features, what is published of it, how it is split, trained and scored."""

from assay.model.bundle import Bundle, open_bundle
from assay.model.clock import day_of_year, elapsed, holiday, hour, month, weekday
from assay.model.encodings import bucket, cyclic, hashed, impute, one_hot
from assay.model.features import Matrix
from assay.model.forms import Codes
from assay.model.loaded import LoadedModel
from assay.model.logged import load_model, log_model
from assay.model.model import Model
from assay.model.own import Estimator
from assay.model.split import Split, split
from assay.model.train import Candidate, train

__all__ = [
    "Bundle",
    "Candidate",
    "Codes",
    "Estimator",
    "LoadedModel",
    "Matrix",
    "Model",
    "Split",
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
    "open_bundle",
    "split",
    "train",
    "weekday",
]
