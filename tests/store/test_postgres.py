"""The connection to PostgreSQL: what it begins, what it waits for, and how it ends."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import insert, select, text

sys.path.insert(0, str(Path(__file__).parents[1] / "team"))
from network import Line, Namespace

from assay.errors import Taken, Unavailable
from assay.store import locks, schema
from assay.store.connect import UNANSWERED, connect
from assay.store.database import Database
from assay.store.schema import registered_models
from assay.times import now


def test_a_transaction_begins_with_its_first_statement_whatever_that_is(new_postgres: str) -> None:
    database = Database(new_postgres)
    database.upgrade()
    row = {"name": "one", "sha256": "0" * 64, "scope": "read", "created_at": "2026-01-01"}
    added = text("INSERT INTO tokens (name, sha256, scope, created_at) VALUES (:name, :sha256, :scope, :created_at)")
    for rows in (row, [row, row | {"name": "two", "sha256": "1" * 64}]):
        connection = database.engine.connect()
        connection.execute(added, rows)
        with database.read() as other:
            assert other.execute(schema.tokens.select()).all() == []
        connection.rollback()
        connection.close()
    with database.begin() as connection:
        connection.execute(added, row)
    with database.read() as connection:
        level = connection.execute(text("SHOW transaction_isolation")).scalar()
        assert level == "repeatable read"
        assert len(connection.execute(schema.tokens.select()).all()) == 1
    with database.begin() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
    database.dispose()


def test_connections_that_the_server_closed_while_they_were_idle_are_replaced(new_postgres: str) -> None:
    engine, other = connect(new_postgres), connect(new_postgres)
    with engine.connect() as one, engine.connect() as two:
        pids = [connection.execute(text("SELECT pg_backend_pid()")).scalar() for connection in (one, two)]
    with other.connect() as connection:
        for pid in pids:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with engine.connect() as one, engine.connect() as two:
        now = [connection.execute(text("SELECT pg_backend_pid()")).scalar() for connection in (one, two)]
    assert not set(now) & set(pids)
    engine.dispose()
    other.dispose()


def test_who_lets_go_of_a_pool_closes_its_connections_and_hears_nothing(new_postgres: str) -> None:
    """A thread may still read when its database is closed: what it gives back then nobody holds."""
    engine, other = connect(new_postgres), connect(new_postgres)
    held = engine.connect()
    pid = held.execute(text("SELECT pg_backend_pid()")).scalar()
    engine.dispose()
    held.close()
    del held, engine
    gc.collect()  # a warning from here is an error of this test
    with other.connect() as connection:
        alive = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        until = monotonic() + 30
        while connection.execute(alive, {"pid": pid}).scalar() and monotonic() < until:
            connection.rollback()
        assert connection.execute(alive, {"pid": pid}).scalar() == 0
    other.dispose()


def test_a_cursor_waits_for_the_end_of_the_transaction_before_it(new_postgres: str) -> None:
    engine = connect(new_postgres)
    for name in ("", "of_the_server"):
        with engine.connect() as connection:
            driver = connection.connection
            connection.execute(text("SELECT 1"))
            connection.rollback()  # its answer has not been read
            with driver.cursor(name) as cursor:
                cursor.execute("SELECT 2")
                assert cursor.fetchall() == [(2,)]
    engine.dispose()


@pytest.fixture
def line(new_postgres: str) -> Iterator[Line]:
    folder = parse_qs(urlsplit(new_postgres).query)["host"][0]
    made = Line(f"{folder}/.s.PGSQL.5432", Namespace.of_this_machine())
    yield made
    made.close()


def test_a_server_that_goes_silent_costs_a_bounded_time(new_postgres: str, line: Line) -> None:
    name = urlsplit(new_postgres).path
    database = Database(f"postgresql://postgres@127.0.0.1:{line.port}{name}?connect_timeout=2")
    database.upgrade()
    line.set("hanging")
    began = monotonic()
    with pytest.raises(Unavailable, match="does not answer"), database.read() as connection:
        connection.execute(schema.tokens.select())
    assert monotonic() - began < 30  # two seconds until it is asked, two for its answer; without a bound for ever
    line.set("open")
    with database.read() as connection:
        assert connection.execute(schema.tokens.select()).all() == []
    database.dispose()


def test_a_statement_may_take_long_while_its_server_is_there(new_postgres: str, line: Line) -> None:
    name = urlsplit(new_postgres).path
    database = Database(f"postgresql://postgres@127.0.0.1:{line.port}{name}?connect_timeout=2")
    database.upgrade()
    with database.read() as connection:
        assert connection.execute(text("SELECT 1 FROM pg_sleep(5)")).scalar() == 1
    assert line.connections >= 2  # it was asked
    database.dispose()


def test_what_nobody_waits_for_fails_the_commit_and_leaves_nothing(new_postgres: str) -> None:
    database = Database(new_postgres)
    row = {"name": "m", "created_at": now(), "updated_at": now()}
    with database.begin() as connection:
        connection.execute(insert(registered_models).values(row), execution_options=UNANSWERED)
    with pytest.raises(Taken), database.begin() as connection:
        connection.execute(insert(registered_models).values(row | {"name": "other"}), execution_options=UNANSWERED)
        connection.execute(insert(registered_models).values(row), execution_options=UNANSWERED)
    with pytest.raises(Taken), database.begin() as connection:
        connection.execute(insert(registered_models).values(row | {"name": "other"}), execution_options=UNANSWERED)
        connection.execute(insert(registered_models).values(row), execution_options=UNANSWERED)
        connection.execute(select(registered_models)).all()
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        connection.execute(insert(registered_models).values(row | {"name": "other"}), execution_options=UNANSWERED)
        raise ZeroDivisionError
    with database.begin() as connection:
        locks.hold(connection, registered_models, "m")
        locks.hold(connection, registered_models, "m")
        connection.execute(insert(registered_models).values(row | {"name": "third"}), execution_options=UNANSWERED)
    with database.read() as connection:
        assert sorted(connection.execute(select(registered_models.c.name)).scalars()) == ["m", "third"]
    database.dispose()
