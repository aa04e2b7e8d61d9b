"""Both servers under hostile clients: memory, descriptors, /health of others meanwhile, and the end by SIGTERM."""

import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from measure import HERE, Row

sys.path[:0] = [str(HERE.parent / "tests" / "hostile"), str(HERE.parent / "tests" / "serve")]
from running import published
from targets import Target, target

MIB = 1 << 20
SECONDS = 15.0


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows: list[Row] = []
        for which in ("up", "serve"):
            shutil.copytree(published(folder), folder / which)
            rows += _measured(which, folder / which / ".assay")
        return rows


def _measured(which: str, home: Path) -> list[Row]:
    with target(which, home) as server:
        server.works()
        rss, descriptors = server.measured()
        stop, most = threading.Event(), [rss, descriptors]
        clients = [_heads, _bodies, _slow, _idle]
        threads = [threading.Thread(target=_again, args=(client, server, stop), daemon=True) for client in clients * 3]
        for thread in threads:
            thread.start()
        looks: list[float] = []
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            looks.append(server.healthy())
            most = [max(pair) for pair in zip(most, server.measured(), strict=True)]
            time.sleep(0.02)
        stop.set()
        held = server.connect(server.head("POST", server.path, "content-length: 1000") + b"abc")
        begun = time.monotonic()
        code = server.end()
        took = time.monotonic() - begun
        held.close()
    p99 = statistics.quantiles(looks, n=100)[98]
    said = f"`assay {which}` under endless heads, large and slow bodies, idle connections"
    return [
        Row(f"{said}: memory", f"{most[0] / MIB:.0f} MiB", "at rest", f"{rss / MIB:.0f} MiB"),
        Row(f"{said}: descriptors", str(most[1]), "at rest", str(descriptors)),
        Row(
            f"{said}: /health of others, p99",
            f"{p99 * 1000:.0f} ms",
            "median",
            f"{statistics.median(looks) * 1000:.0f} ms",
        ),
        Row(f"`assay {which}`, SIGTERM beside half a body", f"{took:.1f} s, exit code {code}"),
    ]


def _again(client: Callable[[Target], None], server: Target, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(OSError):
            client(server)


def _heads(server: Target) -> None:
    with server.connect(server.head("GET", "/health")[:-2] + b"x: ") as connection:
        for _ in range(8):
            connection.sendall(b"a" * MIB)


def _bodies(server: Target) -> None:
    head = server.head("POST", server.path, "content-type: application/json", f"content-length: {60 * MIB}")
    with server.connect(head) as connection:
        for _ in range(60):
            connection.sendall(b" " * MIB)


def _slow(server: Target) -> None:
    head = server.head("POST", server.path, "content-type: application/json", f"content-length: {4 * MIB}")
    with server.connect(head + b" " * (3 * MIB)) as connection:
        time.sleep(2)
        connection.sendall(b" ")


def _idle(server: Target) -> None:
    opened = [server.connect() for _ in range(100)]
    time.sleep(2)
    for connection in opened:
        connection.close()
