"""Will a flight from New York arrive more than 15 minutes late? Retrained every Monday morning."""

from datetime import datetime
from typing import Annotated, Literal

import lightgbm as lgb
import numpy as np

import assay

NEW_YORK = "America/New_York"
Carrier = Literal["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
Origin = Literal["EWR", "JFK", "LGA"]


class Departure(assay.Record):
    """A flight as it is known before it leaves."""

    flight: assay.Key[str]
    scheduled: assay.EventTime
    carrier: Carrier
    origin: Origin
    dest: str
    distance: Annotated[float, assay.between(10, 5000, unit="mi")]
    plane_year: Annotated[int | None, assay.between(1950, 2013), assay.nulls(max=0.10, severity="warn")]
    seats: Annotated[int | None, assay.between(1, 500), assay.nulls(max=0.10, severity="warn")]
    temp: Annotated[float | None, assay.between(-20, 120, unit="degF"), assay.nulls(max=0.002, severity="warn")]
    wind_speed: Annotated[float | None, assay.between(0, 100, unit="mph")]
    precip: Annotated[float | None, assay.between(0, 5, unit="in")]
    pressure: Annotated[float | None, assay.between(900, 1100, unit="hPa"), assay.nulls(max=0.30)]
    visib: Annotated[float | None, assay.between(0, 10, unit="mi")]


class Late(assay.Record):
    """What the model says of a flight."""

    probability: Annotated[float, assay.between(0, 1)]


class Weather(assay.Record):
    """An hour of weather at one airport, as the station reports it."""

    station_hour: assay.Key[str]
    observed: assay.EventTime
    origin: Origin
    temp: Annotated[float | None, assay.between(-20, 120, unit="degF"), assay.nulls(max=0.01)]
    wind_speed: Annotated[float | None, assay.between(0, 100, unit="mph"), assay.nulls(max=0.01)]
    wind_gust: Annotated[float | None, assay.between(0, 150, unit="mph"), assay.nulls(max=0.90)]
    pressure: Annotated[float | None, assay.between(900, 1100, unit="hPa"), assay.nulls(max=0.05, severity="warn")]


def features(d: assay.Columns[Departure]) -> dict[str, np.ndarray]:
    """The same code for a million rows in training and for one in serving."""
    hour = assay.hour(d.scheduled, tz=NEW_YORK)
    return {
        "hour": hour,
        "weekday": assay.weekday(d.scheduled, tz=NEW_YORK),
        "evening": (hour >= 17).astype(float),
        "carrier": d.carrier,
        "origin": d.origin,
        "dest": d.dest,
        "log_distance": np.log1p(d.distance),
        "plane_year": d.plane_year,
        "seats": d.seats,
        "temp": d.temp,
        "wind_speed": d.wind_speed,
        "precip": d.precip,
        "pressure": d.pressure,
        "visib": d.visib,
    }


def fit(x: assay.Matrix, y: np.ndarray, *, leaves: int = 31, rate: float = 0.07, trees: int = 80) -> lgb.Booster:
    """Gradient-boosted trees."""
    options = {
        "objective": "binary",
        "num_leaves": leaves,
        "learning_rate": rate,
        "seed": 7,
        "num_threads": 1,
        "verbose": -1,
    }
    data = lgb.Dataset(x.values, y, feature_name=x.names, categorical_feature=x.categorical)
    return lgb.train(options, data, num_boost_round=trees)


model = assay.Model(
    "flight-delay",
    takes=Departure,
    gives=Late,
    label="late",
    features=features,
    fit=fit,
    metrics=["auc", "log_loss"],
    table="data/flights",
)
policy = assay.Policy("auc", margin=0.01, within=(0.55, 0.90), max_age="21d")


@assay.pipeline(schedule="0 6 * * MON", tz=NEW_YORK)
def weekly(asof: datetime, leaves: int = 31):
    """Check the data, train on eight weeks, judge on the ninth, publish what is blessed."""
    rows = assay.read("data/flights", Departure, until=asof, last="63d")
    report = assay.check(rows, Departure, fresh="26h", now=asof)
    if report.failed:
        return report
    past, holdout = assay.split(rows, Departure, holdout="7d", season="7d", until=asof)
    candidate = assay.train(model, past, leaves=leaves)
    verdict = assay.bless(candidate, holdout, policy)
    if verdict.blessed:
        assay.publish(candidate)
    return verdict
