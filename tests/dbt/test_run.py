"""Whole projects: where tables lie, what is gone, what is printed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay.cli import cli
from assay.dbt import check_project
from assay.dbt.render import lines
from assay.errors import BadInput, Refused

SCHEMA = """
sources:
  - name: raw
    schema: main
    tables: [{name: orders}, {name: custmers}]
models:
  - {name: daily, columns: [{name: id, data_tests: [unique]}]}
"""
SQL = "CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE customers AS SELECT 1 AS id; CREATE SCHEMA main_marts;"
DAILY = {"models/marts/daily.sql": "{{ config(schema='marts', alias='days') }} select 1 as id"}


def test_a_table_that_is_gone_is_a_result_with_what_is_near(make) -> None:
    report = check_project(make(SQL + "CREATE TABLE main_marts.days AS SELECT 1 AS id", SCHEMA, files=DAILY))
    assert {each.name: (each.status, each.rows) for each in report.of("table")} == {
        "raw.orders": ("pass", 1),
        "raw.custmers": ("fail", None),
        "daily": ("pass", 1),
    }
    first = report.results[0]
    assert first.message == "is not in the warehouse: there is no main.custmers; near it: main.customers"
    assert report.exit_code == 1
    with pytest.raises(Refused, match=r"raw.custmers: is not in the warehouse"):
        report.raise_for_failure()


def test_a_test_on_a_model_that_is_not_built_can_not_be_asked_and_the_others_are(make) -> None:
    report = check_project(make(SQL, SCHEMA, files=DAILY))
    assert [(each.subject, each.status) for each in report.of("test")] == [("daily", "error")]
    assert {each.name for each in report.having("fail")} == {"daily", "raw.custmers"}
    assert report.exit_code == 3
    assert "ERROR 1 question about tables that are not there" in lines(report)


def test_levels_of_dbt_project_and_yaml_place_a_model(make) -> None:
    project = "models: {shop: {marts: {+schema: deep, +alias: never}}}\n"
    schema = "models: [{name: daily, config: {alias: days}, columns: [{name: id, data_tests: [unique]}]}]"
    sql = "CREATE SCHEMA main_deep; CREATE TABLE main_deep.days AS SELECT 1 AS id"
    files = {"models/marts/daily.sql": "select 1 as id"}
    assert check_project(make(sql, schema, project, files)).exit_code == 0


def test_a_rule_of_the_projects_own_names_schemas(make) -> None:
    macro = """{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- if custom_schema_name is none -%}{{ target.schema }}{%- else -%}{{ custom_schema_name | trim }}{%- endif -%}
{%- endmacro %}"""
    sql = "CREATE SCHEMA marts; CREATE TABLE marts.days AS SELECT 1 AS id"
    schema = "models: [{name: daily, columns: [{name: id, data_tests: [unique]}]}]"
    assert check_project(make(sql, schema, files={**DAILY, "macros/names.sql": macro})).exit_code == 0
    unknown = "{% macro generate_schema_name(a, b) %}{{ adapter.x() }}{% endmacro %}"
    report = check_project(make("SELECT 1", schema, files={**DAILY, "macros/names.sql": unknown}))
    assert report.exit_code == 3
    assert "generate_schema_name of macros/names.sql can't be run here" in report.having("error")[0].message


def test_seeds_and_snapshots_are_tested_too(make) -> None:
    schema = """
seeds: [{name: colours, columns: [{name: id, data_tests: [unique]}]}]
snapshots:
  - {name: history, columns: [{name: id, data_tests: [unique]}]}
  - {name: later, relation: ref('x'), config: {schema: kept}, columns: [{name: id, data_tests: [unique]}]}
"""
    sql = "CREATE SCHEMA old; CREATE SCHEMA main_kept; CREATE TABLE colours AS SELECT 1 AS id;"
    sql += "CREATE TABLE old.history AS SELECT 1 AS id; CREATE TABLE main_kept.later AS SELECT 1 AS id"
    snapshot = "{% snapshot history %}{{ config(target_schema='old') }} select 1 {% endsnapshot %}"
    files = {"seeds/colours.csv": "id\n1\n", "snapshots/history.sql": snapshot}
    report = check_project(make(sql, schema, files=files))
    assert {each.name: each.rows for each in report.of("table")} == {"colours": 1, "history": 1, "later": 1}
    assert report.exit_code == 0


def test_a_source_in_a_file_is_read_as_dbt_duckdb_does(make) -> None:
    schema = "sources: [{name: files, meta: {external_location: 'data/{name}.csv'}, tables: [{name: orders}]}]"
    report = check_project(make("", schema, files={"data/orders.csv": "id\n1\n2\n"}))
    assert [each.rows for each in report.of("table")] == [2]


def test_settings_of_sources_and_tests_come_from_dbt_project_too(make) -> None:
    project = "sources: {shop: {raw: {custmers: {+enabled: false}}}}\ndata_tests: {+severity: warn}\n"
    schema = SCHEMA.replace(
        "{name: orders}", "{name: orders, columns: [{name: id, data_tests: [{accepted_values: {values: [7]}}]}]}"
    )
    report = check_project(make(SQL + "CREATE TABLE main_marts.days AS SELECT 1 AS id", schema, project, DAILY))
    assert [each.what for each in report.not_read] == ["source raw.custmers"]
    assert [each.severity for each in report.of("test")] == ["warn", "warn"]
    assert report.exit_code == 0
    assert "WARN" in "\n".join(lines(report))


def test_names_of_ours_are_no_tables(make) -> None:
    report = check_project(make("SELECT 1", "sources: [{name: main, tables: [{name: sql}, {name: columns}]}]"))
    assert [each.status for each in report.of("table")] == ["fail", "fail"]


def test_a_percent_sign_stays(make) -> None:
    schema = "sources: [{name: main, tables: [{name: orders, columns: [{name: id, data_tests: [{not_null: {where: \"id % 2 = 1 and 'a' like 'a%'\"}}]}]}]}]"
    assert check_project(make(SQL, schema)).exit_code == 0


def test_the_command_prints_and_ends_with_the_code(make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = make(SQL, SCHEMA, files=DAILY)
    home = ("--home", str(tmp_path / ".assay"))
    done = CliRunner().invoke(cli, ["check", "--dbt", str(folder), *home], standalone_mode=False)
    assert done.return_value == 3
    assert "FAIL  raw.custmers   is not in the warehouse" in done.output
    done = CliRunner().invoke(cli, ["check", "--dbt", str(folder), "--json", *home], standalone_mode=False)
    found = json.loads(done.output)
    assert found["project"] == "shop"
    assert {"kind", "unique_id", "status", "dbt_status", "rows", "failures", "age_s"} <= set(found["results"][0])


@pytest.mark.parametrize(
    "words",
    [
        ["a.parquet", "--dbt", "x"],
        ["--dbt", "x", "--fresh", "2h"],
        ["--target", "prod"],
        [],
        ["a.parquet"],
        ["a.parquet", "--contract", "a:B", "--target", "x"],
    ],
)
def test_combinations_without_sense_are_refused(words: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["check", *words, "--home", str(tmp_path / ".assay")])
    assert done.exit_code == 2
    assert "Error" in done.output


def test_a_project_of_which_nothing_is_read_is_no_success(make, tmp_path: Path) -> None:
    folder = make(files={"tests/one.sql": "select 1 as x where false"})
    report = check_project(folder)
    assert (report.tests, report.tests_read, report.exit_code) == (1, 0, 2)
    assert lines(report)[0].endswith("0 of 1 test read   0 tables, 0 rows   nothing was read")
    with pytest.raises(Refused, match="0 of 1 tests read"):
        report.raise_for_failure()
    words = ["check", "--dbt", str(folder), "--home", str(tmp_path / ".assay")]
    assert CliRunner().invoke(cli, words, standalone_mode=False).return_value == 2


def test_strict_fails_where_a_test_is_not_read(make) -> None:
    schema = "models: [{name: orders, columns: [{name: id, data_tests: [not_null]}]}]"
    files = {"models/orders.sql": "select 1 as id", "tests/one.sql": "select 1"}
    folder = make(SQL, schema, files=files)
    assert check_project(folder).exit_code == 0
    assert check_project(folder, strict=True).exit_code == 1
    assert check_project(folder, strict=True, exclude=["test_type:singular"]).exit_code == 0
    assert check_project(folder, select=["no_such_model"]).exit_code == 2


def test_vars_that_are_given_win(make, tmp_path: Path) -> None:
    schema = """models: [{name: orders, columns: [{name: id, data_tests: [{not_null: {config: {where: "id > {{ var('floor') }}"}}}]}]}]"""
    folder = make(SQL, schema, "vars: {floor: 1, shop: {floor: 2}}\n", {"models/orders.sql": "select 1 as id"})
    words = ["check", "--dbt", str(folder), "--json", "--home", str(tmp_path / ".assay"), "--vars"]
    found = json.loads(CliRunner().invoke(cli, [*words, "{floor: 7}"], standalone_mode=False).output)
    assert "id > 7" in next(each["sql"] for each in found["results"] if each["kind"] == "test")
    for wrong in ("[1]", "{a: ["):
        assert isinstance(CliRunner().invoke(cli, [*words, wrong]).exception, BadInput)


def test_the_column_at_fault_of_a_wide_table_is_shown(make) -> None:
    wide = ", ".join(f"{i} AS c{i}" for i in range(12))
    schema = "models: [{name: wide, columns: [{name: amount, data_tests: [not_null]}]}]"
    folder = make(f"CREATE TABLE wide AS SELECT {wide}, NULL AS Amount", schema, files={"models/wide.sql": "select 1"})
    (row,) = check_project(folder).having("fail")[0].worst
    assert next(iter(row)) == "Amount"


def test_branches_of_a_model_place_it_by_its_target(make) -> None:
    branch = "{% if target.name == 'dev' %}{{ config(alias='b_dev') }}{% else %}{{ config(alias='b_prod') }}{% endif %}"
    lost = "{% if adapter.get_columns(this) %}{{ config(alias='x') }}{% endif %} select 1"
    schema = "models: [{name: branch, columns: [{name: id, data_tests: [unique]}]}, {name: lost, columns: [{name: id, data_tests: [unique]}]}]"
    sql = "CREATE TABLE b_prod AS SELECT 1 AS id; CREATE TABLE b_dev AS SELECT 1 AS id UNION ALL SELECT 1"
    report = check_project(make(sql, schema, files={"models/branch.sql": branch, "models/lost.sql": lost}))
    assert {each.subject: each.status for each in report.of("test")} == {"branch": "fail", "lost": "error"}
    assert report.having("fail")[0].failures == 1


def test_versions_of_a_model_are_tested_one_by_one(make) -> None:
    schema = """
models:
  - name: orders
    columns: [{name: id, data_tests: [unique]}, {name: kind, data_tests: [not_null]}]
    versions: [{v: 1, config: {alias: old}}, {v: 2, columns: [{include: '*', exclude: [kind]}]}]
"""
    sql = (
        "CREATE TABLE old AS SELECT 1 AS id, NULL AS kind; CREATE TABLE orders_v2 AS SELECT 1 AS id UNION ALL SELECT 1"
    )
    files = {"models/orders_v1.sql": "select 1", "models/orders.sql": "select 1"}
    report = check_project(make(sql, schema, files=files))
    assert {each.name: each.status for each in report.of("test")} == {
        "unique_orders_v1_id": "pass",
        "not_null_orders_v1_kind": "fail",
        "unique_orders_v2_id": "fail",
    }
