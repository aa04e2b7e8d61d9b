"""The rows that differ, as the search for a shape sees them, and how sure it must be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from assay.contract.columns import TEXT, Array
from assay.skew.compare import Kind, Mask, kind_of, missing

#: A shape needs this many rows and different values, unless it can't be mistaken.
FEW = 3
#: And this share of the rows that it could explain.
SHARE = 0.2
#: And to be so improbable by accident, in nats: e**-6 is one in 400.
SURPRISE = 6.0


@dataclass(frozen=True, eq=False)
class Moments:
    """When rows happened and where they belong: event times, and text columns of few values, all of shape (n,)."""

    times: Array
    groups: Mapping[str, Array] = field(default_factory=dict[str, Array])

    def take(self, rows: Array) -> "Moments":
        """The rows at the given positions, or where a mask is true."""
        return Moments(self.times[rows], {name: column[rows] for name, column in self.groups.items()})


@dataclass(frozen=True, eq=False)
class History:
    """The warehouse's rows: `values` by column, aligned with `moments`."""

    moments: Moments
    values: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Lookup:
    """Where the values of one column of the differing rows may have come from."""

    history: History
    column: str
    #: Of the differing rows.
    moments: Moments


@dataclass(frozen=True, eq=False)
class Evidence:
    """Differing rows of one column, each of shape (n,): numbers as float64, times as datetime64[us], texts as texts."""

    expected: Array
    served: Array
    kind: Kind
    unit: str | None = None
    lookup: Lookup | None = None
    #: True when a rounding to float32 counts as a difference.
    exact: bool = False

    @cached_property
    def both(self) -> Mask:
        """Rows with a value on both sides."""
        return ~(missing(self.expected) | missing(self.served))

    @cached_property
    def filled(self) -> Mask:
        """Rows where a missing value was served as one."""
        return missing(self.expected) & ~missing(self.served)

    @cached_property
    def lost(self) -> Mask:
        """Rows where a value was served as missing."""
        return ~missing(self.expected) & missing(self.served)

    def take(self, rows: Mask) -> "Evidence":
        """The rows where the mask is true."""
        lookup = self.lookup and replace(self.lookup, moments=self.lookup.moments.take(rows))
        return replace(self, expected=self.expected[rows], served=self.served[rows], lookup=lookup)


_FORMS: dict[Kind, np.dtype[Any]] = {"number": np.dtype(np.float64), "time": np.dtype("datetime64[us]"), "text": TEXT}


def normal(column: Array) -> Array:
    """A column in the form of its kind: float64, datetime64[us] or texts."""
    return column.astype(_FORMS[kind_of(column)])


def evidence(
    expected: Array, served: Array, *, unit: str | None = None, lookup: Lookup | None = None, exact: bool = False
) -> Evidence:
    """The evidence of differing rows in any form that a column may have."""
    kind = kind_of(expected, served)
    return Evidence(normal(expected), normal(served), kind, unit, lookup, exact)


def convincing(rows: Evidence, predicted: Array, within: Array | float, *, share: float = SHARE) -> Mask | None:
    """The rows where the served number is the predicted one, or None when that may be an accident.

    `predicted` and `within` are of shape (n,), NaN where nothing is predicted.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        hit = np.abs(rows.served - predicted) <= within
    count, total = int(hit.sum()), int(rows.both.sum())
    if count < max(FEW, share * total) or len(np.unique(rows.expected[hit])) < FEW:
        return None
    chance = _chance(rows, predicted, within, hit)
    return hit if surprise(count, total, chance) >= SURPRISE else None


def surprise(count: int, total: int, chance: float) -> float:
    """How improbable it is, in nats, that `count` or more of `total` rows agree when each does with probability `chance`.

    A bound: the true probability is at most `exp(-surprise)`. Source: Hoeffding (1963), theorem 1.

    >>> round(surprise(4, 4, 1 / 6), 2)
    7.17
    """
    rate = count / total
    chance = min(max(chance, total**-2), 1.0)
    if rate <= chance:
        return 0.0
    against = (1 - rate) * math.log((1 - rate) / (1 - chance)) if rate < 1 else 0.0
    return total * (rate * math.log(rate / chance) + against)


def _chance(rows: Evidence, predicted: Array, within: Array | float, hit: Mask) -> float:
    """The share of hits when each row is paired with the served value of another row from which it differs."""
    served = np.sort(rows.served[rows.both])
    total = len(served)
    known = rows.both & ~np.isnan(predicted)
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = predicted - within, predicted + within
    hits = _between(served, low[known], high[known]) - int(hit.sum())
    same = _between(served, rows.expected[rows.both], rows.expected[rows.both])
    pairs = total * (total - 1) - same
    return hits / pairs if pairs > 0 else 1.0


def _between(ordered: Array, low: Array, high: Array) -> int:
    """How many pairs of an interval and a value within it there are."""
    return int((np.searchsorted(ordered, high, "right") - np.searchsorted(ordered, low, "left")).sum())


def shown(value: Any) -> str:
    """A value as a sentence shows it.

    >>> shown(0.0), shown(1013.25), shown("UA"), shown("")
    ('0', '1013.25', 'UA', '""')
    """
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, np.datetime64):
        return f"{np.datetime_as_string(value, unit='s')}Z"
    text = str(value)
    return text if text and text == text.strip() else f'"{text}"'
