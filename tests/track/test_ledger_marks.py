"""What is known of the ledger outside of its table: a cut-off tail is seen, in a folder and in a bucket."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from assay.errors import BadInput, Corrupt, Refused
from assay.store import Store, find_home
from assay.store.ledger_marks import name_of, read_marks
from assay.track import ledger
from assay.track.purge import purge


@pytest.fixture(params=["folder", "bucket"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose artifacts lie in it, or in a bucket."""
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    (tmp_path / ".assay").mkdir()
    if request.param == "bucket":
        monkeypatch.setenv("ASSAY_ARTIFACTS", request.getfixturevalue("bucket"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def opened(project: Path) -> Iterator[Callable[[], Store]]:
    """Opens the home; again for a database that was changed from outside."""
    stores: list[Store] = []

    def begun() -> Store:
        stores.append(Store(find_home(project / ".assay")))
        return stores[-1]

    yield begun
    for store in stores:
        store.database.dispose()


def append(store: Store, *texts: str) -> None:
    for text in texts:
        body = {"alias": "champion", "version": 1, "previous": None, "who": text, "reason": "", "through": "assay"}
        store.database.write(lambda connection, body=body: ledger.append(connection, "m", "moved", "b", body))


def cut(project: Path, after: int) -> None:
    """Take the tail of the table away, as one can who owns the file."""
    with sqlite3.connect(project / ".assay" / "assay.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM ledger WHERE id > ?", (after,))
    connection.close()


def say(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "assay", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_only_the_newest_line_has_a_mark(opened) -> None:
    store = opened()
    append(store, "a", "b", "c")
    lines = ledger.entries(store)
    (mark,) = read_marks(store.ledger_marks)
    assert (mark.number, mark.seal, mark.chain) == (3, lines[2].hash, lines[0].hash[:16])
    assert ledger.verify(store) == 3


@pytest.mark.parametrize("left", [0, 1, 4])
def test_a_tail_that_was_cut_off_is_seen_until_somebody_accepts_it(left: int, opened, project: Path) -> None:
    append(opened(), *"abcde")
    cut(project, left)
    said = say("ledger")
    assert said.returncode == 1, said
    count = "line" if left == 4 else f"{5 - left} lines"
    assert f"the ledger lacks its last {count}: it has {left}, and had 5" in said.stderr
    assert say("ledger", "--accept-loss").returncode == BadInput.exit_code
    accepted = say("ledger", "--accept-loss", "--reason", "the backup of Monday")
    assert accepted.returncode == 0, accepted
    assert "restored: the lines up to 5 are lost" in accepted.stdout
    store = opened()
    assert ledger.entries(store)[-1].kind == "restored"
    append(store, *"fghijk")  # past the number of the lost line
    assert ledger.verify(store) == left + 7
    with pytest.raises(BadInput, match="no line of the ledger is missing"):
        ledger.accept_loss(store, "ann", "again")
    cut(project, left)  # and the line that accepted it with it
    with pytest.raises(Refused, match="the ledger lacks its last"):
        ledger.verify(opened())


@pytest.mark.parametrize("more", ["y", "yz"])
def test_a_ledger_that_went_on_after_its_tail_was_cut_off_is_another_one(opened, project: Path, more: str) -> None:
    append(opened(), *"abcde")
    cut(project, 3)
    store = opened()
    append(store, "x")
    with pytest.raises(Refused, match="it has 4, and had 5"):
        ledger.verify(store)
    append(store, *more)
    with pytest.raises(Corrupt, match="line 5 of the ledger differs from its mark"):
        ledger.verify(store)
    ledger.accept_loss(store, "ann", "the backup of Monday")
    assert ledger.verify(store) == 5 + len(more)


def test_marks_that_are_behind_or_missing_are_no_fault(opened, project: Path, monkeypatch) -> None:
    store = opened()
    append(store, "a")
    ours = os.environ.get("ASSAY_ARTIFACTS")
    monkeypatch.setenv("ASSAY_ARTIFACTS", "/dev/null/nowhere")
    elsewhere = opened()
    append(elsewhere, "b", "c")  # is logged, and fails nothing
    if ours:
        monkeypatch.setenv("ASSAY_ARTIFACTS", ours)
    else:
        monkeypatch.delenv("ASSAY_ARTIFACTS")
    store = opened()
    assert [mark.number for mark in read_marks(store.ledger_marks)] == [1]
    assert ledger.verify(store) == 3
    append(store, "d")
    assert max(mark.number for mark in read_marks(store.ledger_marks)) == 4
    cut(project, 3)
    with pytest.raises(Refused, match="lacks its last line: it has 3, and had 4"):
        ledger.verify(opened())


APPENDS = """
import sys
from assay.store import Store, find_home
from assay.track import ledger

store = Store(find_home())
for i in range(int(sys.argv[1])):
    store.database.write(lambda connection: ledger.append(connection, "m", "moved", "b", {"said": i}))
"""


def test_of_two_processes_that_append_at_once_the_newest_mark_stays(opened, project: Path) -> None:
    append(opened(), "first")
    two = [subprocess.Popen([sys.executable, "-c", APPENDS, "15"]) for _ in range(2)]
    assert [one.wait() for one in two] == [0, 0]
    store = opened()
    assert ledger.verify(store) == 31
    assert max(mark.number for mark in read_marks(store.ledger_marks)) == 31


def test_gc_leaves_marks_and_marks_are_no_artifacts(opened, project: Path) -> None:
    store = opened()
    append(store, "a", "b")
    before = [name_of(mark) for mark in read_marks(store.ledger_marks)]
    for path in (project / ".assay" / "artifacts").rglob("*"):
        os.utime(path, (0, 0))
    purge(store, older_than=timedelta())
    assert [name_of(mark) for mark in read_marks(store.ledger_marks)] == before
    assert list(store.artifacts.digests()) == []
