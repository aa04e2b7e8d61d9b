"""A home that can't be written, as in a backup or a snapshot, is read by every command that only reads."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assay import store
from assay.contract.decode import to_json
from assay.predictions import drain_predictions
from assay.serve.answer import answer, open_served
from assay.track import champion, find_runs

READING = {
    "runs": ["runs"],
    "compare": ["compare", "RUN", "daily@2013-01-21T00:00Z"],
    "experiments": ["experiments"],
    "run-show": ["run-show", "RUN"],
    "models": ["models", "long-trip"],
    "lineage": ["models", "long-trip", "--version", "1"],
    "ledger": ["ledger"],
    "sql": ["sql", "SELECT count(*) FROM runs"],
    "sql of rows": ["sql", "SELECT count(*) FROM served.long_trip"],
    "tokens": ["tokens"],
    "skew": ["skew", "long-trip"],
    "doctor": ["doctor"],
    "upgrade": ["upgrade"],
}
AS_OWNER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


@pytest.fixture
def served(published: Path) -> tuple[Path, str]:
    """A project with a champion that answered, and the id of the run that made it; its code is not unpacked."""
    rows = pq.read_table("trips.parquet").drop_columns(["long"]).to_pylist()
    with store.use(store.find_home()) as opened:
        online = open_served(opened, champion(opened, "long-trip"), rotate_s=600)
        for i in range(3):
            answer(online, to_json(rows[i]), f"r{i}")
        online.log.close()
        drain_predictions(opened.home)
        run_id = find_runs(opened)[0].id
        opened.database.dispose()
    shutil.rmtree(published / ".assay" / "code")
    shutil.rmtree(published / ".assay" / "opened", ignore_errors=True)
    spool = published / ".assay" / "spool" / "track"
    spool.mkdir(parents=True, exist_ok=True)
    (spool / "1-2-3.seg").write_bytes(b"not ours to bring in")
    return published, run_id


def contents(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


Ask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["mount", "modes"])
def locked(request: pytest.FixtureRequest, served: tuple[Path, str]) -> tuple[Ask, Path, str]:
    """The project with a home that can't be written: a read-only mount, or folders and files without the right."""
    project, run_id = served
    home = project / ".assay"
    how = request.getfixturevalue(f"by_{request.param}")

    def ask(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*how, sys.executable, "-m", "assay", *arguments]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    return ask, home, run_id


@pytest.fixture
def by_mount(served: tuple[Path, str]) -> Iterator[list[str]]:
    home = served[0] / ".assay"
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("MISSING: the right to mount. Run the tests as root")
    if subprocess.run(["mount", "--bind", home, home], capture_output=True, check=False).returncode:
        pytest.skip("MISSING: the right to mount. Run the tests where mount --bind works")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", home], check=True)
        yield []
    finally:
        subprocess.run(["umount", home], check=True)


@pytest.fixture
def by_modes(served: tuple[Path, str]) -> Iterator[list[str]]:
    home = served[0] / ".assay"
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("MISSING: setpriv, which takes root's rights over files away. Run: apt install util-linux")
    change = lambda how: subprocess.run(["chmod", "-R", how, home], check=True)  # noqa: E731
    change("a-w")
    try:
        yield AS_OWNER if os.geteuid() == 0 else []
    finally:
        change("u+w")


def test_every_command_that_reads_works_and_leaves_no_trace(locked: tuple[Ask, Path, str]) -> None:
    ask, home, run_id = locked
    before = contents(home)
    said = {name: ask(*(run_id if a == "RUN" else a for a in arguments)) for name, arguments in READING.items()}
    assert {name: (one.returncode, one.stderr) for name, one in said.items() if one.returncode or one.stderr} == {}
    assert run_id in said["runs"].stdout
    assert "long-trip" in said["ledger"].stdout
    assert "NO SKEW" in said["skew"].stdout
    assert "is read-only: only commands that read work" in " ".join(said["doctor"].stdout.split())
    assert "nothing to do" in said["upgrade"].stdout
    assert contents(home) == before


def test_a_command_that_writes_says_that_the_home_is_read_only(locked: tuple[Ask, Path, str]) -> None:
    ask, home, run_id = locked
    before = contents(home)
    for arguments in (["run-delete", run_id], ["rollback", "long-trip", "--to", "1"], ["gc"]):
        said = ask(*arguments)
        assert (said.returncode, "Traceback" in said.stderr) == (3, False), said
        assert "read-only" in said.stderr.lower(), said
    assert contents(home) == before


def test_the_newest_commits_beside_a_database_are_read_or_missed_aloud(
    served: tuple[Path, str], by_mount: list[str]
) -> None:
    """A snapshot of a home in use has a -wal: with the -shm beside it it is read, without it that is said."""
    project, _ = served
    subprocess.run(["umount", project / ".assay"], check=True)
    snapshot = project / "snapshot"
    with closing(sqlite3.connect(project / ".assay" / "assay.db", isolation_level=None)) as writing:
        writing.execute("INSERT INTO tags SELECT id, 'newest', 'yes' FROM runs LIMIT 1")
        shutil.copytree(project / ".assay", snapshot)
    subprocess.run(["mount", "--bind", snapshot, project / ".assay"], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", project / ".assay"], check=True)
    asked = [sys.executable, "-m", "assay", "sql", "SELECT value FROM tags WHERE name = 'newest'"]
    found = subprocess.run(asked, cwd=project, capture_output=True, text=True, check=False)
    assert (found.returncode, "yes" in found.stdout) == (0, True), found
    (snapshot / "assay.db-shm").unlink()
    missed = subprocess.run(asked, cwd=project, capture_output=True, text=True, check=False)
    assert (missed.returncode, "Copy both to a folder" in missed.stderr) == (3, True), missed
