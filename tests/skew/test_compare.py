import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.columns import TEXT
from assay.skew.compare import differs, rounded, ulps

NAN = float("nan")


def test_rounding_to_float32_is_a_difference_only_when_asked_for():
    expected = np.array([0.1, 0.5, 1e-20, 3e30])
    served = expected.astype(np.float32).astype(np.float64)
    assert not differs(expected, served).any()
    assert differs(expected, served, tolerance=0.0).tolist() == [True, False, True, True]
    assert rounded(expected, served).tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        (np.array([1.0]), np.array([NAN])),
        (np.array(["a"], dtype=TEXT), np.array([NAN], dtype=TEXT)),
        (np.array(["2013-01-01"], "datetime64[us]"), np.array(["NaT"], "datetime64[us]")),
        (np.array(["2013-01-01"], "datetime64[D]"), np.array(["NaT"], "datetime64[D]")),
    ],
)
def test_missing_equals_missing_and_nothing_else(present, missing):
    assert not differs(missing, missing).any()
    assert not differs(present, present).any()
    assert differs(present, missing).all()
    assert differs(missing, present).all()


def test_texts_and_times_are_compared_exactly():
    texts = np.array(["UA", "ua", ""], dtype=TEXT), np.array(["UA", "UA", " "], dtype=TEXT)
    assert differs(*texts).tolist() == [False, True, True]
    times = np.array(["2013-01-01T00:00:00.000000"] * 2, "datetime64[us]"), np.array([0, 1], "timedelta64[us]")
    assert differs(times[0], times[0] + times[1]).tolist() == [False, True]


def test_whole_numbers_and_truths_are_compared_with_their_nullable_form():
    assert differs(np.array([1, 2]), np.array([1.0, NAN])).tolist() == [False, True]
    assert differs(np.array([True, False]), np.array([1.0, 1.0])).tolist() == [False, True]


def test_infinity_equals_only_itself():
    expected, served = np.array([np.inf, np.inf, 1.0]), np.array([np.inf, 1.0, -np.inf])
    assert differs(expected, served).tolist() == [False, True, True]


def test_no_rows_have_no_difference():
    assert differs(np.array([]), np.array([])).tolist() == []


@given(st.lists(st.floats(width=64), min_size=1))
def test_a_column_never_differs_from_itself(values):
    column = np.array(values)
    assert not differs(column, column, tolerance=0.0).any()
    assert not rounded(column, column).any()
    assert ulps(column, column.copy()) == 0 or np.isnan(column).any()


@given(st.floats(allow_nan=False, allow_infinity=False, max_value=1e308))
def test_neighbouring_floats_are_one_ulp_apart(value):
    assert ulps(np.array([value]), np.nextafter(np.array([value]), np.inf)) == 1


def test_the_largest_distance_counts_across_zero_and_against_missing():
    tiny = np.nextafter(0.0, 1.0)
    assert ulps(np.array([1.0, -tiny]), np.array([1.0, tiny])) == 2
    assert ulps(np.array([0.0]), np.array([-0.0])) == 0
    assert ulps(np.array([1.0]), np.array([NAN])) > 2**50
    assert ulps(np.array([]), np.array([])) == 0


def test_whole_numbers_must_be_equal_however_large() -> None:
    a, b = np.array([20_000_000, 2**60]), np.array([20_000_001, 2**60 + 1])
    assert differs(a, b).tolist() == [True, True]


def test_ulps_of_whole_numbers_are_those_of_their_floats() -> None:
    assert ulps(np.array([1]), np.array([2])) > 2**50
