"""Metrics of probabilities: how much was believed in what happened."""

from collections.abc import Callable

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.metrics.metric import Scored, Scorer, mean
from assay.metrics.outcomes import check_labels

#: A probability of 0 counts as this one, as in scikit-learn.
SMALLEST = float(np.finfo(np.float64).eps)
#: How far a sum of probabilities may lie from 1: those of many classes are rounded to float32.
_ROUNDING = 1e-5


def _check(metric: str, rows: Scored) -> None:
    check_labels(metric, rows)
    odd = rows.predicted[~((rows.predicted >= 0) & (rows.predicted <= 1))]
    if len(odd):
        raise BadInput(
            f"{metric} needs probabilities",
            f"{len(odd):,} predictions lie outside of 0 to 1, like {odd[0]:g}",
            do="Let fit() give a classifier, or score with auc or rmse.",
        )
    if rows.predicted.ndim > 1:
        sums = rows.predicted.sum(axis=1)
        off = np.abs(sums - 1) > _ROUNDING
        if off.any():
            raise BadInput(
                f"{metric} needs probabilities that sum to 1",
                f"those of {int(off.sum()):,} of {len(sums):,} rows do not: {sums[off][0]:g}",
                do="Normalise them, or score with accuracy.",
            )


def mean_of(metric: str, loss: Callable[[Array, Array], Array]) -> Callable[[Scored], Scorer]:
    """The mean of a loss of labels and probabilities."""

    def by_block(rows: Scored) -> Scorer:
        _check(metric, rows)
        return mean(rows, loss(rows.label, rows.predicted))

    return by_block


def log_loss(label: Array, predicted: Array) -> Array:
    """-log of the probability of what happened.

    Source: Good (1952), Rational Decisions, J. Royal Statistical Society B 14.
    """
    if predicted.ndim > 1:
        p = np.take_along_axis(predicted, label.astype(np.int64)[:, None], axis=1)[:, 0]
        return -np.log(np.clip(p, SMALLEST, 1 - SMALLEST))
    p = np.clip(predicted, SMALLEST, 1 - SMALLEST)
    return -(label * np.log(p) + (1 - label) * np.log1p(-p))


def brier(label: Array, predicted: Array) -> Array:
    """The squared distance of the probability from what happened; of many classes summed over them.

    Source: Brier (1950), Verification of forecasts expressed in terms of probability, Monthly Weather Review 78.
    """
    if predicted.ndim == 1:
        return (predicted - label) ** 2
    happened = label[:, None] == np.arange(predicted.shape[1])
    return ((predicted - happened) ** 2).sum(axis=1)


def calibration_error(metric: str, bins: int) -> Callable[[Scored], Scorer]:
    """The mean distance between probability and frequency over `bins` of equal width; of many classes of the likeliest.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks, ICML, equation 3.
    """

    def by_block(rows: Scored) -> Scorer:
        _check(metric, rows)
        if rows.predicted.ndim > 1:
            believed, happened = rows.predicted.max(axis=1), rows.predicted.argmax(axis=1) == rows.label
        else:
            believed, happened = rows.predicted, rows.label
        which = np.minimum((believed * bins).astype(np.int64), bins - 1)
        off = rows.weight * (happened - believed)
        sums = np.bincount(rows.blocks * bins + which, weights=off, minlength=rows.size * bins).reshape(-1, bins)
        counts = rows.sum(np.ones(len(believed)))

        def value(weights: Array) -> Array:
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.abs(weights @ sums).sum(axis=1) / (weights @ counts)

        return value

    return by_block
