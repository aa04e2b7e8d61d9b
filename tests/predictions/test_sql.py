"""`assay sql`: one query over all that is kept, which reads and never writes."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from running import ROW, environment, run_assay
from sqlalchemy import create_engine, text

from assay import store
from assay.contract.decode import to_json
from assay.errors import BadInput, Unavailable
from assay.predictions import open_sql
from assay.predictions.metadata import BATCH, MetadataTable
from assay.serve.answer import answer, open_served
from assay.store import Home
from assay.store.schema import metadata
from assay.track import begin_run, champion


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
    for word in ["the query does not run", *words, "assay sql 'SHOW TABLES'"]:
        assert word in said.stderr


def test_the_tables_can_be_listed(opened: store.Store) -> None:
    names = {(row["schema"], row["name"]) for row in open_sql(opened, "SHOW ALL TABLES").to_pylist()}
    assert {("served", "long_trip"), ("trained", "long_trip"), ("trained", "sure")} <= names


def test_an_empty_table_of_the_metadata_has_its_columns(opened: store.Store) -> None:
    assert open_sql(opened, "SELECT run_id, count(*) FROM journal GROUP BY run_id").num_rows == 0


POINTS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO metric_points SELECT i % 7, i, i * 1000, i * 0.5, 0 FROM n
"""


def fill(opened: store.Store, rows: int) -> None:
    with opened.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM metric_points")
        connection.exec_driver_sql(POINTS.format(rows=rows))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT count(*) AS n FROM metric_points", 50_000),
        ("SELECT count(*) FROM (FROM metric_points WHERE value > 100)", 49_800),
        ("SELECT max(p.value) FROM metric_points AS p", 25_000.0),
        ("SELECT sum(c) FROM (FROM metric_points) t(a, b, c)", 1_250_025_000_000),
        ("SELECT sum(b) FROM metric_points t(a, b)", 1_250_025_000),
        ("SELECT count(p) FROM metric_points p WHERE p.step <= 3", 3),
        ("SELECT max(p).step FROM metric_points p WHERE p.series_id = 0", 49_994),
        ("SELECT max(metric_points).at_us FROM metric_points WHERE metric_points.series_id = 0", 49_994_000),
        ("SELECT count(*) FROM metric_points a JOIN metric_points b USING (step) WHERE a.step < 11", 10),
        ("SELECT count(*) FILTER (NOT is_nan) FROM metric_points", 50_000),
        ("SELECT sum(COLUMNS('st.p')) FROM metric_points", 1_250_025_000),
        ("SELECT 'FROM metric_points' || count(*) FROM metric_points -- select *", "FROM metric_points50000"),
    ],
)
def test_every_way_to_name_a_column_finds_it(opened: store.Store, query: str, expected: object) -> None:
    fill(opened, 50_000)
    (row,) = open_sql(opened, query).to_pylist()
    assert list(row.values()) == [expected]


@pytest.mark.skipif(sys.platform != "linux", reason="MISSING: /proc of Linux")
def test_counting_two_million_points_takes_little_memory(home: Path) -> None:
    with store.use(Home(home)) as found:
        fill(found, 2_000_000)
    code = (
        # Not ru_maxrss, which begins with what the process had that started this one.
        "import sys\nfrom assay import cli\nsys.argv[0] = 'assay'\ntry:\n    cli.main()\nfinally:\n"
        "    most = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "    print(int(most.split()[1]) // 1024, file=sys.stderr)\n"
    )
    for query in ("SELECT count(*) AS n FROM metric_points", "SELECT count(value) AS n FROM metric_points"):
        command = [sys.executable, "-c", code, "sql", query, "--json", "--home", str(home)]
        said = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
        assert json.loads(said.stdout) == {"n": 2_000_000}
        assert int(said.stderr.split()[-1]) < 450  # MiB, whatever the rows; they were 1,122


def test_types_survive_on_both_databases(opened: store.Store) -> None:
    (row,) = open_sql(opened, 'SELECT started_at, "asof", data_identity, status FROM runs LIMIT 1').to_pylist()
    assert row["started_at"].tzinfo is not None
    assert row["status"] == "finished"
    (row,) = open_sql(opened, "SELECT is_nan, value FROM metric_series LIMIT 1").to_pylist()
    assert row["is_nan"] is False


def test_hashes_of_tokens_are_in_no_table(opened: store.Store) -> None:
    with pytest.raises(BadInput, match="tokens"):
        open_sql(opened, "SELECT * FROM tokens")
    assert "tokens" not in {row["name"] for row in open_sql(opened, "SHOW ALL TABLES").to_pylist()}


@pytest.mark.parametrize("name", ["all.parquet", "all.csv"])
def test_an_answer_larger_than_the_terminal_goes_into_a_file(opened: store.Store, tmp_path: Path, name: str) -> None:
    fill(opened, 50_000)
    home, query = opened.home.path, "SELECT step, value, is_nan FROM metric_points ORDER BY step"
    said = run_assay(home, "sql", query, "--out", str(tmp_path / name))
    assert (said.returncode, said.stdout) == (0, f"50,000 rows written to {tmp_path / name}\n"), said.stderr
    read = pq.read_table if name.endswith("parquet") else csv.read_csv
    assert read(tmp_path / name).column("step").to_pylist() == list(range(1, 50_001))
    shown = run_assay(home, "sql", query)
    assert "... more rows than 40" in shown.stdout
    assert len(shown.stdout.splitlines()) == 42
    assert len(run_assay(home, "sql", query, "--json").stdout.splitlines()) == 50_000


def test_the_tables_are_listed_as_a_query_names_them(opened: store.Store) -> None:
    listed = {row["table"]: row["columns"] for row in open_sql(opened, " show tables; ").to_pylist()}
    assert "input_miles" in listed["served.long_trip"].split(", ")
    for name, columns in listed.items():
        assert open_sql(opened, f"SELECT * FROM {name} LIMIT 0").column_names == columns.split(", ")


def test_rows_wider_than_the_terminal_are_shown_a_column_a_line(opened: store.Store) -> None:
    wide = ", ".join(f"{number} AS column_{number}" for number in range(40))
    lines = run_assay(opened.home.path, "sql", f"SELECT {wide} FROM range(2)").stdout.splitlines()
    assert [line.split() for line in lines[:3]] == [["row", "1"], ["column_0", "0"], ["column_1", "1"]]
    assert len(lines) == 82
    assert max(map(len, lines)) <= 100
    many = run_assay(opened.home.path, "sql", f"SELECT {wide} FROM range(9)").stdout.splitlines()
    assert many[-1].startswith("... more rows than 5;")
    assert len(many) == 5 * 41 + 1


def test_csv_is_printed_whole_and_one_form_is_asked_for(opened: store.Store) -> None:
    said = run_assay(opened.home.path, "sql", "SELECT range AS n, 'a,\"b' AS t FROM range(3)", "--csv")
    assert said.stdout.splitlines() == ["n,t", *(f'{n},"a,""b"' for n in range(3))]
    both = run_assay(opened.home.path, "sql", "SELECT 1", "--csv", "--json")
    assert both.returncode == 2
    assert "give one of --out, --csv and --json" in both.stderr


def test_a_file_that_can_not_hold_the_answer_is_not_made(opened: store.Store, tmp_path: Path) -> None:
    for query, name in (("SELECT [1, 2] AS l", "a.csv"), ("SELECT 1", "a.txt"), ("SELECT error('no')", "a.csv")):
        said = run_assay(opened.home.path, "sql", query, "--out", str(tmp_path / name))
        assert said.returncode == 2, said.stderr
        assert "Traceback" not in said.stderr
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".csv", ".txt")]


def test_what_a_terminal_obeys_is_shown_and_not_obeyed(opened: store.Store) -> None:
    said = run_assay(opened.home.path, "sql", "SELECT chr(27) || '[31m' || chr(10) || '[bold]' AS x")
    assert "\x1b" not in said.stdout
    assert "\\x1b[31m\\n[bold]" in said.stdout


def test_a_database_that_is_away_is_no_fault_of_the_query(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATABASE", "postgresql://nobody@127.0.0.1:1/none")
    with store.use(Home(home)) as found:
        with pytest.raises(Unavailable, match="does not answer"):
            open_sql(found, "SELECT * FROM runs")
        assert open_sql(found, "SELECT count(*) AS n FROM trained.long_trip").num_rows == 1


def test_the_tables_of_postgres_are_read_with_the_same_types(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"d{uuid4().hex}"
    engine = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    address = urlsplit(postgres)
    monkeypatch.setenv("ASSAY_DATABASE", urlunsplit(address._replace(path=f"/{name}")))
    with store.use(Home(tmp_path / ".assay")) as found:
        run = begin_run(found, "e")
        run.log_metric("loss", 0.5)
        run.log_data({"rows": 3})
        run.finish()
        (row,) = open_sql(
            found,
            "SELECT r.started_at, r.data_identity, s.name, p.value, p.is_nan FROM runs r "
            "JOIN metric_series s ON s.run_id = r.id JOIN metric_points p ON p.series_id = s.id WHERE s.name = 'loss'",
        ).to_pylist()
        assert row["started_at"].tzinfo is not None
        assert (json.loads(row["data_identity"]), row["value"], row["is_nan"]) == ({"rows": 3}, 0.5, False)
        found.database.dispose()
    engine.dispose()


def test_a_database_that_goes_away_during_a_scan_is_an_outage(
    new_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATABASE", new_postgres)
    with store.use(Home(tmp_path / ".assay")) as found:
        with found.database.begin() as connection:
            line = "INSERT INTO tokens (name, sha256, scope, created_at) SELECT i::text, i::text, 'read', now() "
            connection.execute(text(line + f"FROM generate_series(1, {3 * BATCH}) AS i"))
        table = MetadataTable(found, metadata.tables["tokens"], ["name"])
        batches = pa.RecordBatchReader.from_stream(table)
        assert batches.read_next_batch().num_rows == BATCH
        admin = create_engine(new_postgres.replace("postgresql://", "postgresql+psycopg://"))
        with admin.connect() as connection:
            everybody = (
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
            )
            connection.execute(text(f"{everybody} AND pid <> pg_backend_pid()"))
        with pytest.raises((OSError, pa.ArrowException)):
            batches.read_all()
        assert isinstance(table.error, Unavailable)
        found.database.dispose()
        admin.dispose()
