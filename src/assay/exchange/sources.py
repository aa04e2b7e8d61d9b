"""Which source an address names."""

from pathlib import Path
from urllib.parse import urlsplit

from assay.errors import BadInput
from assay.exchange.mlflow_database import MlflowDatabase
from assay.exchange.mlflow_files import open_folder
from assay.exchange.mlflow_server import MlflowServer
from assay.exchange.records import Source
from assay.exchange.wandb_runs import WandbFolder

_DATABASES = ("sqlite", "postgresql", "postgres", "mysql", "mssql")


def open_mlflow(uri: str, *, artifacts: Path | None = None) -> Source:
    """A server (http://...), a database (sqlite:///..., postgresql://...) or a folder of MLflow.

    `artifacts` is the folder in which a server keeps the files that it hands out itself (its `--artifacts-destination`),
    for a database or folder that such a server used. Raises `BadInput`, `NotFound` or `Unavailable`.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in ("http", "https"):
        return MlflowServer(uri)
    if scheme in _DATABASES:
        return MlflowDatabase(uri, artifacts)
    if scheme in ("", "file") or len(scheme) == 1:
        return open_folder(uri, artifacts)
    raise BadInput(
        f"{uri!r} is no address of MLflow that can be read",
        do="Give http://HOST:PORT, sqlite:///FILE, postgresql://USER@HOST/DATABASE or a folder.",
    )


def open_wandb(folder: Path) -> Source:
    """A folder with runs of Weights & Biases. Raises `NotFound` when there is none in it."""
    return WandbFolder(folder)
