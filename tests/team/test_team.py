"""Two machines, one database, one bucket: each command from either, and what is away stops only what needs it."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from machines import Machine
from running import ROW

#: CI runs the whole; `make test` the small form.
WHOLE = bool(os.environ.get("ASSAY_ALL_PARTS"))
STATES = ["refusing", "hanging"] if WHOLE else ["hanging"]


#: Turns that a command makes with the database, two of them for the connection and one for the version of the schema.
MOST_TURNS = {
    "runs": 7,
    "compare": 7,
    "run-show": 7,
    "models": 4,
    "ledger": 5,
    "experiments": 4,
    "doctor": 6,
    "sql": 4,
    "gc": 8,
    "rollback": 8,
}


def turns(machine: Machine, *command: str) -> int:
    """What a command costs: the least of some tries, for a machine that stalls makes two turns of one."""
    found: list[int] = []
    while len(found) < 3 and min(found, default=99) > MOST_TURNS[command[0]]:
        before = machine.database.turns
        machine.json(*command)
        found.append(machine.database.turns - before)
    return min(found)


@contextmanager
def serving(machine: Machine, *, within_s: float) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A server of long-trip on a machine, and its port."""
    with machine.start("serve", "long-trip", "--port", "0") as server:
        try:
            assert server.stdout
            assert server.stderr
            waiting = select.poll()  # select() knows no descriptor above 1,023
            waiting.register(server.stdout, select.POLLIN)
            assert waiting.poll(1_000 * within_s), "it did not start"
            line = server.stdout.readline()
            assert " answers at http" in line, line + server.stderr.read()
            yield server, int(line.split("://")[1].split("/")[0].rpartition(":")[2])
        finally:
            server.kill()


def ask(machine: Machine, port: int, method: str, path: str, body: Any = None) -> Any:
    """One request from the machine itself."""

    def asked() -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path, json.dumps(body) if body else None, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, said
        return said

    return machine.network.inside(asked)


def test_a_team_of_two(team: list[Machine]) -> None:
    """One story, because what it begins with takes long: trained on A, served on B, asked from both."""
    a, b = team
    with serving(b, within_s=120) as (server, port):
        for i in range(3):
            assert "prediction" in ask(b, port, "POST", "/predict", ROW | {"trip": f"t{i}"})
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    assert b.run("drain").returncode == 0
    ids = sorted(run["id"] for run in a.json("runs", "--limit", "3"))
    either = [
        ["runs"],
        ["run-show", ids[0]],
        ["compare", *ids[:2]],
        ["models", "long-trip"],
        ["ledger"],
        ["experiments"],
        ["skew", "long-trip", "--since", "2013-01-01"],
        ["drift", "long-trip"],
        ["gc", "--dry-run"],
        ["sql", "SELECT trip FROM (SELECT input_trip AS trip FROM served.long_trip) ORDER BY 1"],
        ["sql", "SELECT model, version FROM model_versions ORDER BY 1, 2"],
    ]
    for command in either if WHOLE else either[:5] + either[6:7] + either[9:10]:
        assert a.json(*command) == b.json(*command), command
    listing = (["runs"], ["models"], ["ledger"], ["experiments"], ["doctor"], ["sql", "SELECT count(*) AS n FROM runs"])
    shown = (["compare", *ids[:2]], ["run-show", ids[0]], ["gc"])
    costs = {one[0]: turns(b, *one) for one in (*listing, *shown)}
    before = a.database.turns
    assert a.run("rollback", "long-trip").returncode == 0
    costs["rollback"] = a.database.turns - before
    assert a.run("rollback", "long-trip", "--to", "2").returncode == 0
    at_once = [machine.start("rollback", "long-trip") for machine in team]
    said = [process.communicate(timeout=120)[1] for process in at_once]
    assert sorted(process.returncode for process in at_once) == [0, 2], said  # the second finds no version before it
    assert {name: cost for name, cost in costs.items() if cost > MOST_TURNS[name]} == {}
    for machine in team:
        assert [one["version"] for one in machine.json("models") if one["model"] == "long-trip"] == [1]


@pytest.mark.parametrize("state", STATES)
def test_a_server_starts_with_what_it_served_last_while_database_and_bucket_are_away(
    team: list[Machine], state: Any
) -> None:
    _, b = team
    with serving(b, within_s=120) as (_, port):
        before = ask(b, port, "POST", "/predict", ROW | {"trip": "before"})
    for line in (b.database, b.bucket):
        line.set(state)
    began = monotonic()
    with serving(b, within_s=120) as (server, port):
        after = ask(b, port, "POST", "/predict", ROW | {"trip": "after"})
        assert after | {"request_id": ""} == before | {"request_id": ""}
        health = ask(b, port, "GET", "/health")
        assert "does not answer" in health["champion"]
        assert health["champion"] in health["status"]
        for line in (b.database, b.bucket):
            line.set("open")
        until = monotonic() + 60
        while ask(b, port, "GET", "/health")["champion"] != "ok":
            assert monotonic() < until
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    assert monotonic() - began < 120


@pytest.mark.parametrize("state", STATES)
def test_a_step_back_does_not_wait_for_the_bucket(team: list[Machine], state: Any) -> None:
    a, b = team
    began = monotonic()
    assert b.run("rollback", "long-trip").returncode == 0
    assert b.run("rollback", "long-trip", "--to", "2").returncode == 0
    both = monotonic() - began  # what two cost, on a machine that may be busy
    b.bucket.set(state)
    began = monotonic()
    done = b.run("rollback", "long-trip")
    assert done.returncode == 0, done.stderr
    assert "could not be verified" in done.stderr
    assert monotonic() - began < both + 12  # it waits 3 s twice; a bucket that hangs costs 15 s each time it is asked
    b.bucket.set("open")
    assert [one["version"] for one in a.json("models") if one["model"] == "long-trip"] == [1]


#: Logs until it is told to end; each call is timed.
LOGS = """
import json, pathlib, time
from assay.store import current
from assay.track import begin_run
run, points, files, worst = begin_run(current(), "outage"), 0, 0, 0.0
print("logging", flush=True)
while not pathlib.Path("enough").exists():
    began = time.monotonic()
    run.log_metric("loss", 1 / (1 + points), step=points)
    if points % 500 == 0:
        run.log_text(f"{points}.txt", str(points))
        files += 1
    worst = max(worst, time.monotonic() - began)
    points += 1
    time.sleep(0.001)
run.finish()
print(json.dumps({"run": run.id, "points": points, "files": files, "worst": worst}))
"""
DELIVER = "from assay.store import current; from assay.track.outbox import deliver; deliver(current())"
#: So long one call may take on a busy machine, and the end of a run: about ten seconds for each store (docs/tracking.md).
CALL_S, END_S = 2.0, 30.0


@pytest.mark.parametrize("state", STATES)
def test_an_outage_loses_nothing_of_a_run_and_does_not_slow_it(
    new_team: Any, tmp_path: Path, new_postgres: str, bucket: str, state: Any
) -> None:
    a, b = new_team(tmp_path, new_postgres, bucket)
    assert a.run("upgrade").returncode == 0
    command = [sys.executable, "-c", LOGS]
    with b.network.inside(
        lambda: subprocess.Popen(command, cwd=b.home.parent, env=b.environment, stdout=subprocess.PIPE, text=True)
    ) as logging:
        assert logging.stdout
        assert logging.stdout.readline() == "logging\n"
        for line in (b.database, b.bucket):
            line.set(state)
        sleep(60 if WHOLE else 6)
        assert a.run("gc", "--older-than", "0s").returncode == 0
        began = monotonic()
        (b.home.parent / "enough").touch()
        said = json.loads(logging.stdout.readline())
        assert logging.wait(120) == 0
        assert monotonic() - began < END_S
    assert said["worst"] < CALL_S
    for line in (b.database, b.bucket):
        line.set("open")
    assert b.python("-c", DELIVER, timeout_s=300).returncode == 0
    assert a.run("gc").returncode == 0
    shown = a.json("run-show", said["run"])
    assert len(shown["artifacts"]) == said["files"]
    assert shown["run"]["metrics"]["loss"] == 1 / said["points"]
    (row,) = a.json("sql", "SELECT count(*) AS n FROM metric_points")
    assert row == {"n": said["points"]}
    newest = max(shown["artifacts"], key=lambda file: int(file["name"].removesuffix(".txt")))
    read = f"from assay.store import current; print(current().artifacts.get({newest['digest']!r}).decode())"
    assert a.python("-c", read).stdout.strip() == newest["name"].removesuffix(".txt")


PUTS = """
import time
from assay.errors import Unavailable
from assay.store import current
began = time.monotonic()
try:
    current().artifacts.put(b"x" * 100)
except Unavailable:
    print(time.monotonic() - began)
"""


@pytest.mark.skipif(not WHOLE, reason="takes 15 s: CI runs the whole")
@pytest.mark.parametrize("state", STATES)
def test_what_must_lie_in_the_bucket_fails_within_the_stated_time(
    new_team: Any, tmp_path: Path, new_postgres: str, bucket: str, state: Any
) -> None:
    """Results of steps, and uploads through `assay up`."""
    a, _ = new_team(tmp_path, new_postgres, bucket)
    a.bucket.set(state)
    done = a.python("-c", PUTS)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 30
