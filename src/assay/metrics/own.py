"""A metric that is a user's function."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.metrics.metric import Metric, Scored, Scorer, Task


def metric(name: str, function: Callable[..., Any], *, greater_is_better: bool, task: Task = "outcome") -> Metric:
    """A metric of your own, for `Model(metrics=[...])` and `Policy(...)`.

    `function(label, predicted)` gets float64 columns of shape (n,), predictions of shape (n, k) for k classes, and gives a
    number. With a third parameter it also gets weights of shape (n,); without one, rows that count twice come twice. It
    is called once for each draw of a bootstrap, so it should be quick. It travels with the model: write it in the
    project's file. Raises `BadInput` for a name that cannot be one, and for a function of other parameters.
    """
    if not name.isidentifier():
        raise BadInput(f"{name!r} is no name of a metric", do="Use letters, digits and underscores, like profit.")
    taken = [
        p for p in signature(function).parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    needed = [p for p in signature(function).parameters.values() if p.default is Parameter.empty and p not in taken]
    if len(taken) not in (2, 3) or any(p.kind == p.KEYWORD_ONLY for p in needed):
        raise BadInput(
            f"{name}: the function takes {len(taken)} parameters", do="Write it as f(label, predicted) or with weight."
        )
    weighs = len(taken) == 3
    return Metric(name, greater_is_better, task, lambda rows: _by_block(name, function, rows, weighs=weighs))


def _by_block(name: str, function: Callable[..., Any], rows: Scored, *, weighs: bool) -> Scorer:
    if not weighs and (rows.weight != 1).any():
        raise BadInput(f"{name} does not take weights, and rows have some", do="Give it a third parameter: weight.")

    def one(weights: Array) -> float:
        times = weights[rows.blocks]
        if weighs:
            return _number(name, function(rows.label, rows.predicted, rows.weight * times))
        if (times == 1).all():
            return _number(name, function(rows.label, rows.predicted))
        again = np.repeat(np.arange(len(times)), times.astype(np.int64))
        return _number(name, function(rows.label[again], rows.predicted[again]))

    return lambda weights: np.array([one(row) for row in weights])


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BadInput(f"{name} gave a {type(value).__name__}", do="Return one number.") from None
