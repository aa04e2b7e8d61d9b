"""Where two columns differ that should be equal."""

import numpy as np

from assay.contract.columns import Array

#: Relative difference that rounding to float32 can make, and that is no finding by default.
FLOAT32 = 2.0**-23
_BITS = np.int64
_LOWEST = np.iinfo(np.int64).min


def missing(column: Array) -> Array:
    """Where a column has no value; bool of shape (n,)."""
    return (
        np.isnat(column)
        if column.dtype.kind == "M"
        else np.isnan(column)
        if column.dtype.kind in "fT"
        else np.zeros(len(column), bool)
    )


def differs(expected: Array, served: Array, *, tolerance: float = FLOAT32) -> Array:
    """Where the columns differ; bool of shape (n,).

    Equal are equal values and two missing ones. Floats may differ by `tolerance`, relative to the expected one; with
    0.0 they must be equal bit for bit. Whole numbers, times and texts must be equal.

    >>> differs(np.array([1.0, np.nan, 0.1]), np.array([1.0, np.nan, np.float32(0.1)]))
    array([False, False, False])
    """
    lost, gained = missing(expected), missing(served)
    unequal = _unequal(expected, served, lost | gained)
    if tolerance and expected.dtype.kind == served.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            near = np.abs(expected - served) <= tolerance * np.abs(expected)
        unequal &= ~(near & np.isfinite(expected))
    return (lost != gained) | unequal


def rounded(expected: Array, served: Array, *, tolerance: float = FLOAT32) -> Array:
    """Where the columns are unequal, but within the tolerance; bool of shape (n,).

    >>> rounded(np.array([0.1, 0.5, 2.0]), np.array([np.float32(0.1), 0.5, 3.0]))
    array([ True, False, False])
    """
    return differs(expected, served, tolerance=0.0) & ~differs(expected, served, tolerance=tolerance)


def _unequal(expected: Array, served: Array, either: Array) -> Array:
    if expected.dtype.kind in "fiub":
        with np.errstate(invalid="ignore"):
            return (expected != served) & ~either
    both = ~either
    found = np.zeros(len(expected), dtype=bool)
    found[both] = expected[both] != served[both]
    return found


def ulps(a: Array, b: Array) -> int:
    """The largest distance between two columns as float64, in units in the last place; 0 for equal ones.

    Source: Dawson (2012), Comparing Floating Point Numbers.
    """
    if len(a) == 0:
        return 0
    ordered = [
        np.where(bits < 0, _LOWEST - bits, bits)
        for bits in (np.ascontiguousarray(v, np.float64).view(_BITS) for v in (a, b))
    ]
    return max(abs(int(x) - int(y)) for x, y in zip(*ordered, strict=True))
