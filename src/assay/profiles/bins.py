"""Two columns counted over the same bins."""

import numpy as np

from assay.contract.columns import Array
from assay.profiles.table import ColumnProfile

DECILES = 10
TOP_CATEGORIES = 20


def binned(expected: ColumnProfile, observed: ColumnProfile) -> tuple[Array, Array]:
    """Counts of both over the bins of `expected`, float64 of shape (k,); missing values are in none.

    Numbers are cut at its deciles, where a value that fills more than one has a bin of its own; categories are its
    20 most frequent ones and all others.
    """
    return _categories(expected, observed) if expected.categorical else _numbers(expected, observed)


def _numbers(expected: ColumnProfile, observed: ColumnProfile) -> tuple[Array, Array]:
    values, weights = expected.sample
    if len(values) == 0:
        return np.zeros(1), np.array([float(observed.count)])
    edges = decile_edges(values, weights)
    counts = [
        np.bincount(np.searchsorted(edges, of, "right"), weight, minlength=len(edges) + 1)
        for of, weight in (expected.sample, observed.sample)
    ]
    return counts[0].astype(float), counts[1].astype(float)


def decile_edges(values: Array, weights: Array) -> Array:
    """Lower edges of all bins but the first, ascending, from distinct ascending values and their weights."""
    ranks = np.cumsum(weights) / weights.sum()
    wanted = np.linspace(0, 1, DECILES + 1)[1:-1]
    deciles = values[np.minimum(np.searchsorted(ranks, wanted, "right"), len(values) - 1)]
    edges, times = np.unique(deciles, return_counts=True)
    return np.union1d(edges, np.nextafter(edges[times > 1], np.inf))


def _categories(expected: ColumnProfile, observed: ColumnProfile) -> tuple[Array, Array]:
    top = list(expected.frequent.counts)[:TOP_CATEGORIES]
    found = [np.array([column.frequent.counts.get(name, 0) for name in top], float) for column in (expected, observed)]
    a, b = (
        np.append(counts, column.count - counts.sum())
        for counts, column in zip(found, (expected, observed), strict=True)
    )
    return a, b
