"""How far a feature's distribution moved; what chance alone would move is known and taken off."""

from statistics import NormalDist

import numpy as np

from assay.contract.columns import Array

#: Below this a shift is small whatever its certainty.
SMALL = 0.1
BINS = 10
TOP_CATEGORIES = 20
_NORMAL = NormalDist().inv_cdf(0.999)


def psi(expected: Array, served: Array) -> tuple[float, float]:
    """Population stability index of two columns of any length, and the value that pure chance reaches 1 time in 1000.

    Numbers are cut at the deciles of `expected`, texts grouped to its 20 most frequent values and others; missing
    values are kept out, 0.5 is added to each bin. In nats, >= 0.
    Source: Siddiqi (2006), Credit Risk Scorecards, ch. 10; without drift, PSI / (1/n + 1/m) is chi-squared with
    bins - 1 degrees of freedom: Yurdakul (2018), Statistical Properties of Population Stability Index.
    """
    counts = _text_counts(expected, served) if expected.dtype.kind == "T" else _number_counts(expected, served)
    a, b = (count + 0.5 for count in counts)
    p, q = a / a.sum(), b / b.sum()
    sizes = [max(float(count.sum()), 1.0) for count in counts]
    noise = (1 / sizes[0] + 1 / sizes[1]) * chi_squared_999(len(p) - 1)
    return float(((q - p) * np.log(q / p)).sum()), noise


def chi_squared_999(freedom: int) -> float:
    """The 0.999 quantile of chi-squared, within 1 %.

    Source: Wilson and Hilferty (1931), The Distribution of Chi-Square, PNAS 17.

    >>> round(chi_squared_999(9), 1)
    28.1
    """
    k = max(freedom, 1)
    return k * (1 - 2 / (9 * k) + _NORMAL * (2 / (9 * k)) ** 0.5) ** 3


def _number_counts(expected: Array, served: Array) -> tuple[Array, Array]:
    a, b = expected[~np.isnan(expected)], served[~np.isnan(served)]
    if len(a) == 0:
        return np.zeros(1), np.array([float(len(b))])
    edges, times = np.unique(np.quantile(a, np.linspace(0, 1, BINS + 1)[1:-1]), return_counts=True)
    edges = np.union1d(edges, np.nextafter(edges[times > 1], np.inf))  # what most rows have gets a bin of its own
    counts = [np.bincount(np.searchsorted(edges, v, "right"), minlength=len(edges) + 1).astype(float) for v in (a, b)]
    return counts[0], counts[1]


def _text_counts(expected: Array, served: Array) -> tuple[Array, Array]:
    a, b = ([value for value in column.tolist() if isinstance(value, str)] for column in (expected, served))
    values, counts = np.unique(np.array(a, dtype=str), return_counts=True)
    top = {value: i for i, value in enumerate(values[np.argsort(-counts)][:TOP_CATEGORIES].tolist())}
    found = [
        np.bincount([top.get(value, len(top)) for value in part] or [len(top)], minlength=len(top) + 1).astype(float)
        for part in (a, b)
    ]
    return found[0], found[1]
