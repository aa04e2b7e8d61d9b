"""The rules on the year of flights that they were made on: 44 weeks with enough history, fifteen features."""

import numpy as np
import pyarrow as pa
import pytest
from drifting import Fault, found_in, half, lost, numbers, renamed, stuck

from assay.profiles import HISTORY, profile, replay


def test_at_most_two_percent_of_the_healthy_feature_weeks_warn(flight_weeks: list[pa.Table]) -> None:
    said = replay(map(profile, flight_weeks))
    wrong = {(week, shift.column) for week, shifts in enumerate(said) for shift in shifts}
    judged = (len(flight_weeks) - HISTORY) * len(flight_weeks[0].column_names)
    assert judged == 660
    assert len(wrong) / judged <= 0.02


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        pytest.param("temp", numbers(lambda x: (x - 32) / 1.8), id="Celsius for Fahrenheit"),
        pytest.param("seats", lost(20), id="5 % more nulls"),
        pytest.param("hour", numbers(lambda x: (x + 1) % 24), id="another time zone"),
        pytest.param("distance", numbers(lambda x: x * 1.609344), id="kilometres for miles"),
        pytest.param("carrier", renamed("UA", "United"), id="a category renamed"),
        pytest.param("origin", half("JFK", "EWR"), id="half of JFK as EWR"),
        pytest.param("seats", numbers(np.nan_to_num), id="nulls as zero"),
        pytest.param("temp", numbers(stuck), id="a stuck sensor"),
    ],
)
def test_a_strong_fault_is_found_in_every_week(flight_weeks: list[pa.Table], column: str, fault: Fault) -> None:
    assert found_in(flight_weeks, column, fault) == list(range(HISTORY, 52))


def test_psi_alone_misses_five_percent_more_nulls(flight_weeks: list[pa.Table]) -> None:
    from assay.profiles import distances, merge

    before = merge(map(profile, flight_weeks[20:28])).columns["seats"]
    broken = profile(pa.table({"seats": lost(20)(flight_weeks[28].column("seats"))})).columns["seats"]
    assert distances(before, broken).psi < 0.1
