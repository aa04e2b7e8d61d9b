"""What matters is found, and noise is not."""

import random
from pathlib import Path

import pytest

from assay.errors import BadInput
from assay.store import Store, find_home
from assay.track import begin_run, find_runs
from assay.track.find import RunRow
from assay.track.importance import importance
from assay.track.outbox import outbox


def runs(count: int, seed: int, *, effect: bool, store: Store) -> list[RunRow]:
    chance = random.Random(seed)
    for i in range(count):
        run = begin_run(store, f"s{seed}")
        leaves, rate, kind = chance.choice([7, 15, 31]), 10 ** chance.uniform(-3, 0), chance.choice("ab")
        run.log_params({"leaves": leaves, "rate": rate, "kind": kind, "same": 1, "number": i})
        run.log_metric("auc", chance.gauss() * 0.01 + (0.1 * (kind == "a") + rate * 0.02 if effect else 0))
        run.log_metric("late", float("nan") if i % 2 else 1.0)
    outbox(store).flush()
    return find_runs(store, name=f"s{seed}", limit=1000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(find_home(tmp_path / ".assay"))


def test_the_parameter_that_matters_comes_first(store: Store) -> None:
    found = importance(runs(40, 1, effect=True, store=store), "auc", highest=True)
    assert found[0].name == "kind"
    assert found[0].share > 0.6
    assert found[0].best == "a"
    assert "same" not in [one.name for one in found]  # it does not differ
    assert next(one.share for one in found if one.name == "leaves") < 0.1


def test_noise_has_no_importance(store: Store) -> None:
    false = total = 0
    for seed in range(2, 12):
        found = importance(runs(20, seed, effect=False, store=store), "auc", highest=True)
        false += sum(one.share > 0 for one in found)
        total += len(found)
    assert false <= total * 0.15


def test_too_few_runs_say_nothing(store: Store) -> None:
    with pytest.raises(BadInput, match="6 of the 12 runs have a finite late"):
        importance(runs(12, 99, effect=True, store=store), "late", highest=True)
