"""The rows that differ, what a named shape says of them, and the test that keeps chance out. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import log
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Finder = Callable[[Array, Array], Mask]

FEWEST = 3  # rows that make a shape
_SAMPLE = 5_000  # rows that decide against chance
_SHUFFLES = 5
_UNLIKELY = 1e-4


@dataclass(frozen=True, eq=False)
class History:
    """The warehouse, to find served values that were right at another time.

    `values`, `times` (datetime64[us]) and each of `keys` (texts with few values, such as an airport) have shape (m,);
    `row_times` and each of `row_keys`, for the rows that are compared, shape (n,).
    """

    values: Array
    times: Array
    row_times: Array
    keys: Mapping[str, Array] = field(default_factory=dict[str, Array])
    row_keys: Mapping[str, Array] = field(default_factory=dict[str, Array])

    def take(self, rows: Array) -> "History":
        """The same warehouse for some of the rows."""
        row_keys = {name: column[rows] for name, column in self.row_keys.items()}
        return replace(self, row_times=self.row_times[rows], row_keys=row_keys)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The differing rows of one column: expected and served, aligned, of shape (n,)."""

    column: str
    expected: Array
    served: Array
    unit: str | None = None
    history: History | None = None

    def __len__(self) -> int:
        return len(self.expected)

    @property
    def present(self) -> Mask:
        """Rows in which neither side is missing."""
        return ~(np.isnan(self.expected) | np.isnan(self.served))

    def take(self, rows: Array) -> "Evidence":
        """Some of the rows."""
        history = self.history.take(rows) if self.history else None
        return replace(self, expected=self.expected[rows], served=self.served[rows], history=history)


@dataclass(frozen=True, eq=False)
class Shape:
    """A named fault: the rows it explains, mask of shape (n,), and its parameter (a ratio, an offset, a default)."""

    name: str
    sentence: str
    explained: Mask
    parameter: object = None


def spread(mask: Mask, rows: Mask) -> Mask:
    """A mask over the chosen rows as a mask over all."""
    whole = rows.copy()
    whole[rows] = mask
    return whole


def most_alike(values: Array, width: Array) -> Mask:
    """The largest group of values that lie within `width` of its lowest; both have shape (n,).

    >>> most_alike(np.array([5.0, 1.0, 5.1, 9.0]), np.full(4, 0.2)).tolist()
    [True, False, True, False]
    """
    mask = np.zeros(len(values), dtype=np.bool_)
    if len(values):
        order = np.argsort(values, kind="stable")
        low = values[order]
        end = np.searchsorted(low, low + width[order], side="right")
        first = int(np.argmax(end - np.arange(len(low))))
        mask[order[first : end[first]]] = True
    return mask


def shuffled(values: Array, seed: int) -> Array:
    """The values in another order in which none keeps its place: one random cycle (Sattolo 1986)."""
    order = np.random.default_rng(seed).permutation(len(values))
    moved = np.empty_like(values)
    moved[order] = values[np.roll(order, 1)]
    return moved


def beats_chance(find: Finder, expected: Array, served: Array) -> bool:
    """Whether `find` explains three rows or more, and clearly more than it does with the served values shuffled.

    Clearly is more than twice the best of five shuffles and two more. `find` searches for its parameter each time, so
    that a search among many is given as many chances. Above 5,000 rows a sample decides.
    """
    if int(find(expected, served).sum()) < FEWEST:
        return False
    if len(expected) > _SAMPLE:
        some = np.random.default_rng(0).choice(len(expected), _SAMPLE, replace=False)
        expected, served = expected[some], served[some]
    chance = [int(find(expected, shuffled(served, seed)).sum()) for seed in range(_SHUFFLES)]
    return int(find(expected, served).sum()) > 2 * max(chance) + 2


def unlikely(hits: int, tries: int, chance: float) -> bool:
    """Whether chance can't reach so many hits: the bound of Chernoff (1952) on the binomial tail is below 1e-4.

    >>> unlikely(3, 3, 0.01), unlikely(3, 3, 0.5), unlikely(10, 40, 0.2)
    (True, False, False)
    """
    share = hits / tries if tries else 0.0
    if share <= chance:
        return False
    chance = max(chance, 1e-3)
    exponent = share * log(share / chance)
    if share < 1:
        exponent += (1 - share) * log((1 - share) / (1 - chance))
    return -tries * exponent < log(_UNLIKELY)
