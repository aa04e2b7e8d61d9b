"""The process: how it begins and ends, and how it adopts another version while it answers."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from running import ROW, Server, ask, environment, run_assay, serving

from assay import store
from assay.blessing import rollback
from assay.errors import BadInput
from assay.listen import listen
from assay.predictions import read_rows
from assay.store import Home
from assay.track import By, aliases, find_version


def served_ids(home: Path, model: str = "long-trip") -> Counter[str]:
    rows = read_rows(Home(home), model)
    return Counter(rows.column("request_id").to_pylist()) if rows else Counter()


def log_lines(home: Path) -> list[dict]:
    return [
        json.loads(line) for path in home.glob("logs/assay-serve-*.jsonl") for line in path.read_text().splitlines()
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_everything_drained(home: Path, number: int) -> None:
    with serving(home) as server:
        said = [server.predict(ROW).body["request_id"] for _ in range(30)]
        assert server.end(number) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""
    assert list((home / "spool" / "predictions").glob("*")) == []
    assert served_ids(home) == Counter(said)


def test_a_signal_ends_it_although_feature_code_never_returns(home: Path) -> None:
    with serving(home, "faulty") as server:
        answered = server.predict(ROW).body["request_id"]
        with send_row(server, ROW | {"miles": 67.0}) as stuck:
            wait_until(lambda: asks_in_vain(server))
            assert server.end() == 3
            assert stuck.recv(1000) == b""
    assert any("does not come back from falling (" in line["message"] for line in log_lines(home))
    assert run_assay(home, "drain").returncode == 0
    wait_until(lambda: served_ids(home, "faulty") == Counter([answered]))  # its drainer may be at it still


@pytest.mark.parametrize("loaded", ["libpython", "duckdb", "lightgbm"])
def test_a_signal_while_it_starts_ends_it(home: Path, loaded: str) -> None:
    command = [sys.executable, "-m", "assay", "serve", "long-trip", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment()) as process:
        wait_until(lambda: loaded == "libpython" or loaded in Path(f"/proc/{process.pid}/maps").read_text(), 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


def test_a_signal_during_a_long_body_breaks_it_off(home: Path) -> None:
    with serving(home) as server:
        body, over = send_row(server, b"x" * 100_000, declared=8_000_000), threading.Event()

        def trickle() -> None:
            with suppress(OSError):
                while not over.wait(0.2):
                    body.sendall(b"x" * 4_000)

        slow = threading.Thread(target=trickle)
        slow.start()
        try:
            assert server.end() == 0
        finally:
            over.set()
            slow.join()
            body.close()


def test_an_unknown_model_is_refused_with_the_near_miss(home: Path) -> None:
    ended = run_assay(home, "serve", "long-trp", "--port", "0")
    assert ended.returncode == 2
    assert "no model 'long-trp' is published\n  did you mean long-trip?" in ended.stderr


def test_a_port_in_use_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_assay(home, "serve", "long-trip", "--port", str(port))
    assert ended.returncode == 3
    assert (
        f"can't listen on 127.0.0.1:{port}: Address already in use\nStop the process that listens there" in ended.stderr
    )


def test_a_port_that_is_none_is_the_users_fault() -> None:
    with pytest.raises(BadInput, match="99999 is not a port"):
        listen("127.0.0.1", 99999)


def test_a_prediction_outside_of_its_contract_is_not_given_and_not_logged(home: Path) -> None:
    with serving(home, "sure") as server:
        reply = server.predict(ROW)
        assert reply.status == 500
        assert "the prediction 0." in reply.body["error"]
        assert "is not a number, 0.999 to 1" in reply.body["error"]
        server.end()
    assert served_ids(home, "sure") == Counter()


def test_a_fault_of_the_features_fails_one_request_and_is_in_the_log(home: Path) -> None:
    with serving(home, "faulty") as server:
        reply = server.predict(ROW | {"miles": 66}, **{"X-Request-Id": "broken"})
        assert (reply.status, reply.body["request_id"]) == (500, "broken")
        assert "ZeroDivisionError" not in json.dumps(reply.body)
        assert server.predict(ROW).status == 200
        server.end()
    (line,) = [line for line in log_lines(home) if line["log.level"] == "ERROR"]
    assert (line["error.type"], line["request_id"], line["model_version"]) == (
        "ZeroDivisionError",
        "broken",
        "faulty/1",
    )
    assert "a road without an end" in line["error.stack_trace"]


def test_other_versions_are_adopted_under_load_without_dropping_a_request(home: Path) -> None:
    versions: list[int] = []
    said: list[str] = []
    stop = threading.Event()
    with serving(home) as server, store.use(Home(home)) as opened:
        client = threading.Thread(target=send, args=(server, stop, versions, said))
        client.start()
        for version in (1, 2):
            wait_until(lambda: len(versions) > 20 and versions[-1] != version)  # noqa: B023
            rollback(opened, "long-trip", to=version)
            wait_until(lambda: versions[-1] == version)  # noqa: B023
        stop.set()
        client.join()
        health = server.ask("GET", "/health").body
        assert server.end() == 0
    order = [version for i, version in enumerate(versions) if i == 0 or versions[i - 1] != version]
    assert order == [2, 1, 2]
    assert (health["version"], health["dropped_rows"]) == (2, 0)
    assert served_ids(home) == Counter(said)
    rows = read_rows(Home(home), "long-trip")
    assert rows is not None
    by_version = {row["model_version"]: row for row in rows.to_pylist()}
    assert by_version[1]["feature_hour"] == 12
    assert (by_version[1]["feature_weekday"], by_version[2]["feature_weekday"]) == (None, 6)
    assert (by_version[1]["feature_zone"], by_version[2]["feature_zone"]) == ("north", None)


def test_a_version_that_does_not_open_is_not_adopted_and_said_once(home: Path) -> None:
    with store.use(Home(home)) as opened:
        path = opened.artifacts.path(find_version(opened, "long-trip", 1).bundle)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with serving(home) as server:
            with opened.database.begin() as connection:  # rollback() itself would refuse it
                aliases.move(connection, "long-trip", 1, By("a test"))
            wait_until(lambda: refusals(home))
            time.sleep(2.5)
            assert server.predict(ROW).body["version"] == 2
            assert server.end() == 0
    (said,) = refusals(home)
    assert "is damaged" in said


def refusals(home: Path) -> list[str]:
    return [line["message"] for line in log_lines(home) if "still answering from long-trip/2" in line["message"]]


def send(server: Server, stop: threading.Event, versions: list[int], said: list[str]) -> None:
    connection = server.connect()
    while not stop.is_set():
        reply = ask(connection, "POST", "/predict", ROW)
        versions.append(reply.body["version"] if reply.status == 200 else -reply.status)
        said.append(reply.body["request_id"])
    connection.close()


def send_row(server: Server, body: dict[str, Any] | bytes, declared: int | None = None) -> socket.socket:
    """A request whose answer nobody waits for; only a part of it when more is declared."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\ncontent-type: application/json\r\n"
    opened = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    opened.sendall(f"{head}content-length: {declared or len(content)}\r\n\r\n".encode() + content)
    return opened


def asks_in_vain(server: Server) -> bool:
    """Whether the server does not answer at all."""
    asked = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
    try:
        asked.request("GET", "/ready")
        asked.getresponse()
    except TimeoutError:
        return True
    finally:
        asked.close()
    return False


def wait_until(is_so, within_s: float = 20) -> None:
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
