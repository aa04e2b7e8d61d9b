"""Data that drifts as the real world does; `drifting.py` beside this file is imported by name."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

sys.path.insert(0, str(Path(__file__).parent))
FEATURES = [
    "carrier",
    "origin",
    "dest",
    "distance",
    "plane_year",
    "seats",
    "temp",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
    "hour",
    "minute",
    "weekday",
    "log_distance",
]


@pytest.fixture(scope="session")
def flights_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from assay.cli.flights_data import build

    folder = tmp_path_factory.mktemp("flights_data")
    build(folder)
    return folder


@pytest.fixture(scope="session")
def flight_weeks(flights_data: Path) -> list[pa.Table]:
    """The 52 whole weeks of 2013: fifteen features of each departure, of calendar, entity and weather."""
    from assay.model import hour, weekday

    rows = ds.dataset(flights_data / "flights").to_table()
    times = rows.column("scheduled").to_numpy().astype("datetime64[us]")
    local = {
        "hour": hour(times, tz="America/New_York"),
        "minute": (times.astype(np.int64) // 60_000_000 % 60).astype(float),
        "weekday": weekday(times, tz="America/New_York"),
        "log_distance": np.log1p(rows.column("distance").to_numpy()),
    }
    for name, column in local.items():
        rows = rows.append_column(name, pa.array(column))
    week = (times - times.min().astype("datetime64[D]")) // np.timedelta64(7, "D")
    rows = rows.select(FEATURES)
    return [rows.filter(pa.array(week == number)) for number in range(52)]
