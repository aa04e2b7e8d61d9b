"""Runs whose process died are closed; runs that live are not; silent runs of clients are named, and closed when asked."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from assay import store
from assay.errors import BadInput
from assay.store import Store
from assay.store.schema import leases, runs
from assay.times import now
from assay.track import alive, begin_run, died, get_run
from assay.track.alive import DIED
from assay.track.events import Ended, Started, apply, start
from assay.track.experiments import experiment_id

Program = Callable[..., subprocess.CompletedProcess[str]]
KILLED = """
import os, signal
run = assay.start_run("own", system_metrics=False)
run.log_metric("m", 1, 0)
print(run.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
WAITING = """
import os, sys, time
run = assay.start_run("own", system_metrics=False)
run.log_metric("m", 1, 0)
run.flush()
{fork}
print(run.id, os.getpid(), flush=True)
sys.stdin.readline()
run.finish()
"""


@pytest.fixture
def other_home(tmp_path: Path, new_postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Path]]:
    """A store on PostgreSQL, and the home of another machine that has the same."""
    monkeypatch.setenv("ASSAY_DATABASE", new_postgres)
    found = Store(store.find_home(tmp_path / "here" / ".assay"))
    yield found, tmp_path / "there" / ".assay"
    found.database.dispose()


def begun(home: Path, script: str, **fork: str) -> "subprocess.Popen[str]":
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", "import assay\n" + script.replace("{fork}", fork.get("fork", ""))],
        cwd=home.parent,
        env=os.environ | {"ASSAY_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout
    return process.stdout.readline().split()


def say(process: "subprocess.Popen[str]") -> None:
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def cli(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "assay", *arguments]
    return subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False)


def test_a_run_whose_process_was_killed_is_closed_by_the_next_process(home: Path, opened: Store) -> None:
    process = begun(home, KILLED)
    (run_id,) = line(process)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert f"killed: {DIED}" in " ".join(cli("runs").stdout.split())
    found = get_run(opened, run_id)
    assert (found.status, found.error, found.metrics) == ("killed", DIED, {"m": 1})
    assert found.ended_at
    assert found.started_at <= found.ended_at <= now()
    assert not list((home / "processes").glob("[!.]*"))


def test_a_killed_run_that_began_after_the_last_sign_of_its_process_does_not_end_before_it_begins(
    home: Path, opened: Store
) -> None:
    process = begun(home, 'with assay.start_run("first", system_metrics=False): pass\n' + KILLED)
    (run_id,) = line(process)
    process.communicate()
    assert died.sweep(opened) == [run_id]
    found = get_run(opened, run_id)
    assert found.ended_at
    assert found.started_at <= found.ended_at


def test_a_run_that_lives_is_never_closed(home: Path, opened: Store) -> None:
    process = begun(home, WAITING)
    run_id, _ = line(process)
    for _ in range(3):
        assert died.sweep(opened) == []
    with opened.database.begin() as connection:  # its lease tells nothing, because its lock does
        connection.execute(update(leases).values(expires_at=now() - timedelta(days=1)))
    assert died.sweep(opened) == []
    assert get_run(opened, run_id).status == "running"
    say(process)
    assert get_run(opened, run_id).status == "finished"
    assert died.sweep(opened) == []


def test_a_run_lives_on_in_the_child_of_its_process(home: Path, opened: Store) -> None:
    process = begun(home, WAITING, fork="if os.fork(): os._exit(0)")
    run_id, pid = line(process)
    assert process.wait() == 0  # it is the child that goes on
    assert died.sweep(opened) == []
    assert get_run(opened, run_id).status == "running"
    os.kill(int(pid), signal.SIGKILL)
    process.communicate()  # the pipe ends with the child
    assert died.sweep(opened) == [run_id]


def test_a_run_of_two_processes_lives_until_both_are_dead(home: Path, opened: Store) -> None:
    script = """
import sys
from assay.store import current
from assay.track import begin_run
run = begin_run(current(), "shared", run_id="shared")
print(run.id, flush=True)
sys.stdin.readline()
"""
    first, second = begun(home, script), begun(home, script)
    assert line(first) == line(second) == ["shared"]
    for process, closed in ((first, []), (second, ["shared"])):
        process.kill()
        process.communicate()
        assert died.sweep(opened) == closed


def test_a_run_of_a_machine_that_went_away_is_closed_when_its_lease_ends(other_home: tuple[Store, Path]) -> None:
    here, there = other_home
    process = begun(there, WAITING)
    run_id, _ = line(process)
    process.kill()
    process.communicate()
    assert died.sweep(here) == []
    with here.database.begin() as connection:
        connection.execute(update(leases).values(expires_at=now() - timedelta(seconds=1)))
    assert died.sweep(here) == [run_id]
    assert (get_run(here, run_id).status, get_run(here, run_id).error) == ("killed", DIED)


def test_a_machine_that_was_cut_off_marks_its_runs_running_again(other_home: tuple[Store, Path]) -> None:
    here, _ = other_home
    run = begin_run(here, "cut off")
    with here.database.begin() as connection:
        owner = connection.execute(select(runs.c.owner)).scalar_one()
        connection.execute(update(leases).values(expires_at=now() - timedelta(seconds=1)))
    elsewhere = Store(store.find_home(here.home.path.parent / "elsewhere"))
    assert died.sweep(elsewhere) == [run.id]
    alive.renew(here, [owner])
    found = get_run(here, run.id)
    assert (found.status, found.error, found.ended_at) == ("running", None, None)
    assert died.sweep(elsewhere) == []
    run.finish()
    assert get_run(here, run.id).status == "finished"
    alive.renew(here, [owner])
    assert get_run(here, run.id).status == "finished"
    elsewhere.database.dispose()


PIPELINE = """
import os, signal
import assay


@assay.step
def first():
    return 1


@assay.step
def second():
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return assay.active_run().id


@assay.pipeline()
def p(asof):
    first()
    return second()
"""


def test_a_killed_pipeline_is_running_again_and_then_finished(
    home: Path, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.parent / "flow.py").write_text(PIPELINE)
    monkeypatch.chdir(home.parent)
    monkeypatch.setenv("DIE", "1")
    assert cli("run", "flow:p", "--asof", "2013-01-01", "--publish").returncode == -signal.SIGKILL
    run_id = "p@2013-01-01T00:00Z"
    assert get_run(opened, run_id).status == "killed"
    monkeypatch.delenv("DIE")
    (home.parent / "flow.py").write_text(
        PIPELINE.replace("return assay", "print(_status(), flush=True)\n    return assay") + STATUS
    )
    resumed = cli("resume", run_id)
    assert resumed.returncode == 0, resumed.stderr
    assert "running None None" in resumed.stdout
    found = get_run(opened, run_id)
    assert (found.status, found.error) == ("finished", None)


STATUS = """

def _status():
    from assay.store import current
    from assay.track import get_run
    found = get_run(current(), assay.active_run().id)
    return found.status, found.ended_at, found.error
"""
STATUS = STATUS.replace(
    "return found.status, found.ended_at, found.error", "return f'{found.status} {found.ended_at} {found.error}'"
)


def test_a_beginning_that_is_told_again_does_not_undo_the_end(opened: Store) -> None:
    at = [now() + timedelta(seconds=n) for n in range(4)]
    facts: dict[str, Any] = {"run": "r", "experiment": "p", "name": "p", "kind": "pipeline"}
    first, again = Started(**facts, at=at[0], owner="h/1"), Started(**facts, at=at[2], owner="h/2")

    def state(*events: Started | Ended) -> tuple[str, str | None]:
        with opened.database.begin() as connection:
            apply(connection, events)
            row = connection.execute(select(runs.c.status, runs.c.owner)).one()
            return row.status, row.owner

    assert state(first) == ("running", "h/1")
    assert state(Ended("r", "failed", at[1], "x")) == ("failed", None)
    assert state(first) == ("failed", None)
    assert state(again) == ("running", "h/2")
    assert state(again) == ("running", "h/2")
    assert state(Ended("r", "finished", at[3], None)) == ("finished", None)
    assert state(again) == ("finished", None)
    assert state(first) == ("finished", None)
    with opened.database.begin() as connection:  # this moment's beginning counts, whatever the clock of the end said
        known = experiment_id(connection, "p")
        start(connection, Started(**facts, at=at[2] + timedelta(microseconds=1), owner="h/3"), known)
        assert connection.execute(select(runs.c.status)).scalar() == "running"


def test_events_of_an_older_assay_are_read(opened: Store) -> None:
    import msgspec

    from assay.track.events import decode

    old = ["Ended", "r", "finished", now(), None]
    assert decode(msgspec.msgpack.encode(old)) == Ended("r", "finished", old[3], None)
    started = ["Started", "r", "p", "p", "training", now(), None, None, None, None, None, None, "c"]
    found = decode(msgspec.msgpack.encode(started))
    assert isinstance(found, Started)
    assert (found.command, found.owner) == ("c", None)
    with opened.database.begin() as connection:
        apply(connection, [found])
    assert died.sweep(opened) == []  # nobody knows whether it lives


@pytest.fixture
def served(home: Path) -> Iterator[Callable[[str, dict[str, Any]], dict[str, Any]]]:
    """Asks MLflow's API of a server over this home."""
    command = [sys.executable, "-m", "assay", "up", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert server.stdout
    address = server.stdout.readline().split()[-1].rstrip("/")

    def ask(path: str, body: dict[str, Any]) -> dict[str, Any]:
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/api/2.0/mlflow/{path}", json.dumps(body).encode(), head)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    yield ask
    server.terminate()
    server.wait(20)
    server.stdout.close()


def age(opened: Store, run_id: str, by: timedelta) -> datetime:
    """Nothing came of the run for so long."""
    with opened.database.begin() as connection:
        at = connection.execute(select(runs.c.written_at).where(runs.c.id == run_id)).scalar_one() - by
        connection.execute(update(runs).where(runs.c.id == run_id).values(written_at=at))
    return at


def test_a_silent_run_of_a_client_is_named_and_closed_when_asked(
    served: Callable[[str, dict[str, Any]], dict[str, Any]], home: Path, opened: Store
) -> None:
    silent, busy = (served("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"] for _ in range(2))
    mine = begin_run(opened, "own")
    assert json.loads(cli("runs", "--json").stdout)[0]["silent_since"] is None
    since = age(opened, silent, timedelta(days=2))
    with opened.database.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == mine.id).values(started_at=now() - timedelta(days=9)))
    age(opened, busy, timedelta(days=2))
    point = {"run_id": busy, "key": "m", "value": 1, "timestamp": 1, "step": 0}
    served("runs/log-metric", point)  # a sign of life
    assert [run_id for run_id, _ in silent_now(opened)] == [silent]
    assert f"silent since {since.astimezone():%m-%d}" in " ".join(cli("runs").stdout.split())
    assert f"silent since {since.astimezone():%Y-%m-%d %H:%M}" in " ".join(cli("run-show", silent).stdout.split())
    assert "silent" not in cli("run-show", busy).stdout
    by_id = {run["id"]: run["silent_since"] for run in json.loads(cli("runs", "--json").stdout)}
    assert datetime.fromisoformat(by_id[silent]) == since
    assert by_id[busy] is by_id[mine.id] is None
    looked = json.loads(cli("doctor", "--json").stdout)
    (finding,) = [one for one in looked if one["what"] == "silent runs"]
    assert silent in finding["said"]
    assert busy not in finding["said"]
    assert mine.id not in finding["said"]
    assert json.loads(cli("runs", "--finish-silent", "1d", "--json").stdout) == {"closed": [silent]}
    info = served("runs/search", {"experiment_ids": ["0"], "filter": "attributes.status = 'KILLED'"})["runs"]
    assert [(one["info"]["run_id"], one["info"]["status"]) for one in info] == [(silent, "KILLED")]
    found = get_run(opened, silent)
    assert (found.status, found.ended_at, found.error) == ("killed", since, f"silent since {since:%Y-%m-%d %H:%M}Z")
    assert get_run(opened, busy).status == get_run(opened, mine.id).status == "running"
    assert "no run has been silent for this time" in cli("runs", "--finish-silent", "1d").stdout
    served("runs/update", {"run_id": silent, "status": "RUNNING"})  # its client goes on after all
    assert get_run(opened, silent).silent_since is None
    mine.finish()


def silent_now(opened: Store) -> list[tuple[str, datetime]]:
    with opened.database.read() as connection:
        return died.silent_runs(connection, now() - died.SILENT_AFTER)


@pytest.mark.parametrize("age", ["9m", "now", "2999-01-01"])
def test_runs_that_may_be_at_work_are_not_closed(opened: Store, age: str) -> None:
    refused = cli("runs", "--finish-silent", age)
    assert refused.returncode == 2
    assert "may still be at work" in refused.stderr
    with pytest.raises(BadInput):
        died.finish_silent(opened, now())


def test_finish_silent_takes_no_filter(opened: Store) -> None:
    refused = cli("runs", "metrics.m > 1", "--finish-silent", "1d")
    assert refused.returncode == 2
    assert "closes silent runs of every experiment" in refused.stderr
