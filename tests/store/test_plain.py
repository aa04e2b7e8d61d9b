"""Statements that go straight to the driver give what SQLAlchemy gives, and their errors are told alike."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, select

from assay.errors import Taken, Unavailable
from assay.store.database import Database
from assay.store.plain import Prepared, driver_of
from assay.store.schema import experiments, runs

AT = datetime(2026, 11, 25, 12, 30, 1, 234567, tzinfo=UTC)
ROW = {"id": "r", "experiment_id": 1, "name": "é", "kind": "tracked", "status": "running", "started_at": AT}


@pytest.fixture
def database(url: str) -> Database:
    made = Database(url)
    with made.begin() as connection:
        connection.execute(experiments.insert(), {"name": "one", "created_at": AT, "updated_at": AT})
        connection.execute(runs.insert(), ROW | {"data_identity": {"rows": 3}})
    return made


def test_a_prepared_query_gives_what_sqlalchemy_gives(database: Database) -> None:
    asked = select(runs).where(runs.c.status == bindparam("status"), runs.c.id == bindparam("key"))
    prepared = Prepared(asked)
    for status in ("running", "failed", "running"):
        values = {"key": "r", "status": status}
        with database.read() as connection:
            found = prepared.rows(connection, **values)
            assert found == connection.execute(asked, values).all()
    assert (found[0].started_at, found[0].deleted_at, found[0].data_identity) == (AT, None, {"rows": 3})


def test_a_prepared_query_sees_one_state_with_the_queries_beside_it(database: Database) -> None:
    prepared = Prepared(select(runs.c.id).where(runs.c.status == bindparam("status")))
    with database.read() as connection:
        assert len(prepared.rows(connection, status="running")) == 1
        with database.begin() as other:
            other.execute(runs.insert(), ROW | {"id": "s"})
        assert len(prepared.rows(connection, status="running")) == 1
        assert len(connection.execute(select(runs.c.id)).all()) == 1


def test_an_error_of_the_driver_is_told_as_one_of_sqlalchemy(tmp_path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'assay.db'}")
    insert = "INSERT INTO experiments (name, created_at, updated_at) VALUES (?, '2026-01-01', '2026-01-01')"
    with pytest.raises(Taken, match=r"experiments\.name"), database.begin() as connection:
        driver_of(connection).executemany(insert, [("one",), ("one",)])
    with pytest.raises(Unavailable, match="the disk is full"), database.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        for number in range(10_000):
            driver_of(connection).execute(insert, (f"{number:0500}",))
    with database.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
        driver_of(connection).execute(insert, ("one",))
