"""Features are the same for one row and for many."""

from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract import Columns
from assay.contract.columns import TEXT
from assay.errors import BadInput
from assay.model.features import compute, encode, hour, learn_categories, month, weekday

ZONES = ["America/New_York", "UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/London"]
times = st.lists(
    st.integers(800_000_000, 2_200_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)), min_size=1, max_size=20
)


@pytest.mark.parametrize("zone", ZONES)
@given(times)
def test_calendar_features_are_those_of_the_wall_clock(zone: str, moments: list[datetime]) -> None:
    column = np.array([moment.replace(tzinfo=None) for moment in moments], dtype="datetime64[us]")
    local = [moment.astimezone(ZoneInfo(zone)) for moment in moments]
    for feature, expected in (
        (hour, [at.hour for at in local]),
        (weekday, [at.weekday() for at in local]),
        (month, [at.month for at in local]),
    ):
        assert feature(column, tz=zone).tolist() == expected
        alone = [feature(column[i : i + 1], tz=zone)[0] for i in range(len(column))]
        assert alone == expected


def test_a_missing_time_has_no_hour() -> None:
    missing = np.array(["NaT"], dtype="datetime64[us]")
    assert np.isnan(hour(missing, tz="America/New_York")).all()
    with pytest.raises(BadInput, match="is not a time zone"):
        hour(np.array([0], dtype="datetime64[us]"), tz="America/New_Yorck")


def test_an_unseen_and_a_missing_category_have_no_code() -> None:
    column = np.array(["b", "a", np.nan, "z"], dtype=TEXT)
    learnt = learn_categories({"c": column[:3], "x": np.zeros(3)})
    assert learnt == {"c": ["a", "b"]}
    codes = {"c": {value: float(i) for i, value in enumerate(learnt["c"])}}
    matrix = encode({"c": column, "x": np.arange(4.0)}, ["x", "c"], codes)
    assert matrix.categorical == [1]
    np.testing.assert_array_equal(matrix.values, [[0, 1], [1, 0], [2, np.nan], [3, np.nan]])


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ([1, 2], "Return a dict of numpy columns"),
        ({"x": np.zeros(2)}, "feature x has shape \\(2,\\) for 3 rows"),
        ({"x": 1.0}, "feature x has shape \\(\\) for 3 rows"),
        ({"x": np.zeros(3, dtype="datetime64[us]")}, "feature x is datetime64"),
    ],
)
def test_what_is_no_feature_is_refused_by_name(given_: object, words: str) -> None:
    model = SimpleNamespace(name="m", features=lambda _: given_)
    with pytest.raises(BadInput, match=words):
        compute(model, Columns({"a": np.zeros(3)}))  # pyright: ignore[reportArgumentType]
