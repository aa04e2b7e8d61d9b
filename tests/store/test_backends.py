"""One suite over both databases: SQLite and a real PostgreSQL."""

import multiprocessing
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DatabaseError

from assay.blessing import entries, verify
from assay.errors import BadInput, Corrupt, Unavailable
from assay.store import Store, find_home
from assay.store.database import Database
from assay.store.schema import ledger, metadata, runs, tags
from assay.track import begin_run, find_runs
from assay.track.ledger import append


@pytest.fixture
def opened(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("ASSAY_DATABASE", url)
    store = Store(find_home(tmp_path / ".assay"))
    yield store
    store.database.dispose()


@pytest.mark.filterwarnings("ignore:(Skipped unsupported|autogenerate skipping)")  # indexes of expressions
def test_migrations_give_the_tables_of_the_schema(opened: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    opened.database.upgrade()
    with opened.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_run_is_found_as_it_was_kept(opened: Store) -> None:
    with begin_run(opened, "m", asof=datetime(2013, 6, 3, tzinfo=UTC)) as run:
        run.log_params({"leaves": 31, "why": "ü", "nested": {"a": [1, None]}})
        run.log_metrics({"auc": 0.5}, step=1)
        run.log_metrics({"auc": 0.7}, step=2)
        run.log_params({"leaves": 63})
        digest = run.log_artifact("a.txt", b"x")
    (found,) = find_runs(opened, name="m")
    assert found.params == {"leaves": 63, "why": "ü", "nested": {"a": [1, None]}}
    assert (found.metrics, found.status, found.asof) == ({"auc": 0.7}, "finished", datetime(2013, 6, 3, tzinfo=UTC))
    assert opened.artifacts.get(digest) == b"x"


def test_a_block_that_raises_leaves_a_failed_run_with_the_reason(opened: Store) -> None:
    with pytest.raises(ZeroDivisionError), begin_run(opened, "m"):
        _ = 1 / 0
    (found,) = find_runs(opened)
    assert (found.status, found.error) == ("failed", "ZeroDivisionError: division by zero")


def test_metrics_that_are_no_numbers_are_refused_and_none_is_kept(opened: Store) -> None:
    run = begin_run(opened, "m")
    with pytest.raises(BadInput, match="loss = 'high'"):
        run.log_metrics({"auc": 0.5, "loss": "high"})  # pyright: ignore[reportArgumentType]
    assert find_runs(opened)[0].metrics == {}


def test_a_transaction_that_fails_leaves_nothing(opened: Store) -> None:
    run = begin_run(opened, "m")
    with pytest.raises(RuntimeError), opened.database.begin() as connection:
        connection.execute(insert(tags).values(run_id=run.id, name="a", value="b"))
        raise RuntimeError
    with opened.database.read() as connection:
        assert connection.execute(select(tags)).all() == []


@pytest.mark.parametrize("change", ["UPDATE ledger SET body = '{}'", "DELETE FROM ledger"])
def test_the_ledger_refuses_to_be_changed(opened: Store, change: str) -> None:
    with opened.database.begin() as connection:
        append(connection, "m", "verdict", "b" * 64, {"blessed": True})
    with pytest.raises(DatabaseError, match="append-only"), opened.database.begin() as connection:
        connection.execute(text(change))
    assert verify(opened) == 1


def test_a_line_changed_behind_the_databases_back_is_found(opened: Store) -> None:
    with opened.database.begin() as connection:
        for i in range(3):
            append(connection, "m", "verdict", "b" * 64, {"blessed": True, "i": i})
    sqlite = opened.database.engine.dialect.name == "sqlite"
    with opened.database.begin() as connection:
        drop = "DROP TRIGGER ledger_refuses_update" if sqlite else "DROP TRIGGER ledger_refuses_change ON ledger"
        connection.execute(text(drop))
        connection.execute(text("UPDATE ledger SET body = '{}' WHERE id = 2"))
    with pytest.raises(Corrupt, match="line 2 of the ledger was changed"):
        verify(opened)
    assert len(entries(opened)) == 3


def write_lines(url: str, count: int) -> None:
    database = Database(url)
    for _ in range(count):
        with database.begin() as connection:
            append(connection, "m", "verdict", "b" * 64, {"by": os.getpid()})
    database.dispose()


def test_four_processes_write_at_once_and_nothing_is_lost(opened: Store, url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_lines, args=(url, 50)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert verify(opened) == 200


def test_a_newer_schema_is_refused_and_left_alone(opened: Store, url: str) -> None:
    with opened.database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadInput, match="at schema 9999"):
        Database(url)
    with opened.database.read() as connection:
        assert connection.execute(select(runs)).all() == []
        assert connection.execute(select(ledger)).all() == []


def test_a_database_that_goes_away_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        Database("postgresql://nobody@127.0.0.1:1/nothing")


def test_a_long_answer_is_read_in_parts(opened: Store) -> None:
    with opened.database.read() as connection:
        numbers = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n")
        found = connection.execution_options(yield_per=100).execute(numbers)
        assert next(found)[0] == 1
        assert sum(row[0] for row in found) == 5000 * 5001 // 2 - 1
