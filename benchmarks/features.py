"""The same four features on numpy columns and on frames: one row as a server has it, and a million as training has them."""

import statistics
import time
from datetime import UTC, datetime
from typing import Annotated, Literal

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from measure import Row

import assay
from assay.contract import Columns
from assay.contract.columns import TEXT, from_rows
from assay.model.features import compute

ROWS = 1_000_000
CALLS = 400


class Flight(assay.Record):
    scheduled: assay.EventTime
    origin: Literal["EWR", "JFK", "LGA"]
    distance: Annotated[float, assay.between(0, 5000, unit="mi")]
    wind: float | None


class Late(assay.Record):
    minutes: float


def on_columns(d):
    hour = assay.hour(d.scheduled, tz="UTC")
    return {"hour": hour, "log": np.log1p(d.distance), "wind": d.wind, "origin": d.origin}


def on_polars(d: pl.DataFrame):
    hour, log = pl.col("scheduled").dt.hour(), pl.col("distance").log1p()
    return d.select(hour=hour, log=log, wind="wind", origin="origin")


def on_pandas(d: pd.DataFrame):
    hour, log = d["scheduled"].dt.hour, np.log1p(d["distance"])
    return pd.DataFrame({"hour": hour, "log": log, "wind": d["wind"], "origin": d["origin"]})


def on_arrow(d: pa.Table):
    return {"hour": pc.hour(d["scheduled"]), "log": pc.log1p(d["distance"]), "wind": d["wind"], "origin": d["origin"]}


def on_narwhals(d: nw.DataFrame):
    hour, log = nw.col("scheduled").dt.hour(), (nw.col("distance") + 1).log()
    return d.select(hour=hour, log=log, wind="wind", origin="origin")


OTHERS = {
    "polars frame": on_polars,
    "pyarrow table": on_arrow,
    "narwhals frame": on_narwhals,
    "pandas frame": on_pandas,
}


def measure() -> list[Row]:
    one, many = _one_row(), _many_rows(ROWS)
    models = {name: _model(function) for name, function in {"numpy columns": on_columns, **OTHERS}.items()}
    alone: dict[str, list[float]] = {name: [] for name in models}
    batch: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        _take(model, one)
        _take(model, many)
    for _ in range(5):  # in turns
        for name, model in models.items():
            alone[name].append(min(_seconds(model, one) for _ in range(CALLS)))
            batch[name].append(_seconds(model, many))
    found = {name: (statistics.median(alone[name]), statistics.median(batch[name])) for name in models}
    ours_alone, ours_batch = found.pop("numpy columns")
    rows = [
        Row(
            "four features of one row, on numpy columns",
            f"{ours_alone * 1e6:,.0f} us",
            f"the same on a {name}",
            f"{took * 1e6:,.0f} us",
            took / ours_alone,
        )
        for name, (took, _) in found.items()
    ]
    return rows + [
        Row(
            "the same of a million rows",
            f"{ours_batch:.2f} s",
            f"the same on a {name}",
            f"{took:.2f} s",
            took / ours_batch,
        )
        for name, (_, took) in found.items()
    ]


def _model(features) -> assay.Model:
    return assay.Model(
        "late", takes=Flight, gives=Late, label="minutes", features=features, fit=lambda x, y: None, metrics=["mae"]
    )


def _one_row() -> list[Flight]:
    return [Flight(scheduled=datetime(2013, 7, 1, 12, 30, tzinfo=UTC), origin="JFK", distance=187.0, wind=None)]


def _many_rows(count: int) -> Columns:
    random = np.random.default_rng(1)
    begin = np.datetime64("2013-01-01", "us")
    return Columns(
        {
            "scheduled": begin + random.integers(0, 365 * 86_400, count) * np.timedelta64(1_000_000, "us"),
            "origin": np.array(["EWR", "JFK", "LGA"], TEXT)[random.integers(0, 3, count)],
            "distance": random.uniform(50, 5000, count),
            "wind": np.where(random.random(count) < 0.1, np.nan, random.uniform(0, 60, count)),
        }
    )


def _take(model: assay.Model, rows: list[Flight] | Columns) -> None:
    compute(model, rows if isinstance(rows, Columns) else from_rows(rows, Flight), {})


def _seconds(model: assay.Model, rows: list[Flight] | Columns) -> float:
    started = time.perf_counter()
    _take(model, rows)
    return time.perf_counter() - started
