"""How sure one can be of a difference, when rows of one day are not independent of each other."""

from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist

import numpy as np

from assay.model.score import Scorer

SEED = 20130101


@dataclass(frozen=True)
class Interval:
    """A difference and where it may lie."""

    difference: float
    low: float
    high: float
    #: Blocks of time that were resampled.
    blocks: int


def paired_interval(
    candidate: Scorer, incumbent: Scorer, blocks: int, *, level: float, resamples: int, sign: int = 1
) -> Interval:
    """The interval of `sign * (candidate - incumbent)` from a paired bootstrap over blocks of time.

    Both scorers take weights of shape (b, blocks) and are asked with the same ones, so what is common to both
    cancels. The percentiles are expanded for the small number of blocks; with one block nothing can be said and the
    interval is infinite.
    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13; expanded percentiles: Hesterberg
    (2015), What Teachers Should Know About the Bootstrap, section 5.3.
    """
    whole = np.ones((1, blocks))
    difference = float(sign * (candidate(whole) - incumbent(whole))[0])
    if blocks < 2:
        return Interval(difference, -inf, inf, blocks)
    weights = np.random.default_rng(SEED).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples).astype(float)
    drawn = sign * (candidate(weights) - incumbent(weights))
    drawn = drawn[np.isfinite(drawn)]
    tail = _expanded_tail((1 - level) / 2, blocks)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(difference, float(low), float(high), blocks)


def _expanded_tail(tail: float, n: int) -> float:
    """The normal tail that makes percentiles of n blocks as wide as a t interval."""
    return NormalDist().cdf(sqrt(n / (n - 1)) * student_t(tail, n - 1))


def student_t(p: float, freedom: int) -> float:
    """The p-quantile of Student's t.

    Exact for 1 and 2 degrees of freedom, else within 0.003 for tails of 1 % and more.
    Source: Abramowitz and Stegun (1964), 26.7.5.

    >>> round(student_t(0.95, 6), 3)
    1.943
    """
    if freedom == 1:
        return float(np.tan(np.pi * (p - 0.5)))
    if freedom == 2:
        return (2 * p - 1) / sqrt(2 * p * (1 - p))
    z = NormalDist().inv_cdf(p)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**i for i, term in enumerate(terms))
