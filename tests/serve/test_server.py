"""The process: how it begins and ends, and how it adopts another version while it answers."""

import json
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from running import ROW, Server, ask, run_assay, serving

from assay import store
from assay.blessing import rollback
from assay.errors import BadInput
from assay.listen import listen
from assay.predictions import read_rows
from assay.store import Home
from assay.track import find_version, set_alias


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


def test_an_unknown_model_is_refused_with_the_near_miss(home: Path) -> None:
    ended = run_assay(home, "serve", "long-trp", "--port", "0")
    assert ended.returncode == 2
    assert "no model 'long-trp' is published\n  did you mean long-trip?" in ended.stderr


def test_a_port_in_use_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_assay(home, "serve", "long-trip", "--port", str(port))
    assert ended.returncode == 3
    assert f"can't listen on 127.0.0.1:{port}: Address already in use\nStop what listens there" in ended.stderr


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
                set_alias(connection, "long-trip", "champion", 1)
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


def wait_until(is_so, within_s: float = 20) -> None:
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
