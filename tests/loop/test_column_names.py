"""Columns whose names Python does not take, from training to the comparison of what was served."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay
from assay import store
from assay.errors import BadInput
from assay.model import LoadedModel
from assay.model.loaded import load_version
from assay.predictions import drain_predictions
from assay.predictions.sql import open_sql
from assay.scoring import score
from assay.serve.answer import answer, open_served
from assay.skew import find_skew
from assay.store import Store

PROJECT = """
from typing import Annotated, Literal

import lightgbm as lgb
import pandas as pd

import assay

Late = Literal["late", "on time"]


class Order(assay.Record):
    order: Annotated[assay.Key[str], assay.field(name="Order ID")]
    at: Annotated[assay.EventTime, assay.field(name="[Order] Date")]
    class_: Annotated[Literal["1st", "2nd"] | None, assay.field(name="class")]
    mass: Annotated[float, assay.between(0, 100, unit="g"), assay.field(name="Body Mass (g)")]
    second: Annotated[int | None, assay.field(name="2nd")]
    off: Annotated[float, assay.field(name="50% off: 'yes'?")]


class Answer(assay.Record):
    class_: Annotated[Late, assay.field(name="class")]
    all: Annotated[assay.Probabilities[Late], assay.field(name="p. of (all)")]
    days: Annotated[float, assay.between(outside="clip", low=0), assay.field(name="days/order")]


def features(d):
    return {"class": d.class_, "mass": d.mass, "second": d["2nd"], "off": d.off, "hour": assay.hour(d.at, tz="UTC")}


def fit(x: assay.Matrix, y: pd.DataFrame):
    quick = {"n_estimators": 10, "verbose": -1, "random_state": 1, "n_jobs": 1}
    return {
        "class": lgb.LGBMClassifier(**quick).fit(x.values, y["late?"]),
        "p. of (all)": lgb.LGBMClassifier(**quick).fit(x.values, y["late?"]),
        "days/order": lgb.LGBMRegressor(**quick).fit(x.values, y["took (d)"]),
    }


model = assay.Model(
    "orders",
    takes=Order,
    gives=Answer,
    label={"class": "late?", "p. of (all)": "late?", "days/order": "took (d)"},
    features=features,
    fit=fit,
    metrics=["p. of (all).log_loss", "class.accuracy", "days/order.mae"],
    table="orders.parquet",
)
policy = assay.Policy("p. of (all).log_loss", margin=0.5, within=(0, 1))
"""


def make_orders(count: int = 600) -> pa.Table:
    random = np.random.default_rng(1)
    mass = random.uniform(0, 100, count)
    at = np.datetime64("2024-01-01", "us") + np.arange(count) * np.timedelta64(1_800_000_000, "us")
    return pa.table(
        {
            "Order ID": [f"o{i}" for i in range(count)],
            "[Order] Date": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "class": [None if i % 9 == 0 else "1st" if i % 3 else "2nd" for i in range(count)],
            "Body Mass (g)": mass,
            "2nd": pa.array([None if i % 7 == 0 else i % 5 for i in range(count)], pa.int64()),
            "50% off: 'yes'?": random.normal(0, 1, count),
            "late?": np.where(mass + random.normal(0, 10, count) > 50, "late", "on time"),
            "took (d)": mass / 10,
        }
    )


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    with store.use(store.find_home(tmp_path / ".assay")) as found:
        yield found
        found.database.dispose()


@pytest.fixture
def orders(tmp_path: Path) -> pa.Table:
    made = make_orders()
    pq.write_table(made, tmp_path / "orders.parquet")
    return made


@pytest.fixture
def champion(opened: Store, orders: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoadedModel]:
    (tmp_path / "shop.py").write_text(PROJECT)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    shop = importlib.import_module("shop")
    past, holdout = assay.split(assay.read("orders.parquet", shop.Order), shop.Order, holdout="3d")
    assert not assay.check(past, shop.Order).failed
    candidate = assay.train(shop.model, past)
    verdict = assay.bless(candidate, holdout, shop.policy)
    assert verdict.blessed, verdict
    assay.publish(candidate)
    yield load_version(opened, "orders")
    sys.modules.pop("shop", None)


def inputs(orders: pa.Table) -> pa.Table:
    return orders.drop_columns(["late?", "took (d)"])


def test_rows_frames_and_whole_tables_are_predicted_alike(
    champion: LoadedModel, opened: Store, orders: pa.Table, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = inputs(orders).slice(0, 20).to_pylist()
    said = champion.predict(rows)
    assert list(said[0]) == ["class", "p. of (all)", "days/order"]
    takes: Any = champion.bundle.model.takes
    record = takes(**{one.attribute: rows[1][one.name] for one in takes.__assay_fields__})
    assert champion.predict(record) == champion.predict(rows[1]) == said[1]
    frame = champion.predict(inputs(orders).to_pandas())
    columns = ["class", "p. of (all)_late", "p. of (all)_on time", "days/order"]
    assert list(frame.columns) == columns
    scored = score(opened, champion, str(tmp_path / "orders.parquet"), tmp_path / "scored", log=True)
    assert (scored.rows, scored.refused) == (600, 0)
    part = pq.read_table(tmp_path / "scored" / "part-00000.parquet")
    assert part.column_names == ["row", "Order ID", "[Order] Date", *columns, "error"]
    assert part.select(columns).to_pandas().equals(frame)
    logged = open_sql(
        opened, 'SELECT "input_Body Mass (g)" AS mass, "prediction_days/order" AS days FROM served.orders'
    )
    assert len(logged) == 600
    with pytest.raises(BadInput, match=r"\$\.mass: 3\.0, expected no such field in Order"):
        champion.predict({"mass": 3.0})


def test_what_was_served_is_compared_by_the_names_of_the_table(
    champion: LoadedModel, opened: Store, orders: pa.Table
) -> None:
    served = open_served(opened, champion.version, rotate_s=600)
    for i, row in enumerate(inputs(orders).slice(0, 300).to_pylist()):
        if i % 4 == 0:
            row["Body Mass (g)"] = row["Body Mass (g)"] / 2
        said = json.loads(answer(served, msgspec.json.encode(row), f"r{i}"))
        assert list(said["prediction"]) == ["class", "p. of (all)", "days/order"]
    served.log.close()
    drain_predictions(opened.home)
    report = find_skew(opened, "orders")
    assert [(one.place, one.column, one.rows) for one in report.findings] == [("input", "Body Mass (g)", 75)]
    assert report.findings[0].shapes[0].sentence.startswith("ratio 0.5")
    assert report.unknown_keys == 0


def test_another_name_makes_another_bundle(champion: LoadedModel, orders: pa.Table, tmp_path: Path) -> None:
    assert list(champion.bundle.facts.takes["$defs"]["Order"]["properties"]) == inputs(orders).column_names
    (tmp_path / "other.py").write_text(PROJECT.replace('name="Body Mass (g)"', 'name="mass"'))
    importlib.invalidate_caches()
    other = importlib.import_module("other")
    renamed = orders.rename_columns(["mass" if name == "Body Mass (g)" else name for name in orders.column_names])
    bundle = assay.train(other.model, renamed.slice(0, 400)).open()
    sys.modules.pop("other", None)
    assert bundle.layout.values.keys() ^ champion.bundle.layout.values.keys() == {"input_mass", "input_Body Mass (g)"}
    assert bundle.facts.takes != champion.bundle.facts.takes


def test_features_on_frames_have_the_names_of_the_table(orders: pa.Table, opened: Store, tmp_path: Path) -> None:
    framed = """def features(d: pd.DataFrame):
    return d[["class", "Body Mass (g)", "2nd", "50% off: 'yes'?"]]
"""
    before, _, rest = PROJECT.partition("def features(d):\n")
    (tmp_path / "framed.py").write_text(before + framed + "\n\n" + rest.partition("\n\n\n")[2])
    sys.path.insert(0, str(tmp_path))
    try:
        bundle = assay.train(importlib.import_module("framed").model, orders).open()
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("framed", None)
    assert list(bundle.facts.features) == ["class", "Body Mass (g)", "2nd", "50% off: 'yes'?"]
