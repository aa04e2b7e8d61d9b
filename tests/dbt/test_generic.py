"""The four generic tests, their settings and what is shown of failures."""

import re
from typing import Any

import pytest

from assay.dbt import DbtReport, check_project

SQL = """
CREATE TABLE customers AS SELECT i AS id FROM range(4) r(i);
CREATE TABLE orders AS SELECT i AS id, i % 6 AS customer, ['new', 'paid', 'lost'][1 + i % 3] AS status,
    CASE WHEN i > 17 THEN NULL ELSE i END AS amount FROM range(20) r(i);
"""
MODELS = {"models/orders.sql": "select 1 as id", "models/customers.sql": "select 1 as id"}


@pytest.fixture
def asked(make):
    """Asks one test on a column of orders."""

    def ask(column: str, test: str, **files: str) -> Any:
        schema = f"models: [{{name: orders, columns: [{{name: {column}, data_tests: [{test}]}}]}}]"
        report = check_project(make(SQL, schema, files={**MODELS, **files}))
        assert len(report.of("test")) == 1, report
        return report.of("test")[0]

    return ask


@pytest.mark.parametrize(
    ("column", "test", "status", "failures", "worst"),
    [
        ("id", "unique", "pass", 0, ()),
        ("status", "unique", "fail", 3, ({"unique_field": "new", "n_records": 7}, {"unique_field": "paid", "n_records": 7}, {"unique_field": "lost", "n_records": 6})),
        ("amount", "not_null", "fail", 2, ({"id": 18, "customer": 0, "status": "new", "amount": None}, {"id": 19, "customer": 1, "status": "paid", "amount": None})),
        ("status", "{accepted_values: {values: [new, paid]}}", "fail", 1, ({"value_field": "lost", "n_records": 6},)),
        ("customer", "{accepted_values: {arguments: {values: [0, 1, 2, 3, 4], quote: false}}}", "fail", 1, ({"value_field": 5, "n_records": 3},)),
        ("customer", "{relationships: {to: ref('customers'), field: id}}", "fail", 6, ({"from_field": 4, "n_records": 3}, {"from_field": 5, "n_records": 3})),
        ("customer", "{relationships: {to: \"{{ ref('customers') }}\", field: id, config: {where: id < 4}}}", "pass", 0, ()),
    ],
)  # fmt: skip
def test_failures_are_counted_and_shown(asked, column: str, test: str, status: str, failures: int, worst: Any) -> None:
    result = asked(column, test)
    assert (result.status, result.failures, result.worst) == (status, failures, worst)


@pytest.mark.parametrize(
    ("settings", "status", "failures"),
    [
        ("{severity: WARN}", "warn", 2),
        ("{error_if: '> 2'}", "warn", 2),
        ("{error_if: '> 2', warn_if: '> 2'}", "pass", 0),
        ("{severity: warn, warn_if: '> 2', error_if: '> 0'}", "pass", 0),
        ("{limit: 1}", "fail", 1),
        ("{fail_calc: count(*) * 3}", "fail", 6),
        ("{where: \"status = 'new'\"}", "fail", 1),
        ("{where: \"id < {{ var('nowhere', 5) }}\"}", "pass", 0),
    ],
)
@pytest.mark.parametrize("place", ["{not_null: {config: SETTINGS}}", "{test_name: not_null, config: SETTINGS}"])
def test_settings_judge_the_count(asked, place: str, settings: str, status: str, failures: int) -> None:
    result = asked("amount", place.replace("SETTINGS", settings))
    assert (result.status, result.failures) == (status, failures)


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("{not_null: {where: nonsense = 1}}", "nonsense"),
        ("{not_null: {config: {where: \"{{ dbt_utils.x() }}\"}}}", r"models/schema.yml: .*dbt_utils"),
        ("{not_null: {severity: grave}}", "neither warn nor error"),
        ("{not_null: {limit: many}}", "not a whole number"),
        ("{not_null: {columns: 3}}", "takes no argument columns"),
        ("{not_null: }", "is not a test"),
        ("{relationships: {to: ref('customers')}}", "has no field"),
        ("{accepted_values: {values: 3}}", "3 is not a list"),
        ("{not_null: {config: {fail_calc: max(2.5)}}}", "whole number"),
        ("{not_null: {where: a, config: {where: b}}}", "beside config and in it"),
    ],
)  # fmt: skip
def test_a_test_that_can_not_be_asked_is_an_error_of_its_own(asked, test: str, why: str) -> None:
    result = asked("amount", test)
    assert result.status == "error"
    assert re.search(why, result.message), result.message


def reasons(report: DbtReport) -> dict[str, str]:
    return {each.what: each.why for each in report.not_read}


def test_what_is_not_read_is_listed(make) -> None:
    schema = """
models:
  - name: orders
    data_tests: [{expression_is_true: {expression: id > 0}}, {dbt_utils.recency: {field: at}}]
    columns:
      - {name: id, data_tests: [{not_null: {config: {enabled: false}}}, unique]}
      - {name: customer, data_tests: [{relationships: {to: ref('custmers'), field: id, name: misspelt}}]}
  - {name: gone, columns: [{name: id, data_tests: [{unique: {name: of_nothing}}]}]}
  - {name: temporary, columns: [{name: id, data_tests: [{unique: {name: of_ephemeral}}]}]}
unit_tests: [{name: sums, model: orders, given: [], expect: {rows: []}}]
"""
    files = {
        **MODELS,
        "tests/no_refunds.sql": "select 1",
        "tests/generic/expression.sql": "{% test expression_is_true(model, expression) %} select 1 {% endtest %}",
        "models/temporary.sql": "{{ config(materialized='ephemeral') }} select 1",
        "dbt_packages/dbt_utils/dbt_project.yml": "name: dbt_utils",
    }
    found = reasons(check_project(make(SQL, schema, files=files)))
    assert found == {
        "test expression_is_true_orders_id_0": "its SQL is defined in tests/generic/expression.sql",
        "test dbt_utils_recency_orders_at": "dbt_utils.recency is a test of a package",
        "test not_null_orders_id": "it is disabled",
        "test misspelt": "the project has no model 'custmers', did you mean customers?",
        "test of_nothing": "the project has no model 'gone'",
        "test of_ephemeral": "the model 'temporary' is ephemeral: it is no table",
        "test no_refunds": "it is SQL of its own",
        "unit test sums": "it tests SQL, not data",
        "package dbt_utils": "packages are not read",
    }


def test_tests_of_a_source_that_is_not_asked_are_told(make) -> None:
    schema = """
sources:
  - {name: off1, config: {enabled: false}, tables: [{name: t, columns: [{name: id, data_tests: [unique]}]}]}
  - {name: broken, schema: "{{ nowhere() }}", tables: [{name: t, columns: [{name: id, data_tests: [unique]}]}]}
"""
    report = check_project(make(SQL, schema))
    assert reasons(report) == {
        "source off1.t": "it is disabled",
        "test source_unique_off1_t_id": "the source off1.t is disabled",
    }
    assert [(each.kind, each.name) for each in report.having("error")] == [
        ("freshness", "broken.t"),
        ("test", "source_unique_broken_t_id"),
    ]
    assert all("models/schema.yml" in each.message and "nowhere()" in each.message for each in report.having("error"))


def test_a_test_that_the_project_redefines_is_not_taken_for_dbts(make) -> None:
    schema = "models: [{name: orders, columns: [{name: id, tests: [unique, not_null]}]}]"
    macro = "{% macro default__test_unique(model, column_name) %} select 1 {% endmacro %}"
    report = check_project(make(SQL, schema, files={**MODELS, "macros/own.sql": macro}))
    assert reasons(report) == {"test unique_orders_id": "its SQL is defined in macros/own.sql"}
    assert [each.test for each in report.of("test")] == ["not_null"]
