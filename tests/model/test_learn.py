"""What is learnt at training comes back in serving, and never from the batch."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from assay.contract import Columns
from assay.contract.formats.arrow import columns
from assay.errors import BadInput
from assay.model import train
from assay.store import Store

LEARNS = """
def learn(d):
    known = d.seats[~np.isnan(d.seats)]
    return {"seats": known.mean(), "zones": {"of": sorted(set(d.zone[d.zone == d.zone].tolist()))}, "edges": np.quantile(d.miles, [0.5, 0.9])}


def features(d, learnt):
    seats = assay.impute(d.seats, learnt["seats"])
    return {"seats": seats, "half": assay.bucket(d.miles, learnt["edges"]), "zone": d.zone, "miles": d.miles, **assay.one_hot(d.zone, learnt["zones"]["of"], name="zone")}
"""


@pytest.fixture
def learning(project: Callable[..., ModuleType], source: str) -> Any:
    text = source.replace("def fit(", f"{LEARNS}\n\ndef fit(").replace("fit=fit,", "fit=fit, learn=learn,")
    return project(learning=text).model


def test_a_mean_is_that_of_the_training_rows_in_serving_too(opened: Store, learning: Any, trips: pa.Table) -> None:
    bundle = train(learning, trips).open()
    seats = np.array([one for one in trips["seats"].to_pylist() if one is not None], float)
    assert bundle.facts.learnt["seats"] == seats.mean()
    assert bundle.facts.learnt["zones"] == {"of": ["north", "south"]}
    whole = columns(trips, learning.takes)
    together = bundle.features(whole)
    for row in range(0, 60, 7):
        alone = bundle.features(whole.take(np.array([row])))
        assert {name: column[0] for name, column in alone.items() if column.dtype.kind == "f"} == {
            name: column[row] for name, column in together.items() if column.dtype.kind == "f"
        }
    assert together["seats"][0] == seats.mean()
    assert set(together["half"]) == {0, 1, 2}


def test_features_can_not_change_what_was_learnt(opened: Store, learning: Any, trips: pa.Table) -> None:
    bundle = train(learning, trips).open()
    held = bundle.facts.learnt["seats"]

    def writes(_: Columns[Any], learnt: Any) -> dict[str, Any]:
        learnt["seats"] = 0.0
        return {}

    object.__setattr__(bundle.model, "features", writes)
    with pytest.raises(TypeError, match="does not support item assignment"):
        bundle.features(columns(trips, learning.takes))
    assert bundle.facts.learnt["seats"] == held


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("[1]", "learn\\(\\) gave a list"),
        ("{1: 2}", "gave a name that is a int"),
        ("{'a': {'b': np.nan}}", "gave nan for a.b"),
        ("{'a': [1, np.inf]}", "gave inf for a\\[1\\]"),
        ("{'a': fit}", "gave a function for a"),
        ("{'a': 1 << 70}", "Keep whole numbers below 2\\^63"),
        ("{'a': 'x' * (17 << 20)}", "takes 17 MiB"),
    ],
)
def test_what_can_not_be_kept_is_named(
    opened: Store, project: Callable[..., ModuleType], source: str, trips: pa.Table, given: str, words: str
) -> None:
    text = source.replace("features=features,", "features=lambda d, learnt: features(d), learn=learn,")
    module = project(odd=text.replace("model = ", f"def learn(d):\n    return {given}\n\n\nmodel = "))
    with pytest.raises(BadInput, match=words):
        train(module.model, trips)
