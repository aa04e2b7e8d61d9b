"""The same rules, unchanged, on data that they were not made on: a year of hourly bike rentals, 168 rows a week."""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pytest
from drifting import Fault, found_in, lost, numbers, renamed, stuck

from assay.profiles import HISTORY, profile, replay

FEATURES = [
    "season",
    "mnth",
    "hr",
    "holiday",
    "weekday",
    "workingday",
    "weathersit",
    "temp",
    "atemp",
    "hum",
    "windspeed",
]
LABELS_OF_THE_SEASON = {"season", "mnth"}
JUDGED = range(HISTORY, 52)


@pytest.fixture(scope="module")
def bike_weeks() -> list[pa.Table]:
    spec = importlib.util.find_spec("ISLP")  # located, not imported: it would load PyTorch
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("MISSING: ISLP's Bikeshare. Run: make parts")
    file = Path(spec.submodule_search_locations[0]) / "data" / "Bikeshare.csv"
    rows = csv.read_csv(file, convert_options=csv.ConvertOptions(column_types={"hr": pa.float64()}))
    week = (rows.column("day").to_numpy() - 1) // 7
    return [rows.select(FEATURES).filter(pa.array(week == number)) for number in range(52)]


def test_one_healthy_feature_week_in_twenty_five_warns_and_most_of_those_name_the_new_season(
    bike_weeks: list[pa.Table],
) -> None:
    said = replay(map(profile, bike_weeks))
    wrong = {(week, shift.column) for week, shifts in enumerate(said) for shift in shifts}
    labels = {one for one in wrong if one[1] in LABELS_OF_THE_SEASON}
    assert len(wrong) / (len(JUDGED) * len(FEATURES)) < 0.04  # measured: 18 of 484
    assert len(wrong - labels) / (len(JUDGED) * (len(FEATURES) - 2)) <= 0.02  # measured: at most 7 of 396


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        pytest.param("temp", numbers(lambda x: 47 * x - 8), id="degrees for the scaled temperature"),
        pytest.param("hum", numbers(lambda x: 100 * x), id="percent for a share"),
        pytest.param("weathersit", renamed("clear", "sunny"), id="a category renamed"),
        pytest.param("workingday", numbers(lambda x: np.where(np.arange(len(x)) % 2, 0, x)), id="half of a flag lost"),
        pytest.param("temp", numbers(stuck), id="a stuck sensor"),
        pytest.param("hum", numbers(stuck), id="another stuck sensor"),
    ],
)
def test_a_strong_fault_is_found_in_every_week(bike_weeks: list[pa.Table], column: str, fault: Fault) -> None:
    assert found_in(bike_weeks, column, fault) == list(JUDGED)


@pytest.mark.parametrize(
    ("column", "fault", "at_most"),
    [
        pytest.param("hr", numbers(lambda x: (x + 1) % 24), 0, id="every hour is as frequent as the next"),
        pytest.param("hum", lost(20), 25, id="eight lost values of 168 are within chance"),
        pytest.param("windspeed", numbers(lambda x: x * 1.609344), 30, id="wind moves as much by itself"),
    ],
)
def test_what_the_rules_can_not_see_is_known(
    bike_weeks: list[pa.Table], column: str, fault: Fault, at_most: int
) -> None:
    assert len(found_in(bike_weeks, column, fault)) <= at_most
