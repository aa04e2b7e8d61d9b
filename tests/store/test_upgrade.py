"""Who upgrades the schema, and who only looks."""

import logging
import multiprocessing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from assay.errors import BadInput, Unavailable
from assay.store import Database, Store, find_home
from assay.store.migrate import head, revisions, version
from assay.store.schema import runs
from assay.track import begin_run, find_runs


def make_old(url: str) -> None:
    """The database as the Assay before this one left it."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    config = Config(attributes={})
    config.set_main_option("script_location", "assay.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revisions()[-2])
    engine.dispose()


def count_runs(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(runs)).scalar_one()


def test_a_database_that_is_not_made_yet_is_read_as_empty_and_stays_so(url: str, tmp_path: Path) -> None:
    database = Database(url)
    assert count_runs(database) == 0
    assert database.schema() is None
    assert list(tmp_path.glob("assay.db*")) == []
    with database.begin() as connection:
        assert connection.execute(sa.select(runs)).all() == []
    assert (count_runs(database), database.schema()) == (0, head())
    database.dispose()


def test_a_reader_refuses_an_older_schema_and_changes_nothing(url: str) -> None:
    make_old(url)
    database = Database(url)
    with pytest.raises(BadInput, match=f"at schema {revisions()[-2]}, this Assay needs {head()}\nRun: assay upgrade"):
        count_runs(database)
    assert (database.schema(), database.is_outdated()) == (revisions()[-2], True)
    assert database.upgrade() == revisions()[-2]
    assert (count_runs(database), database.schema(), database.is_outdated()) == (0, head(), False)
    assert database.upgrade() == head()
    database.dispose()


def test_the_first_write_upgrades_with_a_warning(url: str, caplog: pytest.LogCaptureFixture) -> None:
    make_old(url)
    database = Database(url)
    with caplog.at_level(logging.WARNING, "assay"), database.begin() as connection:
        assert connection.execute(sa.select(runs)).all() == []
    assert f"upgraded from schema {revisions()[-2]} to {head()}" in caplog.text
    assert "secret" not in caplog.text
    database.dispose()


def test_a_look_up_leaves_runs_in_the_spool_of_an_older_database(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old(url)
    monkeypatch.setenv("ASSAY_DATABASE", url)
    opened = Store(find_home(tmp_path / ".assay"))
    segment = tmp_path / ".assay" / "spool" / "track" / "1-2-3.seg"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"kept")
    with pytest.raises(BadInput, match="assay upgrade"):
        find_runs(opened)
    assert (opened.database.schema(), segment.read_bytes()) == (revisions()[-2], b"kept")
    segment.unlink()
    begin_run(opened, "search").finish("finished")
    assert [run.experiment for run in find_runs(opened)] == ["search"]
    opened.database.dispose()


def upgrade(url: str, gate: object) -> None:
    database = Database(url)
    gate.wait()  # pyright: ignore[reportAttributeAccessIssue]
    database.upgrade()
    assert count_runs(database) == 0
    database.dispose()


def test_two_machines_that_upgrade_at_once_end_as_one_after_the_other(url: str) -> None:
    make_old(url)
    spawn = multiprocessing.get_context("spawn")
    gate = spawn.Barrier(2)
    both = [spawn.Process(target=upgrade, args=(url, gate)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    database = Database(url)
    assert version(database.engine) == head()
    database.dispose()


def test_a_process_of_an_older_assay_is_told_that_another_one_upgraded(url: str) -> None:
    database = Database(url)
    database.upgrade()
    with database.begin() as connection:  # as an Assay of tomorrow does
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(sa.text("ALTER TABLE runs RENAME COLUMN name TO title"))
    with (
        pytest.raises(Unavailable, match=f"at schema 9999 now, this process works with {head()}"),
        database.read() as c,
    ):
        c.execute(sa.select(runs)).all()
    with (
        pytest.raises(Unavailable, match="upgrade Assay here too, and restart"),
        database.begin() as c,
    ):
        c.execute(sa.update(runs).values(name="new"))
    database.dispose()
