"""A small user's project and the command line to use it with."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.cli import main

PROJECT = '''
from typing import Annotated, Literal
import lightgbm as lgb
import numpy as np
import assay


class Trip(assay.Record):
    """A taxi trip as it is known at its start."""

    trip: assay.Key[str]
    start: assay.EventTime
    zone: Literal["north", "south"]
    miles: Annotated[float, assay.between(0, 100, unit="mi")]


class Long(assay.Record):
    """The answer."""

    probability: Annotated[float, assay.between(0, 1)]


def features(d: assay.Columns[Trip]) -> dict[str, np.ndarray]:
    return {"hour": assay.hour(d.start, tz="UTC"), "zone": d.zone, "miles": d.miles}


def fit(x: assay.Matrix, y: np.ndarray, *, trees: int = 5) -> lgb.Booster:
    data = lgb.Dataset(x.values, y, feature_name=x.names, categorical_feature=x.categorical)
    return lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, num_boost_round=trees)


model = assay.Model("long-trip", takes=Trip, gives=Long, label="long", features=features, fit=fit, table="trips.parquet")
policy = assay.Policy("auc", margin=0.02, within=(0.5, 1.0), max_age="21d")


@assay.pipeline(schedule="0 6 * * *")
def daily(asof, trees: int = 5):
    """Train without looking first, so that what is wrong with the table is found by training."""
    rows = assay.read("trips.parquet", Trip, until=asof, last="20d")
    past, holdout = assay.split(rows, Trip, holdout="7d", until=asof)
    candidate = assay.train(model, past, trees=trees)
    verdict = assay.bless(candidate, holdout, policy)
    if verdict.blessed:
        assay.publish(candidate)
    return verdict


@assay.pipeline()
def unscheduled(asof):
    return "done"
'''


def trips(days: int = 20, a_day: int = 60) -> pa.Table:
    """Trips of January 2013; long ones are those of many miles, with some noise."""
    random = np.random.default_rng(5)
    count = days * a_day
    first = datetime(2013, 1, 1, tzinfo=UTC)
    miles = random.uniform(0, 50, count)
    return pa.table(
        {
            "trip": [f"t{i}" for i in range(count)],
            "start": pa.array(
                [first + timedelta(days=i * days / count) for i in range(count)], pa.timestamp("us", "UTC")
            ),
            "zone": random.choice(["north", "south"], count).tolist(),
            "miles": miles,
            "long": miles + random.normal(0, 8, count) > 25,
        }
    )


@dataclass
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def assay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, in this process."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["assay", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Said(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the current folder, with a table and nothing published."""
    (tmp_path / ".assay").mkdir()  # a project of its own, whatever lies above
    (tmp_path / "taxi.py").write_text(PROJECT)
    pq.write_table(trips(), tmp_path / "trips.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_HOME", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "taxi", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def published_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a champion, made once; copy it before changing it."""
    folder = tmp_path_factory.mktemp("published")
    (folder / ".assay").mkdir()
    (folder / "taxi.py").write_text(PROJECT)
    pq.write_table(trips(), folder / "trips.parquet")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.chdir(folder)
        patch.delenv("ASSAY_HOME", raising=False)
        patch.setattr(sys, "argv", ["assay", "run", "taxi:daily", "--asof", "2013-01-21", "--publish"])
        patch.delitem(sys.modules, "taxi", raising=False)
        patch.setattr(sys, "path", [str(folder), *sys.path])
        main()
    assert not ended.value.code
    return folder


@pytest.fixture
def published(project: Path, published_project: Path) -> Path:
    """A project in the current folder with a champion."""
    shutil.copytree(published_project / ".assay", project / ".assay", dirs_exist_ok=True)
    return project
