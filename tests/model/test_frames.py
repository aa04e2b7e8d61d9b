"""Training and judging on frames."""

from types import ModuleType
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import assay
from assay.model import train


@pytest.mark.parametrize("form", ["pandas", "polars", "lazy"])
def test_a_frame_trains_the_model_that_its_table_trains(form: str, module: ModuleType, trips: pa.Table, opened) -> None:
    frame: Any = trips.to_pandas() if form == "pandas" else pl.from_arrow(trips)
    past, holdout = assay.split(frame.lazy() if form == "lazy" else frame, module.Trip, holdout="5d")
    frames = past.to_pandas() if form == "pandas" else pl.from_arrow(past)
    candidate = train(module.model, frames.lazy() if form == "lazy" else frames)
    expected = train(module.model, past)
    assert candidate.open().facts.rows == len(past)
    assert candidate.open().facts.trained_until == expected.open().facts.trained_until
    policy = assay.Policy("auc", margin=0.1, within=(0.5, 1))
    verdicts = [assay.bless(one, rows, policy) for one, rows in ((candidate, holdout.to_pandas()), (expected, holdout))]
    assert verdicts[0].scores == verdicts[1].scores
