"""Predictions outside of their contract: refused, clipped or allowed, row by row."""

import math
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assay
from assay.blessing.judge import output_warnings
from assay.contract import Field, between
from assay.errors import BadInput
from assay.model.settled import settle


@given(st.lists(st.floats(), min_size=1), st.sampled_from(["refuse", "clip", "allow"]))
def test_every_row_is_settled_alone(values: list[float], how: Any) -> None:
    output = Field("y", float, range=between(-1, 2.5, outside=how))
    settled = settle([output], {"y": np.array(values)})
    for i, value in enumerate(values):
        inside, finite = -1 <= value <= 2.5, math.isfinite(value)
        assert bool(settled.outside[i]) is (finite and not inside)
        assert bool(settled.refused[i]) is (not finite or (how == "refuse" and not inside))
        if finite:
            assert settled.values["y"][i] == (min(max(value, -1), 2.5) if how == "clip" else value)


def test_without_a_range_only_what_is_no_number_is_refused() -> None:
    settled = settle([Field("y", float)], {"y": np.array([1e300, math.nan])})
    assert settled.refused.tolist() == [False, True]
    assert not settled.outside.any()


@given(st.lists(st.floats(), min_size=1, max_size=40))
def test_it_is_said_when_all_is_allowed(values: list[float]) -> None:
    for output in (Field("y", float), Field("y", float, range=between(0, 1, outside="clip"))):
        settled = settle([output], {"y": np.array(values)})
        assert not settled.all_allowed or not (settled.refused.any() or settled.outside.any())
        assert settle([output], {"y": np.array([0.5, 0.0, 1.0])}).all_allowed


def test_another_word_and_an_input_are_refused() -> None:
    with pytest.raises(BadInput, match=r"between\(\) has no outside='drop'"):
        between(0, 1, outside="drop")  # pyright: ignore[reportArgumentType]

    class In(assay.Record):
        key: assay.Key[str]
        at: assay.EventTime
        x: Annotated[float, between(0, 1, outside="clip")]

    class Out(assay.Record):
        y: float

    with pytest.raises(BadInput, match=r"In.x is an input, and outside= is for the output"):
        assay.Model("m", takes=In, gives=Out, label="label", features=lambda d: {}, fit=lambda x, y: None)


@pytest.mark.parametrize(("how", "words"), [("refuse", "refuses these rows"), ("clip", "clips them")])
def test_blessing_reports_the_share_of_rows_and_what_serving_does(how: Any, words: str) -> None:
    output = Field("y", float, range=between(0, 1, outside=how))
    (said,) = output_warnings(settle([output], {"y": np.array([0.5, -0.3, 0.2, 0.1])}))
    assert said == f"1 of 4 predictions (25.00%), like -0.3, are not a number, 0 to 1: serving {words}"
