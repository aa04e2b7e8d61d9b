"""Which source an address names."""

from pathlib import Path
from urllib.parse import urlsplit

from assay.errors import BadInput, NotFound
from assay.exchange.mlflow_database import MlflowDatabase
from assay.exchange.mlflow_files import open_folder
from assay.exchange.mlflow_server import MlflowServer
from assay.exchange.records import Tracker
from assay.exchange.wandb_runs import WandbFolder

_DATABASES = ("sqlite", "postgresql", "postgres", "mysql", "mssql")


def open_mlflow(uri: str, *, artifacts: Path | None = None) -> Tracker:
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
        f"{uri!r} is not an address of MLflow",
        do="Give http://HOST:PORT, sqlite:///FILE, postgresql://USER@HOST/DATABASE or a folder.",
    )


def open_wandb(folder: Path) -> Tracker:
    """A folder with runs of Weights & Biases. Raises `NotFound` when there is none in it."""
    return WandbFolder(folder)


def open_neptune(folder: Path, *, files: Path | None = None) -> Tracker:
    """What Neptune's exporter left: a folder with `data` and `files` in it, or the data, and `files` beside it or named.

    Raises `NotFound` when there is no run in it.
    """
    from assay.exchange.neptune_runs import NeptuneExport

    if files is not None and not files.is_dir():
        raise NotFound(f"there is no folder {files}", do="Name the --files-path of the export.")
    return NeptuneExport(folder, files)


def open_assay(place: str, *, artifacts: str | None = None) -> Tracker:
    """Another store of Assay: its home, or the URL of its database with the place of its artifacts.

    Raises `NotFound` when there is none, `BadInput` for another schema or a URL that can't be read.
    """
    from assay.exchange.assay_store import AssayStore

    return AssayStore(place, artifacts)
