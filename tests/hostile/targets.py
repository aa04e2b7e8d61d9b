"""Both servers as processes, for clients that mean no good."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from running import ROW, environment

#: Both stop after ten seconds of waiting for requests, and five for threads; draining comes on top.
END_WITHIN_S = 60


@dataclass
class Target:
    """A server process."""

    which: str
    process: "subprocess.Popen[str]"
    port: int
    home: Path
    #: A POST that it answers with 200, as method, path and body.
    path: str
    body: bytes
    #: Connections, closed at the end.
    opened: list[socket.socket] = field(default_factory=list[socket.socket])

    def connect(self, data: bytes = b"") -> socket.socket:
        """A connection that has sent something."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.opened.append(opened)
        opened.sendall(data)
        return opened

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """The head of a request."""
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", *lines, "", ""]).encode()

    def healthy(self) -> float:
        """Seconds of one good look at /health."""
        begun = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=30) as answer:
            assert answer.status == 200
        return time.monotonic() - begun

    def works(self) -> None:
        """A good request is answered."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self.path}", self.body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert answer.status == 200

    def measured(self) -> "tuple[int, int]":
        """Bytes of memory, and descriptors."""
        seen = psutil.Process(self.process.pid)
        return seen.memory_info().rss, seen.num_fds()

    def descriptors_return(self, to: int) -> None:
        """Wait until no more than these are open."""
        for _ in range(600):
            if self.measured()[1] <= to:
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.measured()[1]} descriptors are open, {to} were")

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_WITHIN_S)


@contextmanager
def target(which: str, home: Path, *options: str) -> Iterator[Target]:
    """One of the servers."""
    what = ["up"] if which == "up" else ["serve", "long-trip"]
    command = [sys.executable, "-m", "assay", *what, "--port", "0", "--home", str(home), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout
            waiting = select.poll()  # select() knows no descriptor above 1,023
            waiting.register(process.stdout, select.POLLIN)
            assert waiting.poll(1_000 * 60), "the server did not start"
            line = process.stdout.readline()
            port = int(line.split("://")[1].split()[0].split("/")[0].rpartition(":")[2])
            path = "/api/2.0/mlflow/experiments/search" if which == "up" else "/predict"
            body: Any = {"max_results": 5} if which == "up" else ROW
            running = Target(which, process, port, home, path, json.dumps(body).encode())
            yield running
            for connection in running.opened:
                connection.close()
        finally:
            with suppress(ProcessLookupError):
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGKILL)
