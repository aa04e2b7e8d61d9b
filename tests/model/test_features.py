"""Features are the same for one row and for many."""

from types import SimpleNamespace

import numpy as np
import pytest

from assay.contract import Columns
from assay.contract.columns import TEXT
from assay.errors import BadInput
from assay.model.features import compute, encode, learn_categories


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
    model = SimpleNamespace(name="m", learn=None, features=lambda _: given_)
    with pytest.raises(BadInput, match=words):
        compute(model, Columns({"a": np.zeros(3)}), {})  # pyright: ignore[reportArgumentType]
