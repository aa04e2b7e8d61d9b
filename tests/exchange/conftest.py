"""Real counterparts, and stores to bring them into."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from counterparts import Mlflow, interpreter, run, serving

from assay.store import Home, Store

collect_ignore = ["fill_mlflow.py", "fill_wandb.py", "neptune_export.py"]  # scripts for the interpreters that have them


@pytest.fixture(scope="session")
def mlflow_python() -> str:
    """An interpreter that has MLflow."""
    return interpreter("ASSAY_MLFLOW", "mlflow3")


@pytest.fixture(scope="session")
def wandb_python() -> str:
    """An interpreter that has the client of Weights & Biases."""
    return interpreter("ASSAY_WANDB", "wandb")


@pytest.fixture(scope="session")
def mlflow(mlflow_python: str, tmp_path_factory: pytest.TempPathFactory) -> Mlflow:
    """A database and files of MLflow, filled through a server that was stopped since; copy them before changing them."""
    folder = tmp_path_factory.mktemp("mlflow")
    database, artifacts = folder / "mlflow.db", folder / "artifacts"
    with serving(mlflow_python, database, artifacts, folder / "server.log") as url:
        run(mlflow_python, url, "fill")
        truth = run(mlflow_python, url, "read")
    return Mlflow(mlflow_python, database, artifacts, truth)


@pytest.fixture(scope="session")
def server(mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on what was filled, for tests that only read."""
    log = tmp_path_factory.mktemp("server") / "server.log"
    with serving(mlflow.python, mlflow.database, mlflow.artifacts, log) as url:
        yield url


@pytest.fixture
def own_server(mlflow: Mlflow, tmp_path: Path) -> Iterator[str]:
    """A server on a copy, for tests that change it."""
    shutil.copy(mlflow.database, tmp_path / "mlflow.db")
    shutil.copytree(mlflow.artifacts, tmp_path / "artifacts")
    with serving(mlflow.python, tmp_path / "mlflow.db", tmp_path / "artifacts", tmp_path / "server.log") as url:
        yield url


@pytest.fixture
def new_store(tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    """Opens stores in folders of their own."""
    made: list[Store] = []

    def new(name: str) -> Store:
        made.append(Store(Home(tmp_path / name)))
        return made[-1]

    yield new
    for one in made:
        one.database.dispose()


@pytest.fixture
def store(new_store: Callable[[str], Store]) -> Store:
    """An empty store."""
    return new_store(".assay")
