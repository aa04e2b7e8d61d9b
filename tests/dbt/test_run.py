"""Whole projects: where tables lie, what is gone, what is printed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay.cli import cli
from assay.dbt import check_project
from assay.dbt.render import lines
from assay.errors import Refused

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
