"""One process works on a run, over machines: two homes are two machines, with one PostgreSQL between them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from assay.errors import BadInput, LeaseLost
from assay.pipelines.lease import leased
from assay.store import Store, find_home, leases
from assay.store.schema import journal, ledger, runs
from assay.track import get_run
from assay.track import ledger as lines

RUN = "p@2013-01-01T00:00Z"
#: The first process stands still between two steps, where it is told to, until it is let go.
PIPELINE = """
import os, time
from pathlib import Path
import assay
from assay.store import current
from assay.track import ledger

NAME = os.environ["NAME"]


def done(what):
    with Path(os.environ["DONE"]).open("a") as file:
        file.write(f"{NAME} {what}\\n")


@assay.step
def load():
    done("load")


@assay.step
def fit():
    done("fit")
    if os.environ.get("WAIT_IN") == "fit":
        wait()
    return NAME


@assay.step
def tell():
    if os.environ.get("WAIT_IN") == "tell":
        wait()
    with current().database.begin() as connection:
        ledger.append(connection, "m", "verdict", NAME, {})
    done("tell")


def wait():
    Path("waiting").touch()
    while not Path("go").exists():
        time.sleep(0.01)


@assay.pipeline()
def p(asof):
    load()
    fitted = fit()
    tell()
    if os.environ.get("WAIT_IN") == "end":
        wait()
    return fitted
"""


@pytest.fixture
def machine(tmp_path: Path, new_postgres: str) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts the pipeline on a machine, which has a home of its own."""
    started: list[subprocess.Popen[str]] = []

    def begin(name: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        project = tmp_path / name
        (project / ".assay").mkdir(parents=True, exist_ok=True)
        (project / "flow.py").write_text(PIPELINE)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("ASSAY_")}
        own = {"ASSAY_DATABASE": new_postgres, "NAME": name, "DONE": str(tmp_path / "done.txt")}
        command = [
            sys.executable,
            "-m",
            "assay",
            *(arguments or ("run", "flow:p", "--asof", "2013-01-01", "--publish")),
        ]
        process = subprocess.Popen(
            command,
            cwd=project,
            env=clean | own | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def store(tmp_path: Path, new_postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("ASSAY_DATABASE", new_postgres)
    found = Store(find_home(tmp_path / "third" / ".assay"))
    yield found
    found.database.dispose()


def wait_until(project: Path, process: "subprocess.Popen[str]") -> None:
    while not (project / "waiting").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def let_time_pass(store: Store) -> None:
    """The lease has not been renewed for longer than it lasts."""
    with store.database.begin() as connection:
        connection.execute(text("UPDATE leases SET expires_at = clock_timestamp() - interval '1 second'"))


def said(tmp_path: Path) -> list[str]:
    return (tmp_path / "done.txt").read_text().splitlines()


def test_a_run_is_refused_on_another_machine_while_one_works_on_it(
    machine: Callable[..., "subprocess.Popen[str]"], tmp_path: Path, store: Store
) -> None:
    first = machine("a", WAIT_IN="fit")
    wait_until(tmp_path / "a", first)
    second = machine("b")
    _, error = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"{RUN} is running in another process" in error
    assert f"/{first.pid}-" in error
    (tmp_path / "a" / "go").touch()
    assert first.communicate(timeout=60)
    assert first.returncode == 0
    assert said(tmp_path) == ["a load", "a fit", "a tell"]
    assert get_run(store, RUN).status == "finished"
    third = machine("b")
    assert "is finished already" in third.communicate(timeout=60)[0]


def test_what_a_dead_machine_held_is_free_when_its_lease_ends(
    machine: Callable[..., "subprocess.Popen[str]"], tmp_path: Path, store: Store
) -> None:
    first = machine("a", WAIT_IN="fit")
    wait_until(tmp_path / "a", first)
    first.kill()
    first.wait()
    refused = machine("b", "resume", RUN)
    assert "is running in another process" in refused.communicate(timeout=60)[1]
    let_time_pass(store)
    second = machine("b", "resume", RUN)
    assert second.communicate(timeout=60)[0].splitlines()[-1].strip() == "b"
    assert said(tmp_path) == ["a load", "a fit", "b fit", "b tell"]
    assert get_run(store, RUN).status == "finished"


def test_a_killed_run_goes_on_at_once_on_its_own_machine(
    machine: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    for _ in range(2):  # also after it was killed twice
        first = machine("a", "run", "flow:p", "--asof", "2013-01-01", "--publish", WAIT_IN="fit")
        wait_until(tmp_path / "a", first)
        first.kill()
        first.wait()
        (tmp_path / "a" / "waiting").unlink()
    (tmp_path / "a" / "go").touch()
    second = machine("a", "resume", RUN)
    assert second.communicate(timeout=60)[0].splitlines()[-1].strip() == "a"


@pytest.mark.parametrize(("stopped_in", "by_b"), [("fit", ["b fit", "b tell"]), ("tell", ["b tell"]), ("end", [])])
def test_a_process_that_was_stopped_beyond_its_lease_keeps_nothing_more(
    machine: Callable[..., "subprocess.Popen[str]"], tmp_path: Path, store: Store, stopped_in: str, by_b: list[str]
) -> None:
    first = machine("a", WAIT_IN=stopped_in)
    wait_until(tmp_path / "a", first)
    first.send_signal(signal.SIGSTOP)
    let_time_pass(store)
    second = machine("b")
    _, error = second.communicate(timeout=60)
    assert second.returncode == 0, error
    ended = get_run(store, RUN)
    assert ended.status == "finished"
    (tmp_path / "a" / "go").touch()
    first.send_signal(signal.SIGCONT)
    _, error = first.communicate(timeout=60)
    assert first.returncode == 3
    assert f"{RUN} was taken over by another process" in error
    assert "Traceback" not in error
    after = get_run(store, RUN)
    assert (after.status, after.ended_at, after.error) == ("finished", ended.ended_at, None)
    before = {"fit": ["a load", "a fit"], "tell": ["a load", "a fit"], "end": ["a load", "a fit", "a tell"]}[stopped_in]
    assert said(tmp_path) == before + by_b
    with store.database.read() as connection:
        assert set(connection.execute(select(journal.c.status)).scalars()) == {"finished"}
        told = list(connection.execute(select(ledger.c.bundle)).scalars())
    assert told == ["a" if stopped_in == "end" else "b"]
    assert lines.verify(store) == 1


def test_a_lease_is_renewed_while_its_holder_works(store: Store, tmp_path: Path, new_postgres: str) -> None:
    other = Store(find_home(tmp_path / "fourth" / ".assay"))
    with leased(store, "r", lasts_s=1.5):
        until = time.monotonic() + 3
        while time.monotonic() < until:
            with pytest.raises(BadInput, match="r is running in another process"), leased(other, "r", lasts_s=1.5):
                pass
            time.sleep(0.1)
    with leased(other, "r") as taken:
        assert taken.token == 2
    other.database.dispose()


def test_a_lease_that_was_lost_confirms_nothing_and_gives_nothing_back(store: Store, tmp_path: Path) -> None:
    other = Store(find_home(tmp_path / "fourth" / ".assay"))
    with leased(store, "r") as mine:
        with store.database.begin() as connection:
            leases.confirm(connection)
        let_time_pass(store)
        with store.database.begin() as connection:
            leases.confirm(connection)  # nobody took it
        with leased(other, "r") as theirs:
            assert theirs.token == mine.token + 1
            with other.database.begin() as connection:
                leases.confirm(connection)
            with store.database.begin() as connection:
                assert not leases.renew(connection, mine, 60)
                leases.release(connection, mine)
                assert not isinstance(leases.acquire(connection, "run/r", "me", 60), leases.Lease)
        lost = pytest.raises(LeaseLost, match="r was taken over by another process")
        with store.database.begin() as connection, leases.holding(store.database, mine), lost:
            leases.confirm(connection)
    other.database.dispose()


def test_a_late_end_of_one_who_lost_the_lease_ends_nothing(store: Store) -> None:
    from assay.times import now
    from assay.track.events import Ended, Started, apply

    begun = Started(run="r", experiment="p", name="p", kind="pipeline", at=now())
    with store.database.begin() as connection:
        apply(connection, [begun])
        leases.acquire(connection, "run/r", "first", 0)
        second = leases.acquire(connection, "run/r", "second", 60)
        assert isinstance(second, leases.Lease)
        apply(connection, [Ended("r", "failed", now(), "late", second.token - 1)])
        assert connection.execute(select(runs.c.status)).scalar() == "running"
        apply(connection, [Ended("r", "finished", now(), None, second.token)])
        assert connection.execute(select(runs.c.status)).scalar() == "finished"
