"""A query looks only at the days that it asks for, and its answer is the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay import store
from assay.contract import EventTime, Key, Record
from assay.errors import BadInput
from assay.predictions import Layout, PredictionLog, drain_predictions, open_sql
from assay.predictions.asked import VOLATILE, asked, choose_days
from assay.predictions.read import connect_log
from assay.store import Home
from assay.store.shared import hand_on
from assay.store.tables import write_part

BEGIN = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAYS = [f"{BEGIN + timedelta(days=i):%Y-%m-%d}" for i in range(12)]


class Asked(Record):
    key: Key[str]
    at: EventTime


class Said(Record):
    value: float


def serve(home: Home, model: str, day: int, features: list[str]) -> None:
    at = BEGIN + timedelta(days=day)
    log = PredictionLog(home, Layout(model, Asked, Said, dict.fromkeys(features, "number")), 1 + day // 6)
    log.append(
        f"r{day}", at, at, [Asked(key=f"k{day}", at=at)], {name: np.ones(1) * day for name in features}, [(1.0,)]
    )
    log.close()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[store.Store]:
    """Twelve days of two models; the second feature of the first model came on the seventh day."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("asked")
        patch.delenv("ASSAY_DATABASE", raising=False)
        patch.setenv("ASSAY_ARTIFACTS", str(folder / "team"))
        home = Home(folder / "a" / ".assay")
        for day in range(12):
            serve(home, "first", day, ["one", "two"] if day > 5 else ["one"])
            serve(home, "second", day, ["one"])
        drain_predictions(home)
        hand_on(home)
        with store.use(Home(folder / "b" / ".assay")) as found:
            yield found


def days_here(home: Home) -> set[str]:
    """The days of the first model of which this machine has fetched files."""
    return {path.parent.name.removeprefix("day=") for path in (home.shared / "served.first").rglob("*.parquet")}


def plainly(opened: store.Store, query: str) -> list[dict[str, object]]:
    """The answer of a DuckDB to which each file was given."""
    with connect_log() as connection:
        for name in ("first", "second"):
            files = f"{opened.home.artifacts_url}/tables/served.{name}/*/*.parquet"
            connection.execute(
                f"CREATE TABLE served.{name} AS FROM read_parquet('{files}', union_by_name = true,"
                " hive_partitioning = true, hive_types = {'day': 'VARCHAR'})"
            )
        return connection.sql(query).to_arrow_table().to_pylist()


FIRST = "2026-11-01"
ONE_DAY = [
    "SELECT count(*) AS n FROM served.first WHERE day = '2026-11-01'",
    "SELECT * FROM served.first WHERE day = '2026-11-01'",
    "SELECT feature_two FROM served.first WHERE day = '2026-11-01'",
    "SELECT COLUMNS('feature_.*') FROM served.first WHERE day = '2026-11-01'",
    "FROM served.first SELECT DAY WHERE '2026-11-01' = Day",
    'SELECT "day" FROM "served"."first" WHERE served.first.day = \'2026-11-01\'',
    "SELECT input_key FROM memory.served.first WHERE first.day IN ('2026-11-01', '1999-01-01')",
    "SELECT input_key FROM SERVED.First AS f WHERE f.day < '2026-11-02' AND f.feature_one < 100",
    "SELECT input_key FROM served.first WHERE day BETWEEN '2026-10-01' AND '2026-11-01'",
    "SELECT input_key FROM served.first WHERE day LIKE '2026-11-01' OR (day > '2020' AND day <= '2026-11-01')",
    "SELECT input_key FROM served.first WHERE day::DATE = DATE '2026-11-02' - 1",
    "SELECT input_key FROM served.first WHERE CASE WHEN day = '2026-11-01' THEN true END",
    "SELECT input_key FROM served.first WHERE day < current_date::VARCHAR AND starts_with(day, '2026-11-01')",
    "WITH d AS (SELECT * FROM served.first WHERE day = '2026-11-01') SELECT count(*) AS n FROM d",
    "SELECT n FROM (SELECT count(*) AS n FROM served.first WHERE day = '2026-11-01')",
    "SELECT (SELECT max(f.feature_one) FROM served.first f WHERE f.day = '2026-11-01') AS n FROM served.second ORDER BY day",
    "SELECT f.input_key FROM served.first f JOIN served.second s USING (input_key) WHERE f.day = '2026-11-01'",
    "SELECT f.input_key FROM served.first f, served.second s WHERE f.day = '2026-11-01' AND s.day = f.day",
    "SELECT s.input_key FROM served.first f LEFT JOIN served.second s USING (day) WHERE f.day = '2026-11-01'",
    "SELECT f.input_key FROM served.second s RIGHT JOIN served.first f ON true WHERE f.day = '2026-11-01' ORDER BY ALL",
    "SELECT input_key FROM served.first WHERE day = '2026-11-01' UNION ALL SELECT input_key FROM served.second ORDER BY 1",
    "SELECT '2000-01-01' AS day, input_key FROM served.first WHERE day = '2026-11-01'",
]


@pytest.mark.parametrize("query", ONE_DAY)
def test_files_of_one_day_are_fetched_and_opened(opened: store.Store, query: str) -> None:
    before = days_here(opened.home)
    assert open_sql(opened, query).to_pylist() == plainly(opened, query)
    assert days_here(opened.home) - before <= {FIRST, "2026-11-12"}  # the newest tells of the column that came later


ALL_DAYS = [
    "SELECT count(*) AS n FROM served.first",
    "SELECT count(*) AS n FROM served.first WHERE day = '2026-11-01' OR feature_one = 3",
    "SELECT count(*) AS n FROM served.first WHERE day = '2026-11-01' UNION ALL SELECT count(*) FROM served.first",
    "SELECT count(*) AS n FROM served.second s LEFT JOIN served.first f USING (day) WHERE f.day IS NULL OR f.day < '2026-11-02'",
    "SELECT count(*) AS n FROM served.second s LEFT JOIN (SELECT * FROM served.first) f USING (day) WHERE s.day = '2026-11-01'",
    "SELECT count(*) AS n FROM served.second s FULL JOIN served.first f USING (day) WHERE f.day IS NULL",
    "SELECT s.day, f.day AS d FROM served.second s ASOF JOIN served.first f ON s.received_at >= f.received_at WHERE f.day < '2026-11-04' ORDER BY 1",
    "SELECT count(*) AS n FROM served.first AS t(day) WHERE t.day = 1",
    "SELECT count(*) AS n FROM served.first WHERE NOT EXISTS (SELECT 1 FROM served.second s WHERE s.day < first.day)",
    "SELECT count(*) AS n FROM served.first WHERE day IN (SELECT min(day) FROM served.first)",
    "SELECT count(*) AS n FROM served.first WHERE input_key = 'k3' -- WHERE day = '2026-11-01'",
    "SELECT sum(feature_two) OVER (ORDER BY day) AS n FROM served.first QUALIFY day = '2026-11-12'",
    "SELECT max(feature_two) AS n FROM served.first HAVING max(day) > '2026-11-02'",
    "SELECT n FROM (SELECT day, count(*) OVER () AS n FROM served.first) WHERE day = '2026-11-01'",
    "SELECT count(*) AS n FROM query_table('served.first')",
]


@pytest.mark.parametrize("query", ALL_DAYS)
def test_a_query_that_needs_other_days_gets_them(opened: store.Store, query: str) -> None:
    assert open_sql(opened, query).to_pylist() == plainly(opened, query)


def test_a_condition_that_does_not_run_is_the_fault_of_the_query(opened: store.Store) -> None:
    with pytest.raises(BadInput, match="Could not convert string"):
        open_sql(opened, "SELECT count(*) AS n FROM served.first WHERE day::INTEGER = 3")


def test_a_day_that_is_not_there_has_no_rows_and_all_columns(opened: store.Store) -> None:
    found = open_sql(opened, "SELECT * FROM served.first WHERE day = '1999-01-01'")
    assert len(found) == 0
    assert {"feature_one", "feature_two", "day"} <= set(found.column_names)


def test_tables_that_a_query_does_not_name_are_not_looked_at(opened: store.Store) -> None:
    with connect_log() as connection:
        for query in ("SELECT 1", "SELECT * FROM runs, unnest([1])", "SELECT * FROM served.first WHERE day = '1'"):
            assert not asked(connection, query).others, query
        paired = "SELECT * FROM served.first f POSITIONAL JOIN served.second s WHERE f.day = '1' AND s.day = '1'"
        assert set(asked(connection, paired).days.values()) == {None}
        for query in ("SHOW ALL TABLES", "SELECT * FROM information_schema.tables", "FROM duckdb_views()", "nonsense"):
            assert asked(connection, query).others, query
    names = {row["name"] for row in open_sql(opened, "SHOW ALL TABLES").to_pylist()}
    assert names >= {"first", "second"}


def test_every_function_that_says_another_thing_each_time_is_known() -> None:
    with connect_log() as connection:
        query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
        assert {name for (name,) in connection.sql(query).fetchall()} <= VOLATILE
        for volatile in ("random() < 0.5", "uuid() > 'a'", "error('no') IS NULL"):
            query = f"SELECT * FROM served.first WHERE (day > '2026-11-01' AND {volatile}) OR day = ''"
            assert asked(connection, query).days == {"served.first": None}


_NAMES = st.sampled_from(DAYS)
_SIMPLE = st.one_of(
    st.builds("day {} '{}'".format, st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"]), _NAMES),
    st.builds("day BETWEEN '{}' AND '{}'".format, _NAMES, _NAMES),
    st.builds("day IN ('{}', '{}')".format, _NAMES, _NAMES),
    st.builds("feature_one {} {}".format, st.sampled_from(["=", "<", ">"]), st.integers(0, 11)),
    st.just("day IS NULL"),
)
_WHERE = st.recursive(
    _SIMPLE,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect_log() as found:
        found.register("rows", pa.table({"day": DAYS, "feature_one": list(range(12))}))
        yield found


@settings(deadline=None)
@given(_WHERE)
def test_no_day_that_has_such_rows_is_left_out(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    matching = {day for (day,) in connection.sql(f"SELECT day FROM rows WHERE {where}").fetchall()}
    conditions = asked(connection, f"SELECT * FROM served.first WHERE {where}").days["served.first"]
    chosen = set(DAYS) if conditions is None else choose_days(connection, conditions, DAYS)
    assert matching <= chosen
    if "feature_one" not in where:
        assert matching == chosen


def test_the_columns_of_older_files_are_asked_of_each(tmp_path: Path) -> None:
    home = Home(tmp_path / ".assay")
    for day in range(3):
        rows = pa.table({"received_at": [BEGIN + timedelta(days=day)], f"feature_{day}": [1.0]})
        write_part(home.tables, "served.older", "p", rows, day="received_at")
    with store.use(home) as found:
        row = open_sql(found, "SELECT * FROM served.older WHERE day = '2026-11-02'").to_pylist()
    assert [(one["feature_0"], one["feature_1"], one["feature_2"]) for one in row] == [(None, 1.0, None)]
