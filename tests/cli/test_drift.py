"""`assay drift` as its user calls it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay import store
from assay.contract.decode import to_json
from assay.drift.find import profile_days
from assay.profiles.profile_rows import kept, kept_rows
from assay.serve.answer import answer, open_served
from assay.track import champion

Run = Callable[..., object]


@pytest.fixture
def weeks(project: Path) -> str:
    """Ten weeks; in the last one a sensor is stuck."""
    values = np.random.default_rng(1).normal(20, 3, 1_680)
    values[-168:] = 21.5
    first = datetime(2013, 1, 1, tzinfo=UTC)
    times = pa.array([first + timedelta(hours=hour) for hour in range(1_680)], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"at": times, "temp": values}), project / "weather.parquet")
    return "weather.parquet"


def test_drift_of_a_table_warns_and_ends_well(assay: Run, weeks: str) -> None:
    said = assay("drift", weeks, "--time", "at")
    assert said.code == 0
    assert said.out.startswith("DRIFT  weather.parquet  2 windows judged, the first on 2013-02-26")
    assert "every value is 21.5" in said.out


def test_drift_as_json_and_as_a_page(assay: Run, weeks: str) -> None:
    said = assay("drift", weeks, "--time", "at", "--json", "--html", "drift.html")
    found = json.loads(said.out)
    assert [window["rows"] for window in found["windows"]] == [168] * 10
    assert {shift["column"] for shift in found["windows"][-1]["shifts"]} == {"temp"}
    assert Path("drift.html").read_text().startswith("<!doctype html>")


def test_drift_is_silent_until_there_is_enough_history(assay: Run, weeks: str) -> None:
    said = assay("drift", weeks, "--time", "at", "--since", "2013-01-15")
    assert said.code == 0
    assert said.out.startswith("weather.parquet: too few windows; there are 8 whole windows")


def test_a_table_without_its_time_is_wrong_use(assay: Run, weeks: str) -> None:
    said = assay("drift", weeks)
    assert said.code == 2
    assert "give its time column with --time" in said.err


def test_drift_of_a_model_keeps_the_profile_of_each_day_once(assay: Run, published: Path) -> None:
    with store.use(store.find_home(published / ".assay")) as opened:
        version = champion(opened, "long-trip")
        trained = kept(opened, "long-trip", "trained", version=version.version)[(version.version, "")]
        assert {"input_miles", "feature_hour", "prediction_probability", "label"} <= set(trained.columns)
        served = open_served(opened, version, rotate_s=60)
        for i in range(3):
            row = {"trip": f"s{i}", "start": f"2013-02-0{1 + i // 2}T10:00:00Z", "zone": "north", "miles": 7.0}
            answer(served, to_json(row), f"r{i}")
        assert profile_days(opened, "long-trip") == 2
        assert profile_days(opened, "long-trip") == 0
        answer(served, to_json({"trip": "s9", "start": "2013-02-02T10:00:00Z", "zone": "south", "miles": 7.0}), "r9")
        assert profile_days(opened, "long-trip") == 1
        days = kept_rows(opened, "long-trip", "served")
        assert days == {(version.version, "2013-02-01"): 2, (version.version, "2013-02-02"): 2}
        served.log.close()
    said = assay("drift", "long-trip", "--every", "1d")
    assert said.code == 0
    assert said.out.startswith("long-trip: too few windows; there are 2 whole windows")
    assert assay("drift", "long-tripp").code == 2
