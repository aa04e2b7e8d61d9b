"""Two machines, one place for artifacts: each reads the rows of both, once, and says so when it can't."""

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from assay import store
from assay.contract import EventTime, Key, Record
from assay.contract.columns import from_rows
from assay.errors import Unavailable
from assay.predictions import (
    Layout,
    PredictionLog,
    bound,
    count_days,
    drain_predictions,
    log_training,
    open_sql,
    read_rows,
)
from assay.store import Home
from assay.store.shared import compact_shared, forget, hand_on, shared_tables

NOW = datetime.now(UTC).replace(microsecond=0)


class Asked(Record):
    key: Key[str]
    at: EventTime


class Said(Record):
    value: float


LAYOUT = Layout("small", Asked, Said, {"value": "number"})


@pytest.fixture(params=["folder", "bucket"])
def machines(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Home, Home]:
    """The homes of two machines."""
    url = str(tmp_path / "team") if request.param == "folder" else request.getfixturevalue("bucket")
    monkeypatch.setenv("ASSAY_ARTIFACTS", url)
    monkeypatch.setenv("ASSAY_DATABASE", f"sqlite:///{tmp_path / 'team.db'}")
    return Home(tmp_path / "a" / ".assay"), Home(tmp_path / "b" / ".assay")


def serve(home: Home, name: str, at: datetime = NOW, rows: int = 2) -> None:
    log = PredictionLog(home, LAYOUT, 1)
    asked = [Asked(key=f"{name}{i}", at=at) for i in range(rows)]
    assert log.append(name, at, at, asked, {"value": np.arange(rows, dtype=float)}, [(1.0,)] * rows)
    log.close()
    drain_predictions(home)


def train(home: Home, run_id: str) -> None:
    asked = [Asked(key="k", at=NOW)]
    one = np.ones(1)
    log_training(
        home, LAYOUT, run_id, None, "train", from_rows(asked, Asked), {"value": one}, {"value": one}, {"label": one}
    )


def keys(home: Home, **asked: object) -> Counter[str]:
    rows = read_rows(home, "small", **asked)  # type: ignore[arg-type]
    return Counter(rows.column("input_key").to_pylist() if rows else [])


def test_each_machine_reads_the_rows_of_both(machines: tuple[Home, Home]) -> None:
    a, b = machines
    serve(a, "a")
    serve(b, "b")
    train(a, "e-1")
    assert keys(a) == {"a0": 1, "a1": 1}  # not handed on yet, and read all the same
    assert hand_on(a) == 2
    assert hand_on(b) == 1
    assert hand_on(a) == 0
    for home in machines:
        assert keys(home) == {"a0": 1, "a1": 1, "b0": 1, "b1": 1}
        assert keys(home, since=NOW - timedelta(minutes=1)) == keys(home)
        assert sum(keys(home, since=NOW + timedelta(minutes=1)).values()) == 0
        assert list(count_days(home, "small").values()) == [4]
        trained = read_rows(home, "small", "trained", request_id="e-1")
        assert trained is not None
        with store.use(home) as opened:
            query = 'SELECT count(*) AS n FROM "served".small s, trained.small t'
            assert open_sql(opened, query).to_pylist() == [{"n": 4}]


def test_a_look_up_fetches_only_what_it_needs(machines: tuple[Home, Home]) -> None:
    a, b = machines
    for i in range(4):
        serve(a, f"day{i}-", NOW - timedelta(days=i), rows=1)
    hand_on(a)
    assert keys(b, since=NOW - timedelta(hours=1)) == {"day0-0": 1}
    assert len(list(b.shared.rglob("*.parquet"))) == 1


def test_shared_days_are_compacted_by_any_machine_and_each_row_counts_once(machines: tuple[Home, Home]) -> None:
    a, b = machines
    then = NOW - timedelta(days=3)
    serve(a, "a", then)
    serve(b, "b", then + timedelta(seconds=5))
    spool = a.path.parent / "spool"
    log = PredictionLog(a, LAYOUT, 1)
    log.append("again", then, then, [Asked(key="again", at=then)], {"value": np.ones(1)}, [(1.0,)])
    log.close()
    shutil.copytree(a.spool, spool)
    drain_predictions(a)
    for home in machines:
        hand_on(home)
    everything = keys(a)
    assert sum(everything.values()) == 5
    shared = shared_tables(a)
    assert shared is not None
    names = sorted(shared.names("served.small"))
    copies = {name: a.path.parent / f"copy{i}" for i, name in enumerate(names)}
    for name, path in copies.items():
        shared.fetch(name, path)
    done = compact_shared(b, "served.small")
    assert (done.merged, done.into) == (3, 1)
    assert len(list(shared.names("served.small"))) == 1
    assert keys(a) == keys(b) == everything
    for name, path in copies.items():  # it was killed before it removed them
        shared.put(name, path)
        assert keys(a) == keys(b) == everything
    compact_shared(a, "served.small")
    assert len(list(shared.names("served.small"))) == 1
    shutil.copytree(spool, a.spool, dirs_exist_ok=True)  # the drainer was killed before it removed the segment
    assert keys(a) == everything
    drain_predictions(a)
    hand_on(a)
    assert keys(a) == keys(b) == everything
    assert forget(a) == 0 or keys(a) == everything


def test_training_rows_that_nobody_needs_go_from_the_shared_place_too(machines: tuple[Home, Home]) -> None:
    a, b = machines
    train(a, "e-1")
    hand_on(a)
    train(b, "e-2")
    with store.use(b) as opened:
        assert bound(opened, older_than=timedelta()).training_runs == 2
    shared = shared_tables(a)
    assert shared is not None
    assert not list(shared.names(""))
    assert not list(b.tables.rglob("*.parquet"))


def test_while_the_shared_place_is_away_rows_wait_and_reports_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("ASSAY_ARTIFACTS", "s3://assay/away")
    for name, value in {"ENDPOINT_URL": "http://127.0.0.1:1", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    home = Home(tmp_path / ".assay")
    serve(home, "a")
    with pytest.raises(Unavailable):
        hand_on(home)
    with pytest.raises(Unavailable):
        keys(home)
    away: list[str] = []
    assert keys(home, away=away) == {"a0": 1, "a1": 1}
    assert away == ["s3://assay/away/tables does not answer"]
    with store.use(home) as opened:
        assert open_sql(opened, "SELECT count(*) AS n FROM runs").to_pylist() == [{"n": 0}]  # it needs no bucket
