"""A small project whose model and data a test can bend."""

import importlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from assay import store

PROJECT = """
from typing import Annotated, Literal
import lightgbm as lgb
import numpy as np
import assay


class Trip(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    zone: Literal["north", "south"]
    miles: Annotated[float | None, assay.between(0, 100, unit="mi")]


class Long(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]


def features(d):
    return {FEATURES}


def fit(x, y, *, trees: int = 20, blind: bool = False):
    values = x.values * 0 if blind else x.values
    data = lgb.Dataset(values, y, feature_name=x.names, categorical_feature=x.categorical)
    return lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, num_boost_round=trees)


model = assay.Model("long-trip", takes=Trip, gives=Long, label="long", features=features, fit=fit)
"""
PLAIN = '{"zone": d.zone, "miles": d.miles}'


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[store.Store]:
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    with store.use(store.find_home(tmp_path / ".assay")) as found:
        yield found
        found.database.dispose()


@pytest.fixture
def project(tmp_path: Path, opened: store.Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """The project's module with the features given as the text of a dict."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(features: str = PLAIN) -> ModuleType:
        sys.modules.pop("taxi", None)
        importlib.invalidate_caches()
        (tmp_path / "taxi.py").write_text(PROJECT.replace("{FEATURES}", features))
        return importlib.import_module("taxi")

    yield made
    sys.modules.pop("taxi", None)


@pytest.fixture
def trips() -> Callable[..., pa.Table]:
    """Trips of `days` days from `first` on; long ones have many miles."""

    def made(first: str = "2013-01-01", days: int = 14, a_day: int = 60, seed: int = 1) -> pa.Table:
        random = np.random.default_rng(seed)
        count = days * a_day
        start = datetime.fromisoformat(first).replace(tzinfo=UTC)
        miles = random.uniform(0, 50, count)
        return pa.table(
            {
                "trip": [f"{first}-{i}" for i in range(count)],
                "start": pa.array(
                    [start + timedelta(days=days * i / count) for i in range(count)], pa.timestamp("us", "UTC")
                ),
                "zone": random.choice(["north", "south"], count).tolist(),
                "miles": miles,
                "long": miles + random.normal(0, 8, count) > 25,
            }
        )

    return made
