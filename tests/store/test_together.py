"""Small transactions of several threads are one transaction, and each thread sees what came of its own."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread
from time import sleep
from typing import Any

import pytest
from sqlalchemy import Connection

from assay.errors import AssayError, Taken, Unavailable
from assay.store import schema
from assay.store.database import Database
from assay.store.together import Together

Work = Callable[[Connection], Any]
_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Commits:
    """A database whose transactions are counted."""

    def __init__(self, database: Database) -> None:
        self.count, self._database = 0, database

    @contextmanager
    def begin(self) -> Generator[Connection]:
        with self._database.begin() as connection:
            yield connection
        self.count += 1


@pytest.fixture
def database(tmp_path) -> Database:
    made = Database(f"sqlite:///{tmp_path / 'assay.db'}")
    made.upgrade()
    return made


def token(name: str) -> Work:
    row = {"name": name, "sha256": name.rjust(64, "0"), "scope": "read", "created_at": _AT}
    return lambda connection: connection.execute(schema.tokens.insert(), row) and name


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(schema.tokens.select().order_by(schema.tokens.c.name)).scalars())


def gathered(together: Together, first: Work, *others: Work) -> list[Any]:
    """What came of each, the others having gathered while the first was at work."""
    came: list[Any] = [None] * (1 + len(others))
    begun, go_on = Event(), Event()

    def slow(connection: Connection) -> Any:
        begun.set()
        assert go_on.wait(60)
        return first(connection)

    def run(at: int, work: Work) -> None:
        try:
            came[at] = together.write(work)
        except (AssayError, SystemExit) as error:
            came[at] = error

    threads = [Thread(target=run, args=one) for one in enumerate([slow, *others])]
    threads[0].start()
    assert begun.wait(60)
    for thread in threads[1:]:
        thread.start()
    while len(together._gathered) < len(others):
        sleep(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    return came


def test_what_gathers_while_one_writes_is_one_transaction(database: Database) -> None:
    commits = Commits(database)
    came = gathered(Together(commits.begin), *map(token, "abcde"))
    assert came == list("abcde") == names(database)
    assert commits.count == 2


def test_one_that_fails_takes_nobody_with_it(database: Database) -> None:
    commits = Commits(database)
    came = gathered(Together(commits.begin), *map(token, "abacad"))
    assert [one if isinstance(one, str) else type(one) for one in came] == ["a", "b", Taken, "c", Taken, "d"]
    assert names(database) == list("abcd")
    assert commits.count == 4


def test_an_outage_is_told_to_all_at_once(database: Database) -> None:
    asked = 0

    @contextmanager
    def begin() -> Generator[Connection]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise Unavailable("away")
        with database.begin() as connection:
            yield connection

    came = gathered(Together(begin), *map(token, "abc"))
    assert [str(one) for one in came] == ["a", "away", "away"]
    assert asked == 2
    assert names(database) == ["a"]


def test_a_thread_that_is_broken_off_leaves_the_others_their_turn(database: Database) -> None:
    breaks = iter([True])

    def broken(connection: Connection) -> str:
        if next(breaks, False):
            raise SystemExit
        return token("d")(connection)

    came = gathered(Together(database.begin), token("a"), broken, token("b"), token("c"))
    written = sorted(one for one in came if isinstance(one, str))
    assert len(written) == 3
    assert names(database) == written
