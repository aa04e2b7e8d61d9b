"""`assay check`, from rules that a table shows to the page of its reports."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine


def test_rules_are_inferred_kept_and_checked(assay, project: Path) -> None:
    said = assay("check", "trips.parquet", "--infer")
    assert said.out.startswith("from assay import Checks, col, fresh, rows, unique\n\nchecks = Checks(\n")
    (project / "rules.py").write_text(said.out)
    newest = max(pq.read_table("trips.parquet")["start"].to_pylist()).isoformat()
    good = assay("check", "trips.parquet", "--checks", "rules:checks", "--now", newest)
    assert (good.code, good.out.count("FAIL")) == (0, 0)
    (project / "rules.py").write_text(said.out.replace("rows(min=", "rows(min=9"))


def test_rows_at_fault_and_a_page_are_written(assay, project: Path) -> None:
    (project / "strict.py").write_text("import assay\nchecks = assay.Checks(assay.col('miles').between(0, 3))\n")
    said = assay("check", "trips.parquet", "--checks", "strict:checks", "--failing", "bad.parquet", "--html", "r.html")
    assert said.code == 1
    assert set(pq.read_table("bad.parquet")["assay:rule"].to_pylist()) == {"between miles"}
    page = Path("r.html").read_text()
    assert "Checks of trips.parquet" in page
    assert "<script" not in page


def test_what_could_not_be_asked_is_apart_from_what_failed(assay, project: Path) -> None:
    (project / "odd.py").write_text(
        "import assay\nchecks = assay.Checks(assay.sql('mils > 0'), assay.rows(min=10**9))\n"
    )
    said = assay("check", "trips.parquet", "--checks", "odd:checks", "--json")
    assert said.code == 3
    assert [one["status"] for one in json.loads(said.out)["results"]] == ["error", "fail"]


def test_a_table_that_vanished_is_reported_when_it_was_there_before(assay, project: Path) -> None:
    assay("check", "trips.parquet", "--contract", "taxi:Trip")
    rows = pq.read_metadata("trips.parquet").num_rows
    Path("trips.parquet").unlink()
    said = assay("check", "trips.parquet", "--contract", "taxi:Trip", "--html", "r.html")
    assert said.code == 3
    assert f"it has vanished: trips.parquet does not exist; there were {rows:,} rows" in " ".join(said.out.split())
    assert "it has vanished" in Path("r.html").read_text()
    assert assay("check", "never.parquet", "--contract", "taxi:Trip").code == 2


def test_a_table_of_a_database_that_vanished_is_found_by_its_address_without_secrets(
    assay, project: Path, in_postgres: Callable[[pa.Table], str], postgres: str
) -> None:
    url = in_postgres(pa.table({"x": [1.0, 2.0]}))
    (project / "few.py").write_text("import assay\nchecks = assay.Checks(assay.rows(min=1))\n")
    assert assay("check", url, "--checks", "few:checks").code == 0
    engine = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP TABLE {url.partition('#')[2]}")
    engine.dispose()
    said = assay("check", url, "--checks", "few:checks")
    assert said.code == 3
    assert "there were 2 rows" in " ".join(said.out.split())


def test_reports_are_kept_and_can_be_asked(assay, project: Path) -> None:
    for _ in range(2):
        assay("check", "trips.parquet", "--contract", "taxi:Trip")
    said = assay("sql", "SELECT target, status FROM check_reports", "--json")
    assert [json.loads(line) for line in said.out.splitlines()] == [{"target": "trips.parquet", "status": "pass"}] * 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "give TARGET with --contract, --checks or --infer; or --dbt"),
        (["--infer", "--contract", "taxi:Trip"], "give TARGET with"),
        (["--checks", "taxi"], "does not name checks"),
        (["--checks", "taxi:Trip"], "taxi has no checks 'Trip'"),
        (["--dbt", "."], "leave out TARGET"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(assay, project: Path, options: list[str], says: str) -> None:
    said = assay("check", "trips.parquet", *options)
    assert said.code == 2
    assert says in said.err
