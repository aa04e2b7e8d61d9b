"""How good predictions are, and how to score them again under resampled weights of blocks.

Every metric here is computed from a few sums for each block (or pair of blocks), so that a bootstrap over blocks
costs no further pass over the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput

#: From weights of shape (b, d), how often each of d blocks counts, to values of shape (b,).
Scorer = Callable[[Array], Array]
SMALLEST = 1e-15


@dataclass(frozen=True)
class Metric:
    """One way to score."""

    greater_is_better: bool
    #: From labels, predictions and block numbers 0..d-1, each of shape (n,), to the scorer of those d blocks.
    by_block: Callable[[Array, Array, Array], Scorer]


def score(metric: str, label: Array, predicted: Array) -> float:
    """The value of a metric over all rows; `label` and `predicted` of shape (n,).

    >>> score("auc", np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    blocks = np.zeros(len(label), dtype=np.int64)
    return float(scorer(metric, label, predicted, blocks)(np.ones((1, 1)))[0])


def scorer(metric: str, label: Array, predicted: Array, blocks: Array) -> Scorer:
    """The function from block weights of shape (b, d) to the metric's values of shape (b,).

    `blocks` numbers them 0 to d-1, none empty. Raises `BadInput` without rows and for labels that do not suit.
    """
    if len(label) == 0:
        raise BadInput("there are no rows to score", do="Take a longer holdout.")
    return METRICS[metric].by_block(label.astype(np.float64), predicted, blocks)


def _auc(label: Array, predicted: Array, blocks: Array) -> Scorer:
    """Area under the ROC curve: the share of pairs ranked right, ties counting half.

    Source: Hanley and McNeil (1982), The meaning and use of the area under a ROC curve, Radiology 143.
    """
    _need_outcomes("AUC", label)
    size = int(blocks.max()) + 1
    positive = label > 0
    if positive.all() or not positive.any():
        raise BadInput(
            "AUC needs both outcomes among the rows", f"all labels are {label[0]:g}", do="Take a longer holdout."
        )
    ups = [predicted[positive & (blocks == d)] for d in range(size)]
    downs = [np.sort(predicted[~positive & (blocks == d)]) for d in range(size)]
    right = np.array(
        [
            [(np.searchsorted(down, up, "left") + np.searchsorted(down, up, "right")).sum() / 2 for down in downs]
            for up in ups
        ]
    )
    up_count, down_count = (np.array([len(part) for part in parts], dtype=np.float64) for parts in (ups, downs))

    def value(weights: Array) -> Array:
        pairs = (weights @ up_count) * (weights @ down_count)
        with np.errstate(invalid="ignore"):
            return np.sum(weights @ right * weights, axis=1) / pairs

    return value


def _need_outcomes(metric: str, label: Array) -> None:
    odd = label[(label != 0) & (label != 1)]
    if len(odd):
        raise BadInput(
            f"{metric} needs labels 0 and 1",
            f"{len(odd):,} of {len(label):,} are others, like {odd[0]:g}",
            do="Make the label true or false, or score with mae or rmse.",
        )


def _mean(loss: Callable[[Array, Array], Array], after: Callable[[Array], Array] = lambda mean: mean):
    def by_block(label: Array, predicted: Array, blocks: Array) -> Scorer:
        sums = np.bincount(blocks, weights=loss(label, predicted))
        counts = np.bincount(blocks).astype(np.float64)
        return lambda weights: after((weights @ sums) / (weights @ counts))

    return by_block


def _log_loss(label: Array, predicted: Array) -> Array:
    _need_outcomes("log_loss", label)
    p = np.clip(predicted, SMALLEST, 1 - SMALLEST)
    return -(label * np.log(p) + (1 - label) * np.log1p(-p))


def _brier(label: Array, predicted: Array) -> Array:
    _need_outcomes("brier", label)
    return (predicted - label) ** 2


METRICS: dict[str, Metric] = {
    "auc": Metric(greater_is_better=True, by_block=_auc),
    "log_loss": Metric(greater_is_better=False, by_block=_mean(_log_loss)),
    "brier": Metric(greater_is_better=False, by_block=_mean(_brier)),
    "mae": Metric(greater_is_better=False, by_block=_mean(lambda y, p: np.abs(p - y))),
    "rmse": Metric(greater_is_better=False, by_block=_mean(lambda y, p: (p - y) ** 2, np.sqrt)),
}
