"""Which rows of two aligned columns differ, and what is said of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from assay.contract.columns import TEXT, Array
from assay.errors import BadInput

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Kind = Literal["number", "time", "text"]
#: Twice the error of rounding to float32: many feature stores and protocols round so, and no model minds.
FLOAT32 = 2.0**-23
_SMALLEST_FLOAT32 = 2.0**-149
_KINDS: dict[str, Kind] = dict.fromkeys("biuf", "number") | {"M": "time"} | dict.fromkeys("TU", "text")


@dataclass(frozen=True, eq=False)
class Shape:
    """What some of the differing rows have in common, like a constant ratio."""

    #: One word for the kind of fault: "unit", "offset", "default", "stale", ...
    name: str
    sentence: str
    #: True for the rows it explains, shape (differing rows,).
    mask: Mask
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def rows(self) -> int:
        """How many rows it explains."""
        return int(self.mask.sum())


@dataclass(frozen=True, eq=False)
class Difference:
    """One column in which rows differ; there is none for a column whose rows are all the same."""

    column: str
    kind: Literal["input", "feature", "prediction"]
    #: Positions of the rows that differ, ascending.
    rows: Array
    compared: int
    #: Rows that are unequal but within the tolerance, and count as the same.
    rounded: int
    shapes: tuple[Shape, ...]
    #: A few rows: position, expected, served; None for missing.
    examples: tuple[tuple[int, Any, Any], ...]

    @property
    def explained(self) -> int:
        """How many of the rows have a shape."""
        return sum(shape.rows for shape in self.shapes)

    @property
    def shape(self) -> str:
        """The shapes in words, the one of most rows first."""
        parts = [shape.sentence for shape in self.shapes]
        if len(parts) == 1 and self.explained == len(self.rows):
            return parts[0]
        parts = [f"{shape.sentence} ({_rows(shape.rows)})" for shape in self.shapes]
        left = len(self.rows) - self.explained
        return "; ".join([*parts, f"no common shape ({_rows(left)})"] if left else parts)


def _rows(count: int) -> str:
    return f"{count:,} row" + "s" * (count != 1)


def kind_of(*columns: Array) -> Kind:
    """What columns that belong together hold; raises `BadInput` when they can't be compared.

    >>> kind_of(np.array([1, 2]), np.array([1.0, np.nan]))
    'number'
    """
    kinds = {_KINDS.get(column.dtype.kind) for column in columns}
    kind = kinds.pop()
    if kinds or kind is None:
        raise BadInput(
            f"columns of {' and '.join(str(column.dtype) for column in columns)} can't be compared",
            do="Give both as the contract's columns: numbers, datetime64, or texts.",
        )
    return kind


def missing(column: Array) -> Mask:
    """True where a value is missing: NaN, NaT, or a missing text.

    >>> missing(np.array(["UA", np.nan], TEXT)).tolist()
    [False, True]
    """
    kind = column.dtype.kind
    if kind == "M":
        return np.isnat(column)
    return np.isnan(column) if kind == "f" or column.dtype == TEXT else np.zeros(len(column), np.bool_)


def differing(expected: Array, served: Array, *, tolerance: float = FLOAT32) -> Mask:
    """True for the rows that differ; both columns are aligned and of shape (n,).

    Two missing values are the same, a missing and a present one differ. Two floats are the same when they are no further
    apart than `tolerance` times the larger; 0.0 asks for the same value. Anything else must be equal, and an integer is
    equal to a float only by its exact value. Raises `BadInput` when the columns can't be compared.

    >>> differing(np.array([0.1, np.nan, 3.0]), np.array([np.float32(0.1), np.nan, np.nan])).tolist()
    [False, False, True]
    """
    unequal = _unequal(expected, served)
    return unequal & ~_near(expected, served, tolerance) if tolerance else unequal


def rounded(expected: Array, served: Array, *, tolerance: float = FLOAT32) -> Mask:
    """True for the rows that are unequal, but near enough for `differing` to call them the same."""
    unequal = _unequal(expected, served)
    return unequal & _near(expected, served, tolerance) if tolerance else np.zeros_like(unequal)


def ulps(a: Array, b: Array) -> int:
    """The largest distance between two float64 columns in units in the last place.

    That is the count of doubles that lie between, plus one. Two NaN, and 0.0 and -0.0, are 0 apart; a NaN is
    astronomically far from any number. Source: Dawson (2012), "Comparing Floating Point Numbers".

    >>> ulps(np.array([1.0, np.nan]), np.array([1.0 + 2**-52, np.nan]))
    1
    """
    if len(a) == 0:
        return 0
    x, y = _ordinals(a), _ordinals(b)
    # Unsigned, because the distance of two numbers with different signs does not fit into int64.
    distance = np.maximum(x, y).astype(np.uint64) - np.minimum(x, y).astype(np.uint64)
    return int(np.where(missing(a) & missing(b), np.uint64(0), distance).max())


def _ordinals(values: Array) -> Array:
    """Integers in the order of the doubles, one apart for neighbours."""
    bits = np.ascontiguousarray(values, np.float64).view(np.int64)
    return np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)


def _unequal(expected: Array, served: Array) -> Mask:
    if expected.shape != served.shape or expected.ndim != 1:
        raise BadInput(f"columns of shape {expected.shape} and {served.shape} can't be compared row by row")
    kind = kind_of(expected, served)
    if kind == "text":
        expected, served = expected.astype(TEXT), served.astype(TEXT)
    # A missing text answers False to != as well.
    different = (expected != served) | (missing(expected) != missing(served))
    if kind == "number":
        different |= _lost_digits(expected, served) | _lost_digits(served, expected)
    return different & ~(missing(expected) & missing(served))


def _lost_digits(whole: Array, floating: Array) -> Mask | bool:
    """True where an integer equals a float only because comparing rounds it to 53 bits."""
    if whole.dtype.kind not in "iu" or floating.dtype.kind != "f":
        return False
    fits = np.abs(floating) < 2.0**63
    return fits & (np.where(fits, floating, 0).astype(np.int64) != whole)


def _near(expected: Array, served: Array, tolerance: float) -> Mask:
    if expected.dtype.kind != "f" or served.dtype.kind != "f":
        return np.zeros(len(expected), np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        largest = np.maximum(np.abs(expected), np.abs(served))
        near = np.abs(expected - served) <= np.maximum(tolerance * largest, _SMALLEST_FLOAT32)
    return near & np.isfinite(largest)
