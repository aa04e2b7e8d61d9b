"""Scores are scikit-learn's, and by block those of the repeated rows."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from assay.errors import BadInput
from assay.model.score import METRICS, score, scorer

THEIRS = {
    "auc": metrics.roc_auc_score,
    "log_loss": lambda y, p: metrics.log_loss(y, p, labels=[0, 1]),
    "brier": metrics.brier_score_loss,
    "mae": metrics.mean_absolute_error,
    "rmse": metrics.root_mean_squared_error,
}
rows = st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.integers(0, 3)), min_size=4, max_size=60)


def columns(drawn: list[tuple[bool, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    label = np.array([row[0] for row in drawn], dtype=float)
    assume(0 < label.sum() < len(label))
    _, blocks = np.unique([row[2] for row in drawn], return_inverse=True)
    return label, np.array([row[1] / 10 for row in drawn]), blocks  # tenths: many ties


@pytest.mark.parametrize("metric", METRICS)
@given(rows)
def test_a_score_is_scikit_learns(metric: str, drawn: list[tuple[bool, int, int]]) -> None:
    label, predicted, _ = columns(drawn)
    assert score(metric, label, predicted) == pytest.approx(THEIRS[metric](label, predicted), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@given(rows, st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_weighing_blocks_is_repeating_their_rows(
    metric: str, drawn: list[tuple[bool, int, int]], times: list[int]
) -> None:
    label, predicted, blocks = columns(drawn)
    weights = np.array(times[: blocks.max() + 1], dtype=float)
    repeated = np.repeat(np.arange(len(label)), weights[blocks].astype(int))
    by_block = scorer(metric, label, predicted, blocks)(weights[None, :])[0]
    assert by_block == pytest.approx(score(metric, label[repeated], predicted[repeated]), abs=1e-12)


def test_one_outcome_has_no_auc() -> None:
    with pytest.raises(BadInput, match="AUC needs both outcomes"):
        score("auc", np.ones(3), np.ones(3))
    with pytest.raises(BadInput, match="no rows to score"):
        score("mae", np.ones(0), np.ones(0))
