"""SIGKILL at any moment: what was answered is in the table exactly once, and nothing is there twice."""

import contextlib
import http.client
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from running import ROW, Server, ask, environment, run_assay, serving

from assay import store
from assay.predictions import drain_predictions, read_rows
from assay.serve.answer import answer, open_served
from assay.store import Home
from assay.track import champion

CLIENTS = 4


def rows_of(home: Path) -> Counter[tuple[str, int]]:
    rows = read_rows(Home(home), "long-trip")
    assert rows is not None
    return Counter(zip(rows.column("request_id").to_pylist(), rows.column("row").to_pylist(), strict=True))


class Client(threading.Thread):
    """Sends requests of one to three rows until the server is gone."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(name=name)
        self.server = server
        self.sent: list[tuple[str, int]] = []
        self.answered: list[tuple[str, int]] = []

    def run(self) -> None:
        connection = self.server.connect()
        with contextlib.suppress(OSError, http.client.HTTPException):
            for number in range(1_000_000):
                request_id, rows = f"{self.name}-{number}", 1 + number % 3
                keys = [(request_id, row) for row in range(rows)]
                self.sent += keys
                reply = ask(connection, "POST", "/predict", [ROW] * rows, {"X-Request-Id": request_id})
                assert reply.status == 200
                self.answered += keys
        connection.close()


def kill_under_load(home: Path, number: int) -> list[Client]:
    with serving(home, "long-trip", "--rotate", "1s") as server:
        clients = [Client(server, f"kill{number}-{i}") for i in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(random.uniform(1.0, 2.5))
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        for client in clients:
            client.join()
    return clients


def test_every_answered_row_of_a_killed_server_is_in_the_table_once(home: Path) -> None:
    clients = [client for number in range(3) for client in kill_under_load(home, number)]
    answered = {key for client in clients for key in client.answered}
    sent = {key for client in clients for key in client.sent}
    assert len(answered) > 300
    seen = rows_of(home)  # the orphaned segments may still be in the spool, or in a drainer's hands
    assert answered <= set(seen)
    wait_until_drained(home)
    kept = rows_of(home)
    assert set(kept.values()) == {1}
    assert answered <= set(kept) <= sent
    assert len(set(kept) - answered) <= 3 * len(clients)  # at most the request each client was waiting for


def wait_until_drained(home: Path) -> None:
    end = time.monotonic() + 30
    while list((home / "spool" / "predictions").glob("*.seg")):
        assert time.monotonic() < end
        assert run_assay(home, "drain").returncode == 0


@pytest.fixture
def spooled(home: Path) -> Counter[tuple[str, int]]:
    """Many closed segments, over two days of event time, and the rows in them."""
    expected: Counter[tuple[str, int]] = Counter()
    with store.use(Home(home)) as opened:
        for segment in range(40):
            served = open_served(opened, champion(opened, "long-trip"), rotate_s=60)
            for request in range(10):
                request_id = f"{segment}-{request}"
                day = 20 + request % 2
                answer(served, b"[%s]" % b",".join([row_on(day)] * 2), request_id)
                expected.update([(request_id, 0), (request_id, 1)])
            served.log.close()
    return expected


def row_on(day: int) -> bytes:
    return b'{"trip":"a","start":"2013-01-%dT12:00:00Z","zone":"north","miles":3.5,"seats":4}' % day


DRAIN = """
import sys
from pathlib import Path
import numpy, pyarrow.parquet
from assay.predictions import drain_predictions
from assay.store import Home
print("ready", flush=True)
drain_predictions(Home(Path(sys.argv[1])))
"""


def test_a_drainer_killed_half_way_neither_loses_nor_doubles_a_row(
    home: Path, spooled: Counter[tuple[str, int]]
) -> None:
    for taken in (1, 5, 9):
        left = segments(home)
        with subprocess.Popen(
            [sys.executable, "-c", DRAIN, str(home)], stdout=subprocess.PIPE, env=environment()
        ) as drainer:
            assert drainer.stdout is not None
            assert drainer.stdout.readline() == b"ready\n"
            while segments(home) > left - taken:
                time.sleep(random.uniform(0, 0.003))
            drainer.kill()
        assert 0 < segments(home) < left
        assert rows_of(home) == spooled
    assert run_assay(home, "drain").returncode == 0
    assert segments(home) == 0
    assert rows_of(home) == spooled


def segments(home: Path) -> int:
    return len(list((home / "spool" / "predictions").glob("[!.]*.seg")))


def test_a_segment_drained_but_not_removed_is_drained_again_without_harm(
    home: Path, spooled: Counter[tuple[str, int]]
) -> None:
    folder = home / "spool" / "predictions"
    kept = {path: path.read_bytes() for path in folder.glob("*.seg")}
    drain_predictions(Home(home))
    for path, content in kept.items():  # as when it is killed between writing the table and removing the segment
        path.write_bytes(content)
    assert rows_of(home) == spooled
    drain_predictions(Home(home))
    assert rows_of(home) == spooled
