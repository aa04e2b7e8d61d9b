"""`assay sql`: one query over all that is kept, which reads and never writes."""

import json
from pathlib import Path

import pytest
from running import ROW, run_assay

from assay import store
from assay.contract.decode import to_json
from assay.errors import BadInput
from assay.predictions import open_sql
from assay.serve.answer import answer, open_served
from assay.store import Home
from assay.track import champion


@pytest.fixture
def opened(home: Path):
    with store.use(Home(home)) as found:
        served = open_served(found, champion(found, "long-trip"), rotate_s=600)
        answer(served, to_json(ROW | {"trip": "t599"}), "asked")
        yield found
        served.log.close()


JOIN = """
SELECT s.request_id, t.label IS NOT NULL AS known, v.version, r.status
FROM served.long_trip s
JOIN trained.long_trip t ON t.input_trip = s.input_trip
JOIN model_versions v ON v.model = 'long-trip' AND v.version = s.model_version AND v.run_id = t.request_id
JOIN runs r ON r.id = t.request_id
WHERE t.part = 'holdout'
"""


def test_one_query_joins_served_rows_training_rows_and_metadata(opened: store.Store) -> None:
    said = run_assay(opened.home.path, "sql", JOIN, "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == {"request_id": "asked", "known": True, "version": 2, "status": "finished"}


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE runs",
        "DELETE FROM runs",
        "COPY (SELECT 1) TO 'written.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'written.csv'",
        "CREATE TABLE mine AS SELECT 1",
        "ATTACH 'mine.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "SELECT 1; DROP VIEW served.long_trip",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_what_is_not_one_select_is_refused(opened: store.Store, query: str) -> None:
    with pytest.raises(BadInput, match="assay sql only reads"):
        open_sql(opened, query)
    assert not list(opened.home.project.rglob("written.csv"))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_text('{project}/../secret.txt')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('https://example.com/a.csv')",
        "SELECT * FROM sqlite_scan('/tmp/other.db', 'runs')",
    ],
)
def test_no_file_outside_of_the_project_is_read(opened: store.Store, query: str) -> None:
    project = opened.home.project
    (project.parent / "secret.txt").write_text("secret")
    with pytest.raises(BadInput, match="the query does not run"):
        open_sql(opened, query.format(project=project))


def test_a_file_of_the_project_is_read(opened: store.Store) -> None:
    (opened.home.project / "mine.csv").write_text("trip,seen\nt599,often\n")
    query = f"SELECT seen FROM served.long_trip JOIN '{opened.home.project}/mine.csv' ON trip = input_trip"
    assert open_sql(opened, query).to_pylist() == [{"seen": "often"}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT input_mile FROM served.long_trip", ["input_mile", "input_miles"]),
        ("SELECT * FROM served.nothing", ["nothing"]),
        ("SELEC 1", ["SELEC"]),
    ],
)
def test_what_is_wrong_is_said(opened: store.Store, query: str, words: list[str]) -> None:
    said = run_assay(opened.home.path, "sql", query)
    assert said.returncode == 2
    for word in ["the query does not run", *words, "assay sql 'SHOW ALL TABLES'"]:
        assert word in said.stderr


def test_the_tables_can_be_listed(opened: store.Store) -> None:
    names = {(row["schema"], row["name"]) for row in open_sql(opened, "SHOW ALL TABLES").to_pylist()}
    assert {("served", "long_trip"), ("trained", "long_trip"), ("trained", "sure")} <= names


def test_an_empty_table_of_the_metadata_has_its_columns(opened: store.Store) -> None:
    assert open_sql(opened, "SELECT run_id, count(*) FROM journal GROUP BY run_id").num_rows == 0
