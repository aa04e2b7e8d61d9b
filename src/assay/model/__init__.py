"""One code path: a model, its features, what is published of it, how it is split, trained and scored."""

from assay.model.bundle import Bundle, open_bundle
from assay.model.features import Matrix, hour, month, weekday
from assay.model.logged import load_model, log_model
from assay.model.model import Model
from assay.model.rows import read
from assay.model.split import Split, split
from assay.model.train import Candidate, train

__all__ = [
    "Bundle",
    "Candidate",
    "Matrix",
    "Model",
    "Split",
    "hour",
    "load_model",
    "log_model",
    "month",
    "open_bundle",
    "read",
    "split",
    "train",
    "weekday",
]
