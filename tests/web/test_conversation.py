"""MLflow's unmodified clients, the newest and that of 2.22, have the same conversation with our server as with MLflow's."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
#: Where we differ, and why.
DIFFERENCES = {
    "artifacts of all/sub/deep": "an empty file has 0 bytes; MLflow leaves its size out",
    "artifacts of c:\\x": "a path of Windows is refused; MLflow takes it for a name",
    "experiment deleted, renamed": "a fault of the client has status 400; MLflow answers 500, and its client tries again",
    "experiment renamed to a taken name": "RESOURCE_ALREADY_EXISTS; MLflow's database error shines through",
    "logged models where foo = 'x'": "a fault of the client has status 400; MLflow answers 500",
    "runs by ['metrics.auc', 'metrics.auc DESC']": "a fault of the client has status 400; MLflow answers 500",
    "runs where metrics.auc > 0.5 metrics.b > 1": "a missing AND is refused; MLflow overlooks it",
}


def converse(python: str, address: str, folder: Path) -> dict[str, Any]:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": address, "HOME": str(folder)}
    done = subprocess.run(
        [python, str(HERE / "conversation.py")],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout[done.stdout.index("{\n") :])


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted({*ours, *theirs})
    return {n: (ours.get(n), theirs.get(n)) for n in names if ours.get(n) != theirs.get(n) and n not in DIFFERENCES}


@pytest.mark.parametrize("client", ["mlflow3", "mlflow2"])
def test_a_client_hears_the_same_from_both_servers(
    client: str, address: str, theirs: str, mlflow_python: Callable[[str], str], tmp_path: Path
) -> None:
    python = mlflow_python(client)
    ours = converse(python, address, tmp_path)
    assert len(ours) > 290
    assert differing(ours, converse(python, theirs, tmp_path)) == {}


def test_it_is_the_same_on_postgresql(
    up: Callable[..., str], postgres: str, mlflow_python: Callable[[str], str], tmp_path: Path
) -> None:
    name = f"t{uuid4().hex}"
    admin = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = postgres.replace("/postgres?", f"/{name}?")
    python = mlflow_python("mlflow3")
    on_sqlite = converse(python, up(), tmp_path)
    (tmp_path / "other").mkdir()
    on_postgresql = converse(python, up("--home", str(tmp_path / "other" / ".assay"), ASSAY_DATABASE=url), tmp_path)
    assert differing(on_postgresql, on_sqlite) == {}
