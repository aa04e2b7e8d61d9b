"""How far columns go together: rank correlations of many at once, and Cramér's V."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from assay.contract.columns import Array

#: Columns that are compared with all others in one product.
_BLOCK = 256


def rank_correlations(columns: Sequence[Array]) -> Iterator[Array]:
    """For each of k columns of shape (n,) its rank correlation with all, shape (k,), over the rows that both have; NaN where there is none.

    Ranks are among all rows of a column. Products of matrices in float32, some columns at a time, take a second where
    pair by pair takes an hour. Source: Spearman (1904), The Proof and Measurement of Association between Two Things.
    """
    scores = np.array([_scores(column) for column in columns], np.float32)
    there = np.array([np.isfinite(column) for column in columns])
    complete = bool(there.all())
    masks = there.astype(np.float32)
    for first in range(0, len(columns), _BLOCK):
        part, mask = scores[first : first + _BLOCK], masks[first : first + _BLOCK]
        together = part @ scores.T
        if complete:
            yield from together / max(scores.shape[1], 1)
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            count = mask @ masks.T
            mean, other = (part @ masks.T) / count, (mask @ scores.T) / count
            spread = ((part**2) @ masks.T) / count - mean**2, (mask @ (scores**2).T) / count - other**2
            yield from np.where(count < 3, np.nan, (together / count - mean * other) / np.sqrt(spread[0] * spread[1]))


def _scores(values: Array) -> Array:
    """The ranks with mean 0 and standard deviation 1; 0 where there is no value, and for a constant column."""
    known = np.isfinite(values)
    ranks = mean_ranks(values[known])
    found = np.zeros(len(values))
    spread = float(ranks.std()) if len(ranks) else 0.0
    if spread:
        found[known] = (ranks - ranks.mean()) / spread
    return found


def mean_ranks(values: Array) -> Array:
    """Ranks from 0, those of equal values averaged; shape (n,).

    >>> mean_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[codes]


def cramers_v(a: Array, b: Array) -> float:
    """How far categories go together, 0 to 1, from codes of shape (n,) with -1 for missing; corrected for its bias.

    Source: Bergsma (2013), A bias-correction for Cramér's V and Tschuprow's T, equations 7 to 9.
    """
    both = (a >= 0) & (b >= 0)
    n, width = int(both.sum()), int(b.max(initial=0)) + 1
    table = np.bincount(a[both] * width + b[both], minlength=(int(a.max(initial=0)) + 1) * width).reshape(-1, width)
    table = table[table.any(1)][:, table.any(0)]
    r, c = table.shape
    if min(r, c) < 2:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / n
    phi2 = max(float(((table - expected) ** 2 / expected).sum()) / n - (r - 1) * (c - 1) / (n - 1), 0.0)
    smaller = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return math.sqrt(min(phi2 / smaller, 1.0)) if smaller > 0 else 0.0
