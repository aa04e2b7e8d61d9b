"""Pages hold their place while runs come and go, on both databases."""

import base64
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from assay.errors import BadInput
from assay.store import Store, find_home
from assay.store.schema import experiments, metric_series, params, runs
from assay.track import search
from assay.track.points import Point, add_points

START = datetime(2024, 1, 1, tzinfo=UTC)
VALUES = (None, math.nan, -math.inf, -1.5, 0.0, 0.1, 1.0, math.inf)
ORDERS = ("metrics.auc", "params.leaves", "end_time", "start_time", "run_name", "status", "experiment", "artifact_uri")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "postgres":
            patch.setenv("ASSAY_DATABASE", request.getfixturevalue("postgres"))
        opened = Store(find_home(tmp_path_factory.mktemp("keyset") / ".assay"))
    yield opened
    opened.database.dispose()


def new_experiment(store: Store) -> int:
    with store.database.begin() as connection:
        row = {"name": uuid4().hex, "created_at": START, "updated_at": START}
        return connection.execute(insert(experiments).values(row).returning(experiments.c.id)).scalar_one()


@st.composite
def some_runs(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "minute": draw(st.integers(0, 3)),
        "ended": draw(st.sampled_from([None, 0, 1])),
        "name": draw(st.sampled_from(["a", "B", "é", "a%"])),
        "auc": draw(st.sampled_from(VALUES)),
        "leaves": draw(st.sampled_from([None, "", "31", "4", "x" * 3000])),
    }


def add(store: Store, number: int, facts: list[dict[str, Any]]) -> list[str]:
    ids = [uuid4().hex for _ in facts]
    with store.database.begin() as connection:
        for run_id, fact in zip(ids, facts, strict=True):
            row = {"id": run_id, "experiment_id": number, "name": fact["name"], "kind": "tracked", "status": "running"}
            ended = None if fact["ended"] is None else START + timedelta(hours=fact["ended"])
            row |= {"started_at": START + timedelta(minutes=fact["minute"]), "ended_at": ended}
            connection.execute(insert(runs).values(row))
            if fact["auc"] is not None:
                add_points(connection, run_id, [Point("auc", fact["auc"], 0, 0)])
            if fact["leaves"] is not None:
                kept = {"run_id": run_id, "name": "leaves", "value": fact["leaves"], "text": fact["leaves"]}
                connection.execute(insert(params).values(kept))
    return ids


def remove(store: Store, run_id: str, *, for_good: bool) -> None:
    with store.database.begin() as connection:
        if for_good:
            connection.execute(delete(metric_series).where(metric_series.c.run_id == run_id))
            connection.execute(delete(params).where(params.c.run_id == run_id))
            connection.execute(delete(runs).where(runs.c.id == run_id))
        else:
            connection.execute(update(runs).where(runs.c.id == run_id).values(deleted_at=START))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(some_runs(), min_size=1, max_size=12),
    order=st.lists(st.tuples(st.sampled_from(ORDERS), st.sampled_from(["", " DESC"])), unique_by=lambda o: o[0], max_size=2),
    text=st.sampled_from(["", "metrics.auc > -2", "metrics.auc <= 1 AND params.leaves != '4'"]),
    size=st.integers(1, 4),
    data=st.data(),
)  # fmt: skip
def test_rows_that_are_there_throughout_come_exactly_once_and_in_order(
    first: list[dict[str, Any]],
    order: list[tuple[str, str]],
    text: str,
    size: int,
    data: st.DataObject,
    store: Store,
) -> None:
    number = new_experiment(store)
    there, removed = add(store, number, first), set[str]()
    asked: dict[str, Any] = {"experiment_ids": [number], "order_by": [f"{name}{way}" for name, way in order]}
    seen: list[str] = []
    token: str | None = None
    for _ in range(100):
        page = search(store, text, **asked, limit=size, token=token)
        seen += [run.id for run in page.runs]
        token = page.token
        if token is None:
            break
        for gone in data.draw(st.lists(st.sampled_from(there), max_size=2, unique=True)):  # the last seen one, too
            remove(store, gone, for_good=data.draw(st.booleans()))
            removed.add(gone)
        if len(there) < 30:
            there += add(store, number, data.draw(st.lists(some_runs(), max_size=2)))
    assert len(seen) == len(set(seen))
    whole = [run.id for run in search(store, text, **asked, limit=1000).runs]
    throughout = [one for one in whole if one in there[: len(first)]]
    assert [one for one in seen if one in throughout] == throughout
    assert [one for one in seen if one not in removed] == [one for one in whole if one in seen]


def forged(token: str, **changes: Any) -> str:
    digest, *values = json.loads(base64.urlsafe_b64decode(token))
    given: Any = changes.get("values", values)
    return base64.urlsafe_b64encode(json.dumps([changes.get("digest", digest), *given]).encode()).decode()


def test_a_token_of_another_search_or_one_that_was_changed_is_refused(store: Store) -> None:
    number = new_experiment(store)
    fact = {"minute": 0, "ended": None, "name": "a", "auc": 1.0, "leaves": "x"}
    add(store, number, [fact | {"minute": minute} for minute in range(3)])
    asked: dict[str, Any] = {"experiment_ids": [number], "order_by": ["metrics.auc"], "limit": 1}
    token = search(store, "params.leaves = 'x'", **asked).token
    assert token
    assert len(search(store, "params.leaves = 'x'", **asked, token=token).runs) == 1
    for other in ({"order_by": ["metrics.auc DESC"]}, {"experiment_ids": [number + 1]}, {"deleted": None}):
        with pytest.raises(BadInput, match="another search"):
            search(store, "params.leaves = 'x'", **asked | other, token=token)
    with pytest.raises(BadInput, match="another search"):
        search(store, "params.leaves != 'y'", **asked, token=token)
    values = json.loads(base64.urlsafe_b64decode(token))[1:]
    for place, odd in [(0, "0"), (0, True), (0, 2**63), (0, None), (1, "1"), (1, 1), (1, math.nan), (2, 2**80), (3, 1)]:
        changed = forged(token, values=[*values[:place], odd, *values[place + 1 :]])
        with pytest.raises(BadInput, match="can't be read"):
            search(store, "params.leaves = 'x'", **asked, token=changed)
    for changed in (forged(token, values=[]), forged(token, values=[*values[:-1], "0\0"]), token[:-3], "%", "W10="):
        with pytest.raises(BadInput, match="can't be read"):
            search(store, "params.leaves = 'x'", **asked, token=changed)
    with pytest.raises(BadInput, match="another search"):
        search(store, "params.leaves = 'x'", **asked, token=forged(token, values=[*values[:-1], "0"]))
