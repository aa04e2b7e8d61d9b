"""Scores rows by a metric, all at once or under other weights of blocks."""

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.metrics.metric import Metric, Scored, Scorer
from assay.metrics.names import find


def scorer(
    metric: Metric | str,
    label: Array,
    predicted: Array,
    blocks: Array,
    weight: Array | None = None,
    group: Array | None = None,
) -> Scorer:
    """The function from block weights of shape (b, d) to the metric's values of shape (b,).

    A metric is named, or made by `assay.metric`. The arrays are those of `Scored`; without `weight` each row counts once. Raises `BadInput` without rows, for labels
    or predictions that do not suit the metric, and for weights that are negative or sum to 0.
    """
    metric = find(metric) if isinstance(metric, str) else metric
    if len(label) == 0:
        raise BadInput("there are no rows to score", do="Use a longer holdout.")
    weight = np.ones(len(label)) if weight is None else weight.astype(np.float64)
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise BadInput("weights must be numbers of 0 or more, not all of them 0", do="Correct the column of weights.")
    if predicted.ndim > 1 and metric.task not in ("outcome", "decision"):
        raise BadInput(
            f"{metric.name} scores one number a row, and {predicted.shape[1]} are predicted",
            do="Use a metric of classes, like log_loss or accuracy.",
        )
    return metric.by_block(Scored(label.astype(np.float64), predicted, weight, blocks, group))


def score(
    metric: Metric | str, label: Array, predicted: Array, weight: Array | None = None, group: Array | None = None
) -> float:
    """The value of a metric over all rows. Raises as `scorer` does.

    >>> score("auc", np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    blocks = np.zeros(len(label), dtype=np.int64)
    return float(scorer(metric, label, predicted, blocks, weight, group)(np.ones((1, 1)))[0])
