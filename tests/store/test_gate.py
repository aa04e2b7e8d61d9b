"""What the gate makes of conflicts, names in use, full disks and other processes: forced, on both databases."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, text, update

from assay.errors import AssayError, BadInput, Conflict, Corrupt, Taken, Unavailable
from assay.store.database import Database
from assay.store.locks import lock_one
from assay.store.schema import registered_models, tags, tokens
from assay.times import now

ROW = {"scope": "read", "created_at": now()}


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = Database(url)
    made.upgrade()
    yield made
    made.dispose()


@pytest.fixture
def postgresql(new_postgres: str) -> Iterator[Database]:
    made = Database(new_postgres)
    made.upgrade()
    yield made
    made.dispose()


def add(connection: Connection, *names: str) -> None:
    connection.execute(insert(tokens), [ROW | {"name": name, "sha256": name} for name in names])


def scopes(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return dict(connection.execute(select(tokens.c.name, tokens.c.scope)).all())  # pyright: ignore[reportArgumentType]


def crossing(database: Database, barrier: Barrier, names: tuple[str, str], tried: list[str]) -> Any:
    """Work that takes two rows, and waits between them the first time, until another has taken its first."""

    def work(connection: Connection) -> None:
        first, second = names
        tried.append(first)
        connection.execute(update(tokens).where(tokens.c.name == first).values(scope=first))
        if tried.count(first) == 1:
            barrier.wait(60)
        connection.execute(update(tokens).where(tokens.c.name == second).values(scope=first))

    return work


def test_a_deadlock_is_done_again(postgresql: Database) -> None:
    postgresql.write(lambda connection: add(connection, "a", "b"))
    barrier, tried = Barrier(2), list[str]()
    works = [crossing(postgresql, barrier, names, tried) for names in (("a", "b"), ("b", "a"))]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(postgresql.write, works)) == [None, None]
    assert len(tried) == 3  # one of the two was chosen to give way, and came again
    assert len(set(scopes(postgresql).values())) == 1


def test_a_deadlock_is_told_as_a_conflict(postgresql: Database) -> None:
    postgresql.write(lambda connection: add(connection, "a", "b"))
    barrier, tried = Barrier(2), list[str]()

    def once(names: tuple[str, str]) -> str:
        try:
            with postgresql.begin() as connection:
                crossing(postgresql, barrier, names, tried)(connection)
        except Conflict as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(once, [("a", "b"), ("b", "a")]))
    assert told[0] == ""
    assert "others changed the same rows" in told[1]
    assert "does not answer" not in told[1]


def test_of_two_who_insert_one_name_at_once_the_second_is_told(database: Database) -> None:
    barrier = Barrier(2)

    def one(number: int) -> str:
        barrier.wait(60)
        try:
            with database.begin() as connection:
                connection.execute(insert(tokens), [ROW | {"name": "a", "sha256": str(number)}])
        except Taken as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(one, range(2)))
    assert told[0] == ""
    assert "this name or number is taken" in told[1]


def test_what_refers_to_nothing_is_told(database: Database) -> None:
    with (
        pytest.raises(AssayError, match="this refers to something that does not exist"),
        database.begin() as connection,
    ):
        connection.execute(insert(tags), [{"run_id": "none", "name": "a", "value": "b"}])


#: What PostgreSQL says, by SQLSTATE, and what that is.
STATES: dict[str, tuple[type[AssayError], str]] = {
    "40001": (Conflict, "others changed the same rows"),
    "40P01": (Conflict, "others changed the same rows"),
    "55P03": (Conflict, "are locked"),
    "53100": (Unavailable, "can't be written: its disk is full"),
    "53200": (Unavailable, "is out of memory"),
    "53300": (Unavailable, "has no connection left"),
    "57014": (Unavailable, "took longer than the server allows"),
    "25006": (Unavailable, "it is read-only"),
    "42501": (Unavailable, "refuses access"),
    "XX001": (Corrupt, "is damaged"),
    "54000": (BadInput, "too large or too complex"),
    "22003": (BadInput, "can't store a value"),
}


@pytest.mark.parametrize("state", STATES)
def test_what_the_server_says_is_told_as_what_it_is(postgresql: Database, state: str) -> None:
    kind, words = STATES[state]
    with pytest.raises(AssayError) as told, postgresql.begin() as connection:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$"))
    assert type(told.value) is kind
    assert words in str(told.value)
    assert "does not answer" not in str(told.value)


def test_a_lock_that_another_holds_too_long_is_a_conflict(postgresql: Database) -> None:
    row = {"name": "m", "created_at": now(), "updated_at": now()}
    postgresql.write(lambda connection: connection.execute(insert(registered_models), [row]))
    with postgresql.begin() as holder:
        lock_one(holder, registered_models, "m")
        with pytest.raises(Conflict, match="are locked"), postgresql.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10ms'"))
            lock_one(connection, registered_models, "m")


def test_a_full_disk_is_told_as_one_and_nothing_was_changed(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'assay.db'}")
    database.upgrade()
    database.write(lambda connection: add(connection, "a"))
    database.dispose()

    def bounded(raw: Any, _: object) -> None:
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(database.engine, "connect", bounded)
    with pytest.raises(Unavailable, match="the disk is full"):
        database.write(lambda connection: add(connection, "b", *(f"{i}" * 4000 for i in range(200))))
    assert scopes(database) == {"a": "read"}
    event.remove(database.engine, "connect", bounded)
    database.dispose()
    database.write(lambda connection: add(connection, "b"))
    assert scopes(database).keys() == {"a", "b"}
    database.dispose()


HOLDING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM tokens")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
"""


def test_a_database_is_opened_and_read_while_another_process_writes(tmp_path: Path) -> None:
    file = tmp_path / "assay.db"
    first = Database(f"sqlite:///{file}")
    first.write(lambda connection: add(connection, "a"))
    first.dispose()
    command = [sys.executable, "-c", HOLDING, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "held\n"
        opened = Database(f"sqlite:///{file}")  # would wait for ever: the other writes until it is told to end
        assert scopes(opened) == {"a": "read"}
        assert writer.poll() is None
        writer.communicate("\n", timeout=60)
    opened.write(lambda connection: add(connection, "b"))
    assert scopes(opened).keys() == {"b"}
    opened.dispose()
