"""MLflow and Weights & Biases as they are, each in an environment of its own."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

HERE = Path(__file__).parent
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
START_S = 120


def interpreter(variable: str, name: str) -> str:
    path = os.environ.get(variable) or str(HERE.parents[1] / ".venv" / name / "bin" / "python")
    if not Path(path).is_file():
        pytest.skip(f"MISSING: {name}. Run: make parts; or name an interpreter that has it in {variable}")
    return path


@dataclass(frozen=True)
class Mlflow:
    """An MLflow that was filled: its database, its files, and what its own client reads from it."""

    python: str
    database: Path
    artifacts: Path
    truth: dict[str, Any]

    def run(self, uri: str, word: str) -> Any:
        """What `fill_mlflow.py` says."""
        return run(self.python, uri, word)


def run(python: str, uri: str, word: str) -> Any:
    """What `fill_mlflow.py` says when it does `word` at `uri`."""
    done = subprocess.run(
        [python, HERE / "fill_mlflow.py", uri, word],
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def serving(python: str, database: Path, artifacts: Path, log: Path) -> Iterator[str]:
    """The URL of a server on a database; the server and its workers are a group, and end together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}", "--workers", "1"]
    command += ["--artifacts-destination", str(artifacts), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=os.environ | QUIET, stdout=said, stderr=said, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, server, log)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urlopen(f"{url}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(log.read_text()[-3000:])
