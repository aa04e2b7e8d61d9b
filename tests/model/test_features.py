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


@pytest.mark.parametrize("known", [3, 40])
def test_many_texts_get_the_codes_that_each_gets_alone(known: int) -> None:
    random = np.random.default_rng(1)
    texts = [f"é{i}" for i in range(known)] + ["é1\0", "é", ""]
    column = np.array([np.nan if i == 0 else texts[i % len(texts)] for i in random.integers(0, 9_999, 3_000)], TEXT)
    codes = {"c": {value: float(i) for i, value in enumerate(texts[:known])}}
    together = encode({"c": column}, ["c"], codes).values
    alone = np.concatenate([encode({"c": column[i : i + 1]}, ["c"], codes).values for i in range(len(column))])
    np.testing.assert_array_equal(together, alone)
    assert np.isnan(together).any()


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
