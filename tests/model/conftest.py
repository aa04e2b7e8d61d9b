"""A home for each test, and small projects as users write them: a model in a file, imported."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from assay import store
from assay.store import Store

TRIPS = """
from typing import Annotated, Literal

import lightgbm as lgb
import numpy as np

import assay


class Trip(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    zone: Literal["north", "south"] | None
    miles: Annotated[float, assay.between(0, 100, unit="mi")]
    seats: int | None


class Long(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]


def features(d):
    return {"hour": assay.hour(d.start, tz="UTC"), "zone": d.zone, "miles": d.miles, "seats": d.seats}


def fit(x, y, *, trees=5):
    data = lgb.Dataset(x.values, y, feature_name=x.names, categorical_feature=x.categorical)
    options = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 7, "min_data_in_leaf": 5}
    return lgb.train(options, data, num_boost_round=trees)


model = assay.Model(
    "long-trip", takes=Trip, gives=Long, label="long", features=features, fit=fit, metrics=["auc", "log_loss"]
)
"""


def make_trips(days: int = 20, *, by_day: int = 30, seed: int = 5) -> pa.Table:
    """Trips from 2013-01-01 on; long ones are more than 25 miles, give or take."""
    random, count = np.random.default_rng(seed), days * by_day
    miles = random.uniform(0, 50, count)
    starts = np.datetime64("2013-01-01", "us") + np.arange(count) * np.timedelta64(86_400_000_000 // by_day, "us")
    return pa.table(
        {
            "trip": [f"t{i}" for i in range(count)],
            "start": pa.array(starts).cast(pa.timestamp("us", "UTC")),
            "zone": [None if i % 50 == 0 else "north" if i % 3 else "south" for i in range(count)],
            "miles": miles,
            "seats": pa.array([None if i % 7 == 0 else 1 + i % 9 for i in range(count)], pa.int64()),
            "long": miles + random.normal(0, 8, count) > 25,
        }
    )


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    """The home of this test's project."""
    with store.use(store.find_home(tmp_path / ".assay")) as found:
        yield found
        found.database.dispose()


@pytest.fixture
def trips() -> pa.Table:
    """Twenty days of trips."""
    return make_trips()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Writes files into the project and imports the first: `project(trips="source", places="source")`."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write_and_import(**sources: str) -> ModuleType:
        for name, source in sources.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)
        importlib.invalidate_caches()
        return importlib.import_module(next(iter(sources)).replace("__", "."))

    yield write_and_import
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def module(project: Callable[..., ModuleType]) -> ModuleType:
    """The project `trips.py`."""
    return project(trips=TRIPS)


@pytest.fixture
def source() -> str:
    """The text of `trips.py`."""
    return TRIPS
