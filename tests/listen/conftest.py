"""A server process with bounds of one's own."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

collect_ignore = ["bare.py"]  # a script


@contextmanager
def _bare(limits: dict[str, Any]) -> Iterator[int]:
    command = [sys.executable, Path(__file__).parent / "bare.py", json.dumps(limits)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.fixture
def server() -> Iterator[Callable[..., int]]:
    """Starts servers; gives their ports."""
    with ExitStack() as stack:
        yield lambda **limits: stack.enter_context(_bare(limits))


@pytest.fixture
def raw() -> Iterator[Callable[[int, bytes], socket.socket]]:
    """Opens connections and sends the first bytes."""
    with ExitStack() as stack:

        def opened(port: int, data: bytes = b"") -> socket.socket:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            connection.sendall(data)
            return connection

        yield opened
