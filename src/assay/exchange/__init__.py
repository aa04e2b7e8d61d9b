"""Coming from and going to other trackers: MLflow, Weights & Biases, exports of Neptune, and other stores of Assay."""

from assay.exchange.bring import bring
from assay.exchange.mirror import Mirror
from assay.exchange.mirror_wandb import WandbMirror
from assay.exchange.records import Tracker
from assay.exchange.sources import open_assay, open_mlflow, open_neptune, open_wandb
from assay.exchange.summary import Mirrored, Summary

__all__ = [
    "Mirror",
    "Mirrored",
    "Summary",
    "Tracker",
    "WandbMirror",
    "bring",
    "open_assay",
    "open_mlflow",
    "open_neptune",
    "open_wandb",
]
