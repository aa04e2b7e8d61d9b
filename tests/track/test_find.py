"""The filter language means what a plain look at every run means, on both databases."""

import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.errors import BadInput, NotFound
from assay.store import Store, find_home
from assay.track import begin_run, find_runs, get_run, search
from assay.track.filter import Both, Not, Predicate, parse
from assay.track.frames import as_csv, as_table

NAMES = ("auc", "val loss", "odd")
VALUES = (0.0, 0.5, 0.75, 1.0, math.nan, math.inf, -math.inf)
TEXTS = ("31", "gbdt", "Gbdt", "it's", "a%b", "")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(find_home(tmp_path_factory.mktemp("find") / ".assay"))
    for i in range(24):
        run = begin_run(opened, ("first", "second")[i % 2], name=f"run {i}")
        run.log_metrics({name: VALUES[(i * (k + 2)) % 7] for k, name in enumerate(NAMES) if (i + k) % 4})
        run.log_params({name: TEXTS[(i + k) % 6] for k, name in enumerate(("leaves", "kind")) if (i + k) % 3})
        run.set_tags({"team": TEXTS[i % 5]} if i % 3 else {})
        run.finish(("finished", "failed")[i % 4 == 0])
    yield opened
    opened.database.dispose()


def comparisons() -> st.SearchStrategy[str]:
    number = st.sampled_from(["0", "0.5", "0.75", "-1e3", "2"])
    text = st.sampled_from(["'31'", "'gbdt'", "'it''s'", "'a%b'", "'%b%'", "'_bdt'", "''"])
    metric = st.tuples(
        st.sampled_from(["metrics.auc", "metric.`val loss`", 'metrics."odd"', "metrics.none"]),
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        number,
    )
    kept = st.tuples(
        st.sampled_from(["params.leaves", "param.kind", "tags.team", "tag.none"]),
        st.sampled_from(["=", "!=", "LIKE", "ILIKE"]),
        text,
    )
    listed = st.tuples(
        st.sampled_from(["params.kind", "tags.team", "run_name"]),
        st.sampled_from(["IN", "NOT IN"]),
        st.just("('31', 'gbdt', 'run 3')"),
    )
    null = st.tuples(
        st.sampled_from(["params.leaves", "tags.team", "metrics.odd"]),
        st.sampled_from(["IS NULL", "IS NOT NULL"]),
        st.just(""),
    )
    fact = st.sampled_from(
        [("status", "=", "'FAILED'"), ("experiment", "!=", "'first'"), ("run_name", "LIKE", "'run 1%'")]
    )
    return st.one_of(metric, kept, listed, null, fact).map(" ".join)


FILTERS = st.recursive(
    comparisons(),
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from(["AND", "or", "And"]), part).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        part.map(lambda p: f"NOT ({p})"),
    ),
    max_leaves=5,
)


def holds(tree: Any, run: Any) -> bool | None:
    """The plain meaning, with None for unknown as in SQL."""
    match tree:
        case Not(part):
            return not holds(part, run)
        case Both(word, parts):
            return (all if word == "AND" else any)(holds(part, run) for part in parts)
        case Predicate(kind, name, operator, value):
            of = {"metric": run.metrics, "param": run.params, "tag": run.tags}.get(kind)
            facts = {"status": run.status.upper(), "experiment": run.experiment, "run_name": run.name}
            found = facts[name] if of is None else of.get(name)
            if operator.startswith("IS"):
                return (found is None) is (operator == "IS NULL")
            return found is not None and compares(found, operator, value)


def compares(found: Any, operator: str, value: Any) -> bool:
    import re

    if operator in ("LIKE", "ILIKE"):
        pattern = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in value)
        return re.fullmatch(pattern, found, re.IGNORECASE if operator == "ILIKE" else 0) is not None
    return {
        "=": found == value,
        "!=": found != value,
        "IN": isinstance(value, tuple) and found in value,
        "NOT IN": isinstance(value, tuple) and found not in value,
    }.get(operator) if operator not in ("<", "<=", ">", ">=") else {
        "<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value
    }[operator]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=FILTERS)
def test_a_filter_finds_what_a_look_at_every_run_finds(text: str, store: Store) -> None:
    tree = parse(text, {"status", "experiment", "run_name"})
    every = search(store, limit=1000).runs
    expected = [run.id for run in every if holds(tree, run)]
    assert [run.id for run in search(store, text, limit=1000).runs] == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), down=st.booleans(), text=comparisons(), size=st.integers(1, 9))
def test_pages_follow_each_other_in_the_order_asked_for(
    name: str, down: bool, text: str, size: int, store: Store
) -> None:
    order = [f"metrics.`{name}` {'DESC' if down else 'ASC'}"]
    found: list[Any] = []
    token: str | None = None
    while True:
        page = search(store, text, order_by=order, limit=size, token=token)
        found += page.runs
        token = page.token
        if token is None:
            break
    whole = search(store, text, limit=1000).runs
    assert len({run.id for run in found}) == len(found) == len(whole)
    values = [run.metrics.get(name) for run in found]
    real = [value for value in values if value is not None and not math.isnan(value)]
    assert (
        values[: len(real)] == real == sorted(real, reverse=down)
    )  # what is no number comes later, what is absent last
    assert all(value is None for value in values[len([v for v in values if v is not None]) :])


def test_times_are_absolute_or_relative(store: Store) -> None:
    assert len(search(store, "start_time > '1h'", limit=1000).runs) == 24
    assert search(store, "start_time < '1h' OR start_time < 'yesterday'").runs == []
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert len(search(store, f"started_at < '{later}' AND ended IS NOT NULL", limit=1000).runs) == 24
    assert find_runs(store, since=datetime.now(UTC) + timedelta(hours=1)) == []


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("metrics.auc > 'high'", "Compare metrics with numbers"),
        ("params.leaves = 31", "Quote it: '31'"),
        ("metrics.auc >", "expected a number"),
        ("metrics.auc > 1 metrics.b > 2", "expected AND, OR or the end"),
        ("(metrics.auc > 1", "closing parenthesis"),
        ("metric.auc ~ 1", "can't be read"),
        ("metrcs.auc > 1", "did you mean metric"),
        ("stats = 'x'", "did you mean status"),
        ("params.a IN ()", "empty list"),
        ("params.a IN ('x' 'y')", "comma"),
        ("metrics.auc LIKE 'x'", "can't be compared by LIKE"),
        ("start_time > 'soon'", "is not a time"),
        ("start_time > 1e30", "is not a time"),
        ("'x' = 'y'", "expected something like"),
        ("datasets.size = 'x'", "has no dataset"),
    ],
)
def test_what_is_wrong_with_a_filter_is_said_with_its_place(text: str, hint: str, store: Store) -> None:
    with pytest.raises(BadInput) as caught:
        search(store, text)
    assert hint in str(caught.value)


def test_an_unknown_run_is_not_found_with_the_near_miss(store: Store) -> None:
    known = search(store, limit=1).runs[0].id
    with pytest.raises(NotFound, match=f"did you mean {known}"):
        get_run(store, known[:-1] + "_")


def test_runs_become_a_table_and_csv(store: Store) -> None:
    found = search(store, limit=1000).runs
    table = as_table(found)
    assert table.num_rows == 24
    assert {"id", "metrics.auc", "params.leaves", "tags.team"} <= set(table.column_names)
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [row["id"] for row in rows] == [run.id for run in found]


def test_results_do_not_depend_on_a_folder_of_their_own(tmp_path: Path) -> None:
    assert search(Store(find_home(tmp_path / ".assay"))).runs == []
