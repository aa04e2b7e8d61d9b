"""Encodings: exact, and the same bits for one row, for many and in another process."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.columns import TEXT, Array
from assay.errors import BadInput
from assay.model.encodings import bucket, cyclic, hashed, impute, one_hot

finite = st.floats(-1e6, 1e6)
numbers = st.lists(finite | st.just(math.nan), min_size=1, max_size=30).map(np.array)
texts = st.lists(st.text(max_size=5) | st.just(math.nan), min_size=1, max_size=30).map(lambda x: np.array(x, TEXT))


@given(numbers, st.floats(0.001, 1e6))
def test_cyclic_is_sine_and_cosine_of_the_angle(values: Array, period: float) -> None:
    sine, cosine = cyclic(values, period)
    angle = np.array([2 * math.pi * (math.fmod(value, period) / period) for value in values])
    np.testing.assert_allclose(sine, np.sin(angle), atol=2e-15)
    np.testing.assert_allclose(cosine, np.cos(angle), atol=2e-15)


def test_quarters_of_a_circle_are_exact_and_infinity_is_missing() -> None:
    sine, cosine = cyclic(np.array([0.0, 6, 12, 18, 24, -6, math.inf]), 24)
    assert sine[:6].tolist() == [0, 1, 0, -1, 0, -1]
    assert cosine[:6].tolist() == [1, 0, -1, 0, 1, 0]
    assert not np.signbit(sine[[0, 2, 4]]).any()
    assert np.isnan([sine[6], cosine[6]]).all()


@given(numbers, st.lists(finite, min_size=1, max_size=6, unique=True).map(sorted))
def test_a_bucket_counts_the_edges_at_or_below(values: Array, edges: list[float]) -> None:
    expected = [math.nan if math.isnan(value) else sum(edge <= value for edge in edges) for value in values]
    np.testing.assert_array_equal(bucket(values, edges), expected)


EACH: list[tuple[Callable[[Array], list[Array]], Any]] = [
    (lambda x: list(cyclic(x, 7)), numbers),
    (lambda x: [bucket(x, [0, 10])], numbers),
    (lambda x: [impute(x, 3.5)], numbers),
    (lambda x: [hashed(x, 1000)], texts),
    (lambda x: list(one_hot(x, ["", "a", "0"], name="x").values()), texts),
]


@pytest.mark.parametrize(("encode", "columns"), EACH)
@given(st.data())
def test_one_row_gets_the_bits_that_it_gets_among_many(encode: Any, columns: Any, data: st.DataObject) -> None:
    many = data.draw(columns)
    together = encode(many)
    alone = [encode(many[i : i + 1]) for i in range(len(many))]
    for place, column in enumerate(together):
        assert column.tobytes() == np.concatenate([one[place] for one in alone]).tobytes()


def test_a_hash_is_the_same_in_a_process_with_another_hash_seed() -> None:
    code = (
        "import numpy as np; from assay.contract.columns import TEXT; from assay.model.encodings import hashed;"
        "print(hashed(np.array(['N14228', '\u00e9', ''], dtype=TEXT), 1 << 40).tolist(), hashed(np.array([7]), 9).tolist())"
    )
    said = [
        subprocess.check_output([sys.executable, "-c", code], text=True, env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    first = hashed(np.array(["N14228", "\u00e9", ""], dtype=TEXT), 1 << 40).tolist()
    assert said == [f"{first} {hashed(np.array([7]), 9).tolist()}\n"] * 2
    assert hashed(np.array([7]), 1000) == hashed(np.array(["7"], dtype=TEXT), 1000)


def test_hashes_fill_their_buckets_evenly() -> None:
    found = hashed(np.array([f"N{number}" for number in range(20_000)], dtype=TEXT), 10)
    counts = np.bincount(found.astype(int), minlength=10)
    assert len(counts) == 10
    assert all(1_800 < count < 2_200 for count in counts)


def test_missing_and_unknown_values_have_no_indicator() -> None:
    found = one_hot(np.array(["a", "z", math.nan], dtype=TEXT), ["a", "b"], name="x")
    assert {name: column.tolist() for name, column in found.items()} == {"x_a": [1, 0, 0], "x_b": [0, 0, 0]}
    assert one_hot(np.array([1, 2]), [2], name="n")["n_2"].tolist() == [0, 1]
    assert one_hot(np.array([True, False]), [True], name="n")["n_True"].tolist() == [1, 0]


def test_impute_fills_what_is_missing_and_nothing_else() -> None:
    assert impute(np.array(["a", math.nan], dtype=TEXT), "?").tolist() == ["a", "?"]
    assert impute(np.array([1, 2]), 9).tolist() == [1, 2]
    assert impute(np.array([-0.0, math.nan, math.inf]), 9).tolist() == [0, 9, math.inf]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cyclic(np.array([1.0]), 0), "0 is not a period"),
        (lambda: cyclic(np.array([1.0]), math.nan), "nan is not a period"),
        (lambda: cyclic(np.array(["a"], dtype=TEXT), 7), "holds no numbers"),
        (lambda: bucket(np.array([1.0]), [2, 1]), "must rise"),
        (lambda: bucket(np.array([1.0]), [1, 1]), "must rise"),
        (lambda: bucket(np.array([1.0]), []), "must rise"),
        (lambda: bucket(np.array([1.0]), [math.nan]), "must rise"),
        (lambda: hashed(np.array([1.5]), 9), "float64 can't be hashed"),
        (lambda: hashed(np.array([1]), 0), "0 buckets are not possible"),
        (lambda: one_hot(np.array([1]), [], name="x"), "must be given"),
        (lambda: one_hot(np.array([1]), [1, 1], name="x"), "each once"),
        (lambda: one_hot(np.array([1]), ["1"], name="x"), "'1' can't be in a column of int64"),
        (lambda: impute(np.array([1.0]), math.nan), "nan can't stand"),
        (lambda: impute(np.array([1.0]), "a"), "'a' can't stand"),
        (lambda: impute(np.array(["NaT"], "datetime64[us]"), 1.0), "can't stand"),
    ],
)
def test_what_can_not_be_encoded_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        call()


def test_neighbours_on_the_circle_are_near() -> None:
    places = list(zip(*cyclic(np.arange(25.0), 24), strict=True))
    steps = [math.dist(a, b) for a, b in pairwise(places)]
    assert max(steps) - min(steps) < 1e-14
