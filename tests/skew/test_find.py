import numpy as np
import pyarrow as pa
import pytest

from assay.contract.columns import TEXT
from assay.profiles import profile
from assay.skew import SkewReport
from assay.skew.faults import Evidence, name_shapes
from assay.skew.find import _same_key, world
from assay.skew.render import _same


def hours(*counts: int) -> np.ndarray:
    return np.datetime64("2013-06-03", "us") + np.array(counts) * np.timedelta64(1, "h")


def test_of_two_rows_of_one_key_the_nearest_in_time_is_compared() -> None:
    keys, wanted = np.array(["a", "b", "a", "c"], TEXT), np.array(["a", "c", "a", "z"], TEXT)
    found = _same_key([keys], hours(0, 1, 24, 3), [wanted], hours(1, 9, 23, 0))
    assert found.tolist() == [0, 3, 2, -1]


@pytest.mark.parametrize(("table", "why"), [(None, "there is no table"), ("data", "no row has its key in data")])
def test_a_report_without_a_row_to_compare_does_not_claim_equal_inputs(table: str | None, why: str) -> None:
    report = SkewReport(
        model="m", rows=3, versions=[1], since=None, table=table, unknown_keys=3, findings=[], shifts=[]
    )
    assert (
        _same(report) == f"features and predictions equal those of the training code; inputs were not compared: {why}"
    )


def test_numbers_near_the_largest_are_looked_at_without_a_warning() -> None:
    expected = np.array([1e308, 1e306, 1e-308, 3.0])
    name_shapes(Evidence("x", expected, expected[::-1].copy(), "mi"))


def test_a_flag_that_became_common_has_moved_and_one_that_did_not_has_not() -> None:
    random = np.random.default_rng(1)
    rare, common, again = (
        profile(pa.table({"feature_flag": np.where(random.random(5_000) < share, 1.0, 0.0)}))
        for share in (0.03, 0.6, 0.03)
    )
    (shift,) = world(rare, common)
    assert shift.feature == "flag"
    assert shift.psi > 1 > shift.noise
    assert world(rare, again) == []


def test_spaces_are_not_called_case() -> None:
    expected = np.array([" EWR", " JFK", " LGA"], TEXT)
    (shape,) = name_shapes(Evidence("origin", expected, np.array(["EWR", "JFK", "LGA"], TEXT)))
    assert shape.sentence.startswith("only spaces differ")
