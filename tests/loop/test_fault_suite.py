"""Seven faults, each in 5 % of 1,000 real rows, are found and named with no false row; rounding to float32 is none."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from assay import store
from assay.contract import fields
from assay.contract.columns import Array, from_rows
from assay.contract.decode import to_json
from assay.predictions import drain_predictions
from assay.serve.answer import Served, open_served
from assay.skew import SkewReport, find_skew
from assay.tables import read
from assay.times import now
from assay.track import champion

ROWS = 1000
Row = dict[str, Any]


@dataclass
class Serving:
    """A served log being made: rows of October 2013, as clients send them."""

    opened: store.Store
    served: Served
    rows: list[Row]
    weather: dict[tuple[str, datetime], Row]
    #: Every flight from October on.
    autumn: list[Row]
    faulty: list[int]

    def send(self, change: Callable[[Row], Row], feature: Callable[[dict[str, Array]], None] | None = None) -> set[str]:
        """Serve every row, the chosen ones changed; returns the request ids of those whose value really changed."""
        really: set[str] = set()
        for i, row in enumerate(self.rows):
            sent = change(dict(row)) if i in self.faulty else row
            if sent != row or (feature and i in self.faulty):
                really.add(f"r{i}")
            self._answer(f"r{i}", sent, feature if i in self.faulty else None)
        self.served.log.close()
        drain_predictions(self.opened.home)
        return really

    def _answer(self, request_id: str, row: Row, feature: Callable[[dict[str, Array]], None] | None) -> None:
        # What `answer` does, with a serving side that computes one feature otherwise where the fault says so.
        bundle = self.served.bundle
        decoded = self.served.decoder.decode(to_json(row)).rows
        computed = bundle.features(from_rows(decoded, bundle.model.takes))
        if feature:
            feature(computed)
        said = bundle.settle(bundle.predict(computed)).records()
        assert self.served.log.append(request_id, now(), now(), decoded, computed, said)


@pytest.fixture
def serving(flights_copy: Path):
    with store.use(store.find_home(flights_copy / ".assay")) as opened:
        served = open_served(opened, champion(opened, "flight-delay"), rotate_s=600)
        takes = served.bundle.model.takes
        october = read("data/flights", takes, until="2013-10-09", last="5d")
        chosen = np.sort(np.random.default_rng(3).permutation(len(october))[:ROWS])
        names = [field.name for field in fields(takes)]
        rows = october.select(names).take(chosen).to_pylist()
        before = read("data/flights", takes, until="2013-10-09", last="7d").select(names).to_pylist()
        weather = {(row["origin"], row["scheduled"].replace(minute=0)): row for row in before}
        faulty = np.random.default_rng(4).permutation(ROWS)[: ROWS // 20].tolist()
        autumn = read("data/flights", takes, until="2014-01-01", last="91d").select(names).to_pylist()
        yield Serving(opened, served, rows, weather, autumn, faulty)


def times(column: str, factor: float) -> Callable[[Row], Row]:
    return lambda row: row | {column: row[column] * factor}


def clock(row: Row) -> Row:
    return row | {"scheduled": row["scheduled"] + timedelta(hours=5)}


def celsius(row: Row) -> Row:
    return row if row["temp"] is None else row | {"temp": (row["temp"] - 32) * 5 / 9}


def recoded(row: Row) -> Row:
    codes = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
    return row | {"carrier": codes[(codes.index(row["carrier"]) + 1) % len(codes)]}


def next_weekday(computed: dict[str, Array]) -> None:
    computed["weekday"] = (computed["weekday"] + 1) % 7


def findings(report: SkewReport) -> dict[tuple[str, str], set[str]]:
    return {(one.place, one.column): {request for request, _ in one.where} for one in report.findings}


def names(report: SkewReport, column: str) -> str:
    (found,) = [one for one in report.findings if one.column == column]
    assert found.unnamed == 0, found
    return "; ".join(shape.sentence for shape in found.shapes)


SIMPLE = {
    "miles to kilometres": (times("distance", 1.609344), "distance", ["1.609344", "miles sent as kilometres?"]),
    "clock +5 h": (clock, "scheduled", ["5h", "time zone?"]),
    "degrees F to C": (celsius, "temp", ["Fahrenheit", "Celsius"]),
    "a category recoded": (recoded, "carrier", ["UA sent as US", "recoded"]),
}


@pytest.mark.parametrize("fault", SIMPLE)
def test_a_fault_of_the_input_is_found_and_named(fault: str, serving: Serving) -> None:
    change, column, words = SIMPLE[fault]
    faulty = serving.send(change)
    report = find_skew(serving.opened, "flight-delay")
    assert len(faulty) >= 45
    assert findings(report) == {("input", column): faulty}
    for word in words:
        assert word in names(report, column)


def test_missing_sent_as_zero_is_found_and_named(serving: Serving) -> None:
    gaps = [row for row in serving.autumn if row["wind_speed"] is None]
    assert len(gaps) >= len(serving.faulty)
    for i, gap in zip(serving.faulty, gaps, strict=False):
        serving.rows[i] = gap
    faulty = serving.send(lambda row: row | {"wind_speed": 0.0})
    report = find_skew(serving.opened, "flight-delay")
    assert len(faulty) == ROWS // 20
    assert findings(report) == {("input", "wind_speed"): faulty}
    assert names(report, "wind_speed") == "missing sent as 0"


def test_weather_a_day_stale_is_found_and_named(serving: Serving) -> None:
    columns = ("temp", "wind_speed", "precip", "pressure", "visib")

    def stale(row: Row) -> Row:
        old = serving.weather.get((row["origin"], row["scheduled"].replace(minute=0) - timedelta(days=1)))
        return row if old is None else row | {column: old[column] for column in columns}

    faulty = serving.send(stale)
    report = find_skew(serving.opened, "flight-delay")
    found = findings(report)
    assert {place for place, _ in found} == {"input"}
    assert {column for _, column in found} <= set(columns)
    assert set().union(*found.values()) == faulty
    for column in ("temp", "wind_speed"):
        assert "the value of 24h before (same origin): stale look-up?" in names(report, column)


def test_a_feature_computed_otherwise_by_serving_is_found_and_named(serving: Serving) -> None:
    faulty = serving.send(lambda row: row, next_weekday)
    report = find_skew(serving.opened, "flight-delay")
    assert findings(report) == {("feature", "weekday"): faulty}
    assert names(report, "weekday") == "offset +1 modulo 7"


def test_rounding_to_float32_alone_is_no_finding_but_can_be_asked_for(serving: Serving) -> None:
    def float32(row: Row) -> Row:
        return {name: float(np.float32(value)) if isinstance(value, float) else value for name, value in row.items()}

    faulty = serving.send(float32)
    report = find_skew(serving.opened, "flight-delay")
    assert report.clean
    assert report.rounded == len(faulty) > 0
    assert not find_skew(serving.opened, "flight-delay", tolerance=0.0).clean


def test_a_prediction_that_is_not_the_models_is_found(serving: Serving) -> None:
    bundle = serving.served.bundle
    for i, row in enumerate(serving.rows):
        decoded = serving.served.decoder.decode(to_json(row)).rows
        computed = bundle.features(from_rows(decoded, bundle.model.takes))
        said = float(bundle.predict(computed)["probability"][0])
        serving.served.log.append(
            f"r{i}", now(), now(), decoded, computed, [[said / 2 if i in serving.faulty else said]]
        )
    report = find_skew(serving.opened, "flight-delay")
    assert findings(report) == {("prediction", "probability"): {f"r{i}" for i in serving.faulty}}
    assert "0.5" in names(report, "probability")


def test_clean_serving_is_clean_and_a_report_survives_json(serving: Serving) -> None:
    assert serving.send(lambda row: row) == set()
    report = find_skew(serving.opened, "flight-delay")
    assert (report.clean, report.rows, report.unknown_keys) == (True, ROWS, 0)
    assert msgspec.json.decode(msgspec.json.encode(report), type=SkewReport) == report
