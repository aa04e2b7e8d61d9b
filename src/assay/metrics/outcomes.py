"""Metrics of a decision: the class that was chosen, by a threshold on one probability or as the likeliest of many."""

from collections.abc import Callable

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.metrics.metric import Scored, Scorer, mean

#: From hits, true and chosen rows of each class, each of shape (b, k), to values of shape (b,).
_OfCounts = Callable[[Array, Array, Array], Array]


def check_labels(metric: str, rows: Scored) -> None:
    """Raise `BadInput` unless labels are 0 and 1, or positions of the k classes that are predicted."""
    count = rows.predicted.shape[1] if rows.predicted.ndim > 1 else 2
    odd = rows.label[~np.isin(rows.label, np.arange(count))]
    if len(odd):
        raise BadInput(
            f"{metric} needs labels 0 and 1" if count == 2 else f"{metric} needs labels 0 to {count - 1}",
            f"{len(odd):,} of {len(rows.label):,} are others, like {odd[0]:g}",
            do="Make the label true or false, or score with mae or rmse.",
        )


def chosen(metric: str, rows: Scored, threshold: float | None) -> Array:
    """The class of each row: 1 where the probability reaches the threshold (0.5), or the likeliest, the first of equals."""
    check_labels(metric, rows)
    if rows.predicted.ndim == 1:
        return (rows.predicted >= (0.5 if threshold is None else threshold)).astype(np.int64)
    if threshold is not None:
        raise BadInput(
            f"{metric}: {rows.predicted.shape[1]} classes have no threshold", do="Leave @ out: the likeliest is taken."
        )
    return rows.predicted.argmax(axis=1)


def accuracy(metric: str, threshold: float | None) -> Callable[[Scored], Scorer]:
    """The share of rows whose class was chosen."""

    def by_block(rows: Scored) -> Scorer:
        right = chosen(metric, rows, threshold) == rows.label
        return mean(rows, right.astype(float))

    return by_block


def of_counts(
    metric: str, threshold: float | None, value: _OfCounts, *, of_both: bool = False
) -> Callable[[Scored], Scorer]:
    """A metric of the counts of each class; of two classes that of the second, unless it is one `of_both`."""

    def by_block(rows: Scored) -> Scorer:
        said, label = chosen(metric, rows, threshold), rows.label.astype(np.int64)
        count = rows.predicted.shape[1] if rows.predicted.ndim > 1 else 2
        hits, true, claimed = (
            _by_class(rows, of, count, only) for of, only in ((label, said == label), (label, None), (said, None))
        )
        which = slice(None) if rows.predicted.ndim > 1 or of_both else slice(1, 2)
        return lambda weights: value(*((weights @ counts)[:, which] for counts in (hits, true, claimed)))

    return by_block


def _by_class(rows: Scored, classes: Array, count: int, only: Array | None) -> Array:
    weight = rows.weight if only is None else rows.weight * only
    at = rows.blocks * count + classes
    return np.bincount(at, weights=weight, minlength=rows.size * count).reshape(-1, count)


def _over_classes(values: Array, counted: Array) -> Array:
    """The mean over the classes that are counted."""
    with np.errstate(invalid="ignore"):
        return np.where(counted, values, 0).sum(axis=1) / counted.sum(axis=1)


def _divided(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def balanced_accuracy(hits: Array, true: Array, _: Array) -> Array:
    """The mean recall of the classes that occur.

    Source: Brodersen et al. (2010), The balanced accuracy and its posterior distribution, ICPR.
    """
    return _over_classes(_divided(hits, true), true > 0)


def precision(hits: Array, true: Array, claimed: Array) -> Array:
    """How many of the chosen rows are right; 0 where none was chosen; of many classes the mean."""
    return _macro(_divided(hits, claimed), true, claimed)


def recall(hits: Array, true: Array, claimed: Array) -> Array:
    """How many of the true rows were chosen; 0 where none is true; of many classes the mean."""
    return _macro(_divided(hits, true), true, claimed)


def f_beta(beta: float) -> _OfCounts:
    """The weighted harmonic mean of precision and recall, where recall counts `beta` times as much.

    Source: van Rijsbergen (1979), Information Retrieval, chapter 7.
    """
    return lambda hits, true, claimed: _macro(_divided((1 + beta**2) * hits, beta**2 * true + claimed), true, claimed)


def _macro(values: Array, true: Array, claimed: Array) -> Array:
    """Of one class its value, of many the mean over those that occur, as scikit-learn's `macro`."""
    if values.shape[1] == 1:
        return values[:, 0]
    return _over_classes(values, (true > 0) | (claimed > 0))


def cost(metric: str, false_alarm: float, miss: float) -> Callable[[Scored], Scorer]:
    """The mean cost of a row, decided at the threshold that is cheapest for true probabilities: alarm / (alarm + miss).

    Source: Elkan (2001), The Foundations of Cost-Sensitive Learning, IJCAI.
    """

    def by_block(rows: Scored) -> Scorer:
        if rows.predicted.ndim > 1:
            raise BadInput(f"{metric} judges two outcomes", do="Write a function of your own: assay.metric().")
        said = chosen(metric, rows, false_alarm / (false_alarm + miss))
        spent = np.where(said > rows.label, false_alarm, 0.0) + np.where(said < rows.label, miss, 0.0)
        return mean(rows, spent)

    return by_block
