"""The names of metrics, with their parameters: `f2`, `recall@0.3`, `pinball@0.9`, `ndcg@10`; `rain.auc` judges a field."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from assay.errors import BadInput, near_miss
from assay.metrics import curves, numbers, outcomes, probabilities, ranking
from assay.metrics.metric import Metric, Scored, Scorer, Task

#: What others call some of them.
_ELSEWHERE = {
    "roc_auc": "auc",
    "pr_auc": "average_precision",
    "logloss": "log_loss",
    "neg_log_loss": "log_loss",
    "cross_entropy": "log_loss",
    "mse": "rmse",
    "r_squared": "r2",
    "quantile": "pinball@0.5",
    "ece": "calibration_error",
    "poisson": "poisson_deviance",
    "gamma": "gamma_deviance",
    "tweedie": "tweedie_deviance@1.5",
    "f": "f1",
    "fbeta": "f2",
}
_F = re.compile(r"f(\d+(?:\.\d+)?)")
#: The longest name that is read.
_LONGEST = 60


@dataclass(frozen=True)
class Family:
    """Metrics that differ by numbers behind an `@`."""

    #: How the name is written, with its numbers.
    form: str
    greater_is_better: bool
    task: Task
    #: From the whole name and its numbers to the metric; raises `ValueError` for numbers that do not suit.
    make: Callable[..., Callable[[Scored], Scorer]]
    means: str


def find(name: str) -> Metric:
    """The metric of a name, of one field of the prediction when that stands before it and a dot.

    Raises `BadInput`, with the near miss, for one that there is not.

    >>> find("recall@0.3").greater_is_better
    True
    >>> find("rain.f0.5").field
    'rain'
    """
    found = (_made(name) if len(name) <= _LONGEST else None) or _of_field(name)
    if found is None:
        family = name.partition("@")[0]
        hint = f"it is {_ELSEWHERE[family]} here" if family in _ELSEWHERE else near_miss(family, METRICS)
        raise BadInput(
            f"there is no metric {name!r}", hint, do=f"Use {', '.join(one.form for one in METRICS.values())}."
        )
    return found


def _of_field(name: str) -> Metric | None:
    """The metric behind a field and a dot; the name of a field may have dots of its own."""
    for dot in re.finditer(r"(?<=.)\.", name):
        rest = name[dot.end() :]
        if len(rest) <= _LONGEST and (inner := _made(rest)):
            return replace(inner, name=name, field=name[: dot.start()])
    return None


@lru_cache(maxsize=256)
def _made(name: str) -> Metric | None:
    kind, *given = name.split("@")
    beta = _F.fullmatch(kind)
    family = METRICS.get("f1" if beta else kind)
    if family is None:
        return None
    try:
        values = [float(value) for text in given for value in text.split(":")]
        by_block = family.make(name, *([float(beta[1])] if beta else []), *values)
    except (ValueError, TypeError):
        raise BadInput(f"{name!r} has other numbers than the metric takes", do=f"Write {family.form}.") from None
    return Metric(name, family.greater_is_better, family.task, by_block)


def direction(name: str) -> bool | None:
    """Whether more is better of a logged metric, `holdout_auc` too; None for a name that is no metric's."""
    try:
        return find(name.removeprefix("holdout_")).greater_is_better
    except BadInput:
        return None


def _share(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(value)
    return value


def _whole(value: float) -> int:
    if value < 1 or value != int(value):
        raise ValueError(value)
    return int(value)


def _power(value: float) -> float:
    if 0 < value < 1 or not abs(value) < 100:
        raise ValueError(value)
    return value


def _threshold(value: float | None) -> float | None:
    return None if value is None else _share(value)


def _number(form: str, means: str, by_block: Callable[[Scored], Scorer], *, greater: bool = False) -> Family:
    return Family(form, greater, "number", lambda _: by_block, means)


def _decided(form: str, means: str, value: Callable[..., object], *, of_both: bool = False) -> Family:
    def make(name: str, threshold: float | None = None) -> Callable[[Scored], Scorer]:
        return outcomes.of_counts(name, _threshold(threshold), value, of_both=of_both)  # pyright: ignore[reportArgumentType]

    return Family(form, True, "decision", make, means)


def _f_beta(name: str, beta: float, threshold: float | None = None) -> Callable[[Scored], Scorer]:
    if beta <= 0:
        raise ValueError(beta)
    return outcomes.of_counts(name, _threshold(threshold), outcomes.f_beta(beta))


def _cost(name: str, false_alarm: float, miss: float) -> Callable[[Scored], Scorer]:
    if not (0 < false_alarm < 1e12 and 0 < miss < 1e12):
        raise ValueError(name)
    return outcomes.cost(name, false_alarm, miss)


METRICS: dict[str, Family] = {
    "auc": Family(
        "auc", True, "outcome", lambda name: curves.of_each_class(name, curves.roc_auc), "area under the ROC curve"
    ),
    "average_precision": Family(
        "average_precision",
        True,
        "outcome",
        lambda name: curves.of_each_class(name, curves.average_precision),
        "area under the curve of precision and recall",
    ),
    "log_loss": Family(
        "log_loss",
        False,
        "outcome",
        lambda name: probabilities.mean_of(name, probabilities.log_loss),
        "mean -log of the probability of what happened",
    ),
    "brier": Family(
        "brier",
        False,
        "outcome",
        lambda name: probabilities.mean_of(name, probabilities.brier),
        "mean squared distance of the probability from what happened",
    ),
    "calibration_error": Family(
        "calibration_error[@BINS]",
        False,
        "outcome",
        lambda name, bins=15: probabilities.calibration_error(name, _whole(bins)),
        "mean distance of probability and frequency, over 15 bins of equal width",
    ),
    "accuracy": Family(
        "accuracy[@THRESHOLD]",
        True,
        "decision",
        lambda name, threshold=None: outcomes.accuracy(name, _threshold(threshold)),
        "share of rows whose class was chosen",
    ),
    "balanced_accuracy": _decided(
        "balanced_accuracy[@THRESHOLD]", "mean recall of the classes", outcomes.balanced_accuracy, of_both=True
    ),
    "precision": _decided("precision[@THRESHOLD]", "share of the chosen rows that are right", outcomes.precision),
    "recall": _decided("recall[@THRESHOLD]", "share of the true rows that were chosen", outcomes.recall),
    "f1": Family(
        "fBETA[@THRESHOLD]",
        True,
        "decision",
        _f_beta,
        "harmonic mean of precision and recall, recall BETA times as heavy",
    ),
    "cost": Family(
        "cost@FALSE_ALARM:MISS",
        False,
        "outcome",
        _cost,
        "mean cost of a row at the threshold FALSE_ALARM / (FALSE_ALARM + MISS)",
    ),
    "mae": _number("mae", "mean absolute error", numbers.mean_of(numbers.absolute)),
    "rmse": _number("rmse", "root of the mean squared error", numbers.root_mean_squared),
    "mape": _number("mape", "mean absolute error as a share of the label", numbers.mean_of(numbers.percentage)),
    "smape": _number(
        "smape",
        "mean absolute error as a share of label and prediction, 0 to 2",
        numbers.mean_of(numbers.symmetric_percentage),
    ),
    "r2": _number("r2", "share of the label's variance that is explained", numbers.r2, greater=True),
    "pinball": Family(
        "pinball@LEVEL",
        False,
        "number",
        lambda _, level: numbers.mean_of(numbers.pinball(_share(level))),
        "loss of a predicted quantile",
    ),
    "poisson_deviance": _number("poisson_deviance", "mean deviance of counts", numbers.mean_of(numbers.tweedie(1))),
    "gamma_deviance": _number(
        "gamma_deviance", "mean deviance of positive amounts", numbers.mean_of(numbers.tweedie(2))
    ),
    "tweedie_deviance": Family(
        "tweedie_deviance@POWER",
        False,
        "number",
        lambda _, power: numbers.mean_of(numbers.tweedie(_power(power))),
        "mean deviance of amounts of which many are 0, for a power of 1 to 2",
    ),
    "ndcg": Family(
        "ndcg[@DEPTH]",
        True,
        "ranking",
        lambda name, depth=None: ranking.ndcg(name, None if depth is None else _whole(depth)),
        "discounted gain of the order within each group",
    ),
}
