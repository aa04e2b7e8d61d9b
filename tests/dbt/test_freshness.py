"""The age of sources."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.dbt import check_project
from assay.dbt.declared import Thresholds
from assay.dbt.freshness import NEVER, judge

SOURCE = """
sources:
  - name: raw
    schema: main
    loaded_at_field: loaded
    freshness: {warn_after: {count: 1, period: hour}, error_after: {count: 1, period: day}}
    tables: [{name: orders}]
"""


@pytest.mark.parametrize(
    ("made", "word"),
    [
        ("now()", "pass"),
        ("now() - interval 2 hour", "warn"),
        ("now() - interval 2 day", "error"),
        ("now() + interval 2 day", "pass"),
        ("NULL::TIMESTAMP", "error"),
        ("'infinity'::TIMESTAMP", "pass"),
        ("'-infinity'::TIMESTAMP", "runtime error"),
        ("current_date", "runtime error"),
        ("'2026-01-01 00:00:00'", "runtime error"),
    ],
)
def test_an_age_has_the_status_of_dbt(make, made: str, word: str) -> None:
    (result,) = check_project(make(f"CREATE TABLE orders AS SELECT {made} AS loaded", SOURCE)).of("freshness")
    assert result.dbt_status == word
    assert result.status == {"error": "fail", "runtime error": "error"}.get(word, word)


def test_a_time_without_zone_is_utc_whatever_the_session(make) -> None:
    profiles = (
        "shop: {target: d, outputs: {d: {type: duckdb, path: shop.duckdb, settings: {TimeZone: America/New_York}}}}"
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    sql = f"CREATE TABLE orders AS SELECT TIMESTAMP '{now}' AS loaded"
    (result,) = check_project(make(sql, SOURCE, files={"profiles.yml": profiles})).of("freshness")
    assert result.max_loaded_at == now.replace(tzinfo=UTC)
    assert result.age_s is not None
    assert 0 <= result.age_s < 60


def test_an_empty_table_is_as_old_as_can_be(make) -> None:
    report = check_project(make("CREATE TABLE orders(loaded TIMESTAMP)", SOURCE))
    (result,) = report.of("freshness")
    assert (result.max_loaded_at, result.dbt_status) == (NEVER, "error")
    assert "no time at all" in result.message
    assert report.of("table")[0].notes == ("has no rows",)


def test_a_time_in_the_future_passes_and_is_noted(make) -> None:
    (result,) = check_project(make("CREATE TABLE orders AS SELECT now() + interval 3 hour AS loaded", SOURCE)).of(
        "freshness"
    )
    assert result.status == "pass"
    assert result.notes == ("the newest time lies 3h in the future",)


def test_a_query_wins_over_the_field_and_takes_no_filter(make) -> None:
    schema = """
sources:
  - name: raw
    schema: main
    loaded_at_field: nothing
    tables:
      - name: orders
        loaded_at_query: "select max(loaded) from {{ this }}"
        freshness: {warn_after: {count: 1, period: hour}, filter: "1 = 0"}
"""
    (result,) = check_project(make("CREATE TABLE orders AS SELECT now() AS loaded", schema)).of("freshness")
    assert result.dbt_status == "pass"


def test_a_table_without_thresholds_is_counted_but_not_aged(make) -> None:
    report = check_project(
        make("CREATE TABLE orders AS SELECT 1 AS id", "sources: [{name: main, tables: [{name: orders}]}]")
    )
    assert [(each.kind, each.rows) for each in report.results] == [("table", 1)]
    assert report.exit_code == 0


def test_what_has_no_field_can_not_be_asked(make) -> None:
    report = check_project(
        make("CREATE TABLE orders AS SELECT 1 AS id", SOURCE.replace("loaded_at_field: loaded", "loader: x"))
    )
    (result,) = report.of("freshness")
    assert (result.dbt_status, report.exit_code) == ("runtime error", 3)
    assert "no loaded_at_field" in result.message


lengths = st.timedeltas(min_value=timedelta(days=-9), max_value=timedelta(days=9))
limits = st.none() | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=9))


@given(lengths, limits, limits)
def test_only_a_greater_age_breaks_a_limit_and_the_error_comes_first(
    length: timedelta, warn: timedelta | None, error: timedelta | None
) -> None:
    word = judge(length, Thresholds(warn, error))
    assert (word == "error") == (error is not None and length > error)
    assert (word == "warn") == (warn is not None and length > warn and word != "error")
