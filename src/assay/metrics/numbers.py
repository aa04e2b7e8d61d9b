"""Metrics of predicted numbers: errors and deviances."""

from collections.abc import Callable

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.metrics.metric import Scored, Scorer, mean

#: From labels and predictions of shape (n,) to losses of shape (n,).
Loss = Callable[[Array, Array], Array]


def mean_of(loss: Loss) -> Callable[[Scored], Scorer]:
    """The mean of a loss over the rows."""
    return lambda rows: mean(rows, loss(rows.label, rows.predicted))


def absolute(label: Array, predicted: Array) -> Array:
    """|p - y|."""
    return np.abs(predicted - label)


def squared(label: Array, predicted: Array) -> Array:
    """(p - y)^2."""
    return (predicted - label) ** 2


def root_mean_squared(rows: Scored) -> Scorer:
    """The root of the mean squared error."""
    of_mean = mean(rows, squared(rows.label, rows.predicted))
    return lambda weights: np.sqrt(of_mean(weights))


def percentage(label: Array, predicted: Array) -> Array:
    """|p - y| / |y|; a label of 0 counts as the smallest step of a double, as in scikit-learn."""
    return np.abs(predicted - label) / np.maximum(np.abs(label), np.finfo(np.float64).eps)


def symmetric_percentage(label: Array, predicted: Array) -> Array:
    """2 |p - y| / (|y| + |p|), and 0 where both are 0; from 0 to 2.

    Source: Makridakis (1993), Accuracy measures: theoretical and practical concerns, Int. J. of Forecasting 9.
    """
    both = np.abs(label) + np.abs(predicted)
    return np.divide(2 * np.abs(predicted - label), both, out=np.zeros(len(label)), where=both > 0)


def r2(rows: Scored) -> Scorer:
    """The share of the label's variance that is explained: 1 - SSE / SST; of a constant label 1 or 0, as in scikit-learn."""
    centred = rows.label - np.average(rows.label, weights=rows.weight)  # or the sums of squares lose their digits
    count, total, squares = (rows.sum(centred**power) for power in range(3))
    wrong = rows.sum(squared(rows.label, rows.predicted))
    constant = np.finfo(np.float64).eps * float(squares.sum())

    def value(weights: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            around = weights @ squares - (weights @ total) ** 2 / (weights @ count)
            missed = weights @ wrong
            return np.where(around <= constant, (missed <= constant).astype(float), 1 - missed / around)

    return value


def pinball(level: float) -> Loss:
    """The loss of a predicted quantile: level * (y - p) where y lies above p, else (1 - level) * (p - y).

    Source: Koenker and Bassett (1978), Regression Quantiles, Econometrica 46.
    """
    return lambda label, predicted: np.maximum(level * (label - predicted), (level - 1) * (label - predicted))


def tweedie(power: float) -> Loss:
    """The unit deviance of a Tweedie distribution: 0 normal, 1 Poisson, 2 gamma, between them counts of gammas.

    Source: Jorgensen (1997), The Theory of Dispersion Models, chapter 4.
    """

    def deviance(label: Array, predicted: Array) -> Array:
        _need_domain(power, label, predicted)
        y, p = label, predicted
        if power == 0:
            return (y - p) ** 2
        if power == 1:
            return 2 * (_x_log_x_over(y, p) - y + p)
        if power == 2:
            return 2 * (np.log(p / y) + y / p - 1)
        return 2 * (
            np.maximum(y, 0) ** (2 - power) / ((1 - power) * (2 - power))
            - y * p ** (1 - power) / (1 - power)
            + p ** (2 - power) / (2 - power)
        )

    return deviance


def _x_log_x_over(x: Array, y: Array) -> Array:
    return np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, x) / y))


def _need_domain(power: float, label: Array, predicted: Array) -> None:
    if power == 0:
        return
    for what, values, odd in (
        ("predictions", predicted, predicted <= 0),
        ("labels", label, label < 0 if 1 <= power < 2 else label <= 0 if power >= 2 else np.zeros(len(label), bool)),
    ):
        if odd.any():
            rule = "of 0 or more" if what == "labels" and power < 2 else "above 0"
            raise BadInput(
                f"a Tweedie deviance of power {power:g} needs {what} {rule}",
                f"{int(odd.sum()):,} of {len(values):,} are not, like {values[odd][0]:g}",
                do="Let the model predict positive numbers, or score with mae or rmse.",
            )
