"""What a metric is: a number for rows that were predicted, which can be computed again under other weights of blocks.

A bootstrap asks for thousands of values. So a metric reads the rows once, keeps sums by block, and answers from these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.contract.columns import Array

#: From weights of shape (b, d), how often each of d blocks counts, to values of shape (b,); NaN where there is none.
Scorer = Callable[[Array], Array]
#: What is judged: a number, the probabilities of outcomes, which outcome was chosen, or the order within a group.
Task = Literal["number", "outcome", "decision", "ranking"]


@dataclass(frozen=True)
class Scored:
    """Rows with what happened and what was predicted."""

    #: float64 of shape (n,): a number, 0 or 1, or the position of the class among k classes.
    label: Array
    #: float64 of shape (n,), or of shape (n, k): the probabilities of k classes.
    predicted: Array
    #: How much each row counts; float64 of shape (n,).
    weight: Array
    #: Numbers 0 to d-1 of the blocks, none empty; int64 of shape (n,).
    blocks: Array
    #: Which rows are ranked together; any type, of shape (n,).
    group: Array | None = None

    @property
    def size(self) -> int:
        """The number of blocks."""
        return int(self.blocks.max()) + 1

    def sum(self, values: Array) -> Array:
        """The weighted sums by block of values of shape (n,); shape (d,)."""
        return np.bincount(self.blocks, weights=self.weight * values, minlength=self.size)


@dataclass(frozen=True)
class Metric:
    """One way to score."""

    name: str
    greater_is_better: bool
    task: Task
    #: Reads the rows and gives the function of their blocks' weights.
    by_block: Callable[[Scored], Scorer]
    #: The field of the prediction that it judges; empty for what suits it.
    field: str = ""


def ratio(above: Array, below: Array) -> Scorer:
    """The scorer of a sum divided by a sum, both by block, of shape (d,)."""

    def value(weights: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return (weights @ above) / (weights @ below)

    return value


def mean(rows: Scored, values: Array) -> Scorer:
    """The scorer of the weighted mean of values of shape (n,)."""
    return ratio(rows.sum(values), rows.sum(np.ones(len(values))))
