"""Coming from and going to other trackers: MLflow's servers, databases and folders, runs of Weights & Biases."""

from assay.exchange.bring import Summary, bring
from assay.exchange.mirror import Mirror, Mirrored
from assay.exchange.records import Source
from assay.exchange.sources import open_mlflow, open_wandb

__all__ = ["Mirror", "Mirrored", "Source", "Summary", "bring", "open_mlflow", "open_wandb"]
