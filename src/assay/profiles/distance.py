"""How far one distribution is from another, from binned counts or from weighted samples; what chance alone reaches."""

from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from assay.contract.columns import Array
from assay.profiles.bins import binned
from assay.profiles.table import ColumnProfile

Sample = tuple[Array, Array]
_NORMAL = NormalDist().inv_cdf(0.999)


class Distances(msgspec.Struct, frozen=True):
    """Every distance of a column from what it was."""

    psi: float
    #: What PSI reaches by chance 1 time in 1000.
    noise: float
    jensen_shannon: float
    l_infinity: float
    #: Only of what has an order.
    kolmogorov_smirnov: float | None = None
    wasserstein: float | None = None


def distances(expected: ColumnProfile, observed: ColumnProfile) -> Distances:
    """Every distance of `observed` from `expected`, two columns of one kind."""
    a, b = binned(expected, observed)
    binwise = psi(a, b), noise(a.sum(), b.sum(), len(a)), jensen_shannon(a, b), l_infinity(a, b)
    if expected.categorical:
        return Distances(*binwise)
    first, second = expected.sample, observed.sample
    return Distances(
        *binwise, kolmogorov_smirnov(first, second), wasserstein(first, second, expected.moments.deviation)
    )


def psi(expected: ArrayLike, observed: ArrayLike) -> float:
    """Population stability index, sum of (q - p) ln(q / p), of two binned distributions.

    Both are counts over the same k bins, shape (k,); 0.5 is added to each so that empty bins stay finite. In nats,
    >= 0, the same either way round.
    Source: Siddiqi (2006), Credit Risk Scorecards, ch. 10.

    >>> round(psi([50, 50], [70, 30]), 3)
    0.166
    """
    p, q = (_shares(np.asarray(counts, float) + 0.5) for counts in (expected, observed))
    return float(((q - p) * np.log(q / p)).sum())


def noise(n: float, m: float, bins: int) -> float:
    """The PSI that two samples of n and m rows of one distribution reach 1 time in 1000.

    Without drift, PSI / (1/n + 1/m) is chi-squared with bins - 1 degrees of freedom.
    Source: Yurdakul (2018), Statistical Properties of Population Stability Index, ch. 3.

    >>> round(noise(1000, 1000, 10), 3)
    0.056
    """
    return (1 / max(n, 1) + 1 / max(m, 1)) * chi_squared_999(bins - 1)


def chi_squared_999(freedom: int) -> float:
    """The 0.999 quantile of chi-squared, within 1 %.

    Source: Wilson and Hilferty (1931), The Distribution of Chi-Square, PNAS 17.

    >>> round(chi_squared_999(9), 1)
    28.1
    """
    k = max(freedom, 1)
    return k * (1 - 2 / (9 * k) + _NORMAL * (2 / (9 * k)) ** 0.5) ** 3


def jensen_shannon(expected: ArrayLike, observed: ArrayLike) -> float:
    """Jensen-Shannon distance: the root of the divergence in bits, of two binned distributions; 0 to 1, symmetric.

    Source: Endres and Schindelin (2003), A New Metric for Probability Distributions, IEEE Trans. Inf. Theory 49.

    >>> jensen_shannon([10, 0], [0, 5])
    1.0
    """
    p, q = (_shares(np.asarray(counts, float)) for counts in (expected, observed))
    middle = (p + q) / 2
    halves = [float((x[x > 0] * np.log2(x[x > 0] / middle[x > 0])).sum()) for x in (p, q)]
    return min(max(sum(halves) / 2, 0.0), 1.0) ** 0.5


def l_infinity(expected: ArrayLike, observed: ArrayLike) -> float:
    """The largest difference of a share: max |p - q| of two binned distributions; 0 to 1, symmetric.

    Source: Breck et al. (2019), Data Validation for Machine Learning, MLSys.

    >>> round(l_infinity([50, 50], [70, 30]), 9)
    0.2
    """
    p, q = (_shares(np.asarray(counts, float)) for counts in (expected, observed))
    return float(np.abs(p - q).max(initial=0.0))


def kolmogorov_smirnov(expected: Sample, observed: Sample) -> float:
    """The largest difference of the distribution functions, sup |F - G|, of two weighted samples; 0 to 1, symmetric.

    A sample is distinct values ascending and their weights, each of shape (k,). From sketches, the answer is within
    the sum of their rank errors. Source: Smirnov (1948), Ann. Math. Statist. 19.

    >>> one = np.ones(2)
    >>> kolmogorov_smirnov((np.array([1.0, 2.0]), one), (np.array([2.0, 3.0]), one))
    0.5
    """
    if not len(expected[0]) or not len(observed[0]):
        return 0.0
    _, f, g = _functions(expected, observed)
    return float(np.abs(f - g).max())


def wasserstein(expected: Sample, observed: Sample, deviation: float) -> float:
    """Earth mover's distance W1, the area between the distribution functions, in standard deviations of the expected.

    Samples as for `kolmogorov_smirnov`; infinities are left out. Infinite where a constant moved.
    Source: Vallender (1974), Calculation of the Wasserstein Distance between Probability Distributions on the Line.

    >>> one = np.ones(2)
    >>> wasserstein((np.array([1.0, 2.0]), one), (np.array([2.0, 3.0]), one), 0.5)
    2.0
    """
    expected, observed = _finite(expected), _finite(observed)
    if not len(expected[0]) or not len(observed[0]):
        return 0.0
    at, f, g = _functions(expected, observed)
    with np.errstate(over="ignore"):
        area = float((np.abs(f - g)[:-1] * np.diff(at)).sum())
    return area / deviation if deviation > 0 else 0.0 if area == 0 else float("inf")


def crossing(expected: Sample, observed: Sample) -> tuple[float, float, float]:
    """The value at which the distribution functions differ most, and both shares of values up to it."""
    at, f, g = _functions(expected, observed)
    where = int(np.abs(f - g).argmax())
    return float(at[where]), float(f[where]), float(g[where])


def _functions(a: Sample, b: Sample) -> tuple[Array, Array, Array]:
    """The values of both, and the distribution functions there."""
    at = np.union1d(a[0], b[0])
    heights = [np.append(0.0, np.cumsum(weights) / weights.sum()) for _, weights in (a, b)]
    return at, heights[0][np.searchsorted(a[0], at, "right")], heights[1][np.searchsorted(b[0], at, "right")]


def _finite(sample: Sample) -> Sample:
    finite = np.isfinite(sample[0])
    return sample if finite.all() else (sample[0][finite], sample[1][finite])


def _shares(counts: Array) -> Array:
    total = counts.sum()
    return counts / total if total else counts
