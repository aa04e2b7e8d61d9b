"""How much each hyperparameter of a search matters for a metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from assay.errors import BadInput
from assay.track.find import RunRow

LEAST_RUNS = 8
#: A numeric parameter of more values is cut into so many groups of equal size.
GROUPS = 5
#: So many random orders of the metric say how large an effect chance alone makes.
ORDERS = 200


@dataclass(frozen=True)
class Importance:
    """One hyperparameter."""

    name: str
    #: Share of the metric's variance that it explains alone, 0 to 1; 0 when chance explains as much.
    share: float
    #: The value of the best run.
    best: Any


def importance(runs: Sequence[RunRow], metric: str, *, highest: bool) -> list[Importance]:
    """The hyperparameters that differ among runs, the one that matters most first.

    The share is omega squared of a one-way analysis of variance of the ranks of the metric, over the values of the
    parameter or its quantile groups (Hays, Statistics, 1963, section 10.17; ranks as in Kruskal and Wallis, JASA 47,
    1952); 0 where 5 % of random orders of the metric explain as much. Each parameter is looked at alone: one that
    matters only together with another may show little. Raises `BadInput` for fewer than 8 runs that have the metric.
    """
    measured = [run for run in runs if isfinite(run.metrics.get(metric, float("nan")))]
    if len(measured) < LEAST_RUNS:
        raise BadInput(
            f"{len(measured)} of the {len(runs)} runs have a finite {metric}",
            do=f"At least {LEAST_RUNS} are needed for a ranking.",
        )
    values = np.array([run.metrics[metric] for run in measured])
    ranks = values.argsort(kind="stable").argsort(kind="stable").astype(float)
    best = measured[int(values.argmax() if highest else values.argmin())]
    found: list[Importance] = []
    for name in sorted({name for run in measured for name in run.params}):
        groups = _groups([run.params.get(name) for run in measured])
        count = int(groups.max()) + 1
        if 1 < count < len(measured):
            found.append(Importance(name, _share(ranks, groups, count), best.params.get(name)))
    return sorted(found, key=lambda one: (-one.share, one.name))


def _groups(values: list[Any]) -> np.ndarray[Any, Any]:
    """The number of each value's group."""
    numbers = [_number(value) for value in values]
    if None not in numbers and len(set(numbers)) > GROUPS:
        edges = np.quantile(np.array(numbers, float), np.linspace(0, 1, GROUPS + 1)[1:-1])
        return np.unique(np.searchsorted(edges, np.array(numbers, float), side="right"), return_inverse=True)[1]
    return np.unique(np.array([repr(value) for value in values]), return_inverse=True)[1]


def _number(value: Any) -> float | None:
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        return None
    return number if number is not None and isfinite(number) else None


def _share(ranks: np.ndarray[Any, Any], groups: np.ndarray[Any, Any], count: int) -> float:
    found = _omega_squared(ranks, groups, count)
    random = np.random.default_rng(0)
    by_chance = [_omega_squared(random.permutation(ranks), groups, count) for _ in range(ORDERS)]
    return found if found > float(np.quantile(by_chance, 0.95)) else 0.0


def _omega_squared(ranks: np.ndarray[Any, Any], groups: np.ndarray[Any, Any], count: int) -> float:
    sizes = np.bincount(groups, minlength=count)
    means = np.bincount(groups, ranks, minlength=count) / sizes
    total = float(((ranks - ranks.mean()) ** 2).sum())
    between = float((sizes * (means - ranks.mean()) ** 2).sum())
    within = (total - between) / (len(ranks) - count)
    return max(0.0, (between - (count - 1) * within) / (total + within))
