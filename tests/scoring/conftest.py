"""A published model, and a table to score with it."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay import store
from assay.blessing import Policy, bless, publish
from assay.model import LoadedModel, train
from assay.model.loaded import load_version
from assay.store import Store

PROJECT = """
from typing import Annotated, Literal

import lightgbm as lgb

import assay

Length = Literal["short", "long"]


class Trip(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    zone: Literal["north", "south"] | None
    miles: Annotated[float, assay.between(0, 100, unit="mi")]
    seats: int | None


class Says(assay.Record):
    length: Length
    probability: assay.Probabilities[Length]


calls = []


def features(d):
    calls.append(len(d))
    return {"hour": assay.hour(d.start, tz="UTC"), "zone": d.zone, "miles": d.miles, "seats": d.seats}


def fit(x, y, *, trees=5):
    made = lgb.LGBMClassifier(n_estimators=trees, verbose=-1, n_jobs=1, min_child_samples=5)
    return made.fit(x.values, y, categorical_feature=x.categorical)


model = assay.Model("trips", takes=Trip, gives=Says, label="length", features=features, fit=fit, metrics=["log_loss"])
"""


def make_trips(count: int = 600, *, seed: int = 5) -> pa.Table:
    """Trips, 30 a day from 2013-01-01 on; long ones are more than 25 miles, give or take."""
    random = np.random.default_rng(seed)
    miles = random.uniform(0, 50, count)
    starts = np.datetime64("2013-01-01", "us") + np.arange(count) * np.timedelta64(86_400_000_000 // 30, "us")
    return pa.table(
        {
            "trip": [f"t{i}" for i in range(count)],
            "start": pa.array(starts).cast(pa.timestamp("us", "UTC")),
            "zone": [None if i % 50 == 0 else "north" if i % 3 else "south" for i in range(count)],
            "miles": miles,
            "seats": pa.array([None if i % 7 == 0 else 1 + i % 9 for i in range(count)], pa.int64()),
            "length": np.where(miles + random.normal(0, 8, count) > 25, "long", "short"),
        }
    )


@pytest.fixture
def trips() -> pa.Table:
    """Twenty days of trips."""
    return make_trips()


@pytest.fixture
def table(trips: pa.Table, tmp_path: Path) -> Path:
    """They in a file."""
    pq.write_table(trips, tmp_path / "trips.parquet", row_group_size=70)
    return tmp_path / "trips.parquet"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    """The home of this test's project."""
    with store.use(store.find_home(tmp_path / ".assay")) as found:
        yield found
        found.database.dispose()


@pytest.fixture
def champion(opened: Store, trips: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoadedModel]:
    """A model that was trained on the first 14 days, and published."""
    (tmp_path / "taxi.py").write_text(PROJECT)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    candidate = train(importlib.import_module("taxi").model, trips.slice(0, 420))
    assert bless(candidate, trips.slice(420), Policy("log_loss", margin=0.1, within=(0, 1))).blessed
    publish(candidate)
    yield load_version(opened, "trips")
    del sys.modules["taxi"]
