"""Servers: ours, and MLflow's own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
collect_ignore = ["conversation.py", "log_for_adoption.py"]  # scripts for the interpreter that has MLflow
OF_MLFLOW = {"mlflow3": ROOT / ".venv/mlflow3/bin/python", "mlflow2": ROOT / ".venv/mlflow2/bin/python"}


@pytest.fixture(scope="session")
def mlflow_python() -> Callable[[str], str]:
    """The interpreter that has an MLflow; the test is skipped, loudly, when there is none."""
    return _python


def _python(which: str) -> str:
    path = OF_MLFLOW[which]
    if not path.exists():
        pytest.skip(f"MISSING: {which}. Run: make parts")
    return str(path)


@pytest.fixture(scope="session")
def running() -> Callable[..., Any]:
    """Runs a server of ours for the length of a block, which gets its address."""
    return _running


@contextmanager
def _running(home: Path, *options: str, **environment: str) -> Iterator[str]:
    """The address of a server of ours."""
    command = [sys.executable, "-m", "assay", "up", "--port", "0", "--home", str(home), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("up on http"), line
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
        process.stdout.close()  # pyright: ignore[reportOptionalMemberAccess]
        assert code == 0


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts servers of ours in a home of this test."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda *options, **environment: stack.enter_context(
            _running(tmp_path / ".assay", *options, **environment)
        )


@pytest.fixture
def address(up: Callable[..., str]) -> str:
    """The address of a server of ours."""
    return up()


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[str]:
    """The address of MLflow's own server."""
    python = _python("mlflow3")
    folder = tmp_path / "mlflow"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [python, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/health", process, folder / "log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())
