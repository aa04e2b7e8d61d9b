"""Names what the differing rows of a column have in common."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from assay.contract.columns import Array
from assay.skew import arithmetic, clock, texts
from assay.skew.compare import FLOAT32, Difference, Kind, Mask, Shape, differing, rounded
from assay.skew.evidence import FEW, SHARE, Evidence, History, Lookup, Moments, evidence, normal, shown
from assay.skew.stale import stale

_MOST = 0.8
#: A shape that explains this share of what another does, and comes earlier in the order, is the better name.
_NEARLY = 0.9
_EXAMPLES = 5
#: What programs put in the place of a missing value; one row is enough to know it by.
_DEFAULTS = {0.0, -1.0, 999.0, -999.0, 9999.0, -9999.0}
_DEFAULT_TEXTS = {"", "unknown", "none", "null", "nan", "n/a", "na", "missing", "other", "?", "-", "0"}
_EPOCH = np.datetime64(0, "us")

Finder = Callable[[Evidence], Shape | None]


def find_difference(
    column: str,
    kind: Literal["input", "feature", "prediction"],
    expected: Array,
    served: Array,
    *,
    tolerance: float = FLOAT32,
    unit: str | None = None,
    history: History | None = None,
    moments: Moments | None = None,
) -> Difference | None:
    """How one column of the served rows differs from the expected one, or None when no row does.

    The columns are aligned and of shape (n,), and so are `moments`, the rows' event times and places; with them and the
    warehouse's `history` a stale look-up is recognised. `unit` is the declared one. Raises `BadInput` when the columns
    can't be compared.

    >>> miles = np.array([187.0, 2475.0, 762.0, 544.0])
    >>> difference = find_difference("distance", "input", miles, miles * np.array([1, 1.609344, 1, 1.609344]), unit="mi")
    >>> difference.shape
    'ratio 1.609344: miles sent as kilometres?'
    """
    mask = differing(expected, served, tolerance=tolerance)
    if not mask.any():
        return None
    rows = np.flatnonzero(mask)
    lookup = None
    if history is not None and moments is not None and column in history.values:
        lookup = Lookup(history, column, moments.take(rows))
    found = evidence(expected[rows], served[rows], unit=unit, lookup=lookup, exact=tolerance == 0)
    near = int(rounded(expected, served, tolerance=tolerance).sum())
    return Difference(column, kind, rows, len(mask), near, name_shapes(found), _examples(rows, found))


def name_shapes(rows: Evidence) -> tuple[Shape, ...]:
    """The shapes of differing rows, the one of most rows first; rows without a common shape are in none of them.

    Greedy: each shape is looked for among the rows that those before it have left over.
    """
    shapes: list[Shape] = []
    left = np.ones(len(rows.expected), np.bool_)
    while left.any() and (shape := _best(rows.take(left))):
        mask = np.zeros_like(left)
        mask[np.flatnonzero(left)[shape.mask]] = True
        shapes.append(replace(shape, mask=mask))
        left &= ~mask
    return tuple(sorted(shapes, key=lambda shape: -shape.rows))


def _best(rows: Evidence) -> Shape | None:
    found = [shape for find in _FINDERS[rows.kind] if (shape := find(rows)) is not None]
    most = max((shape.rows for shape in found), default=0)
    return next((shape for shape in found if shape.rows >= _NEARLY * most), None)


def default(rows: Evidence) -> Shape | None:
    """A missing value served as a constant: 0, -1, an empty text, a mean."""
    if not rows.filled.any():
        return None
    value, count = Counter(rows.served[rows.filled].tolist()).most_common(1)[0]
    usual = _is_default(value) and count >= SHARE * rows.filled.sum()
    if not usual and count < max(FEW, _MOST * rows.filled.sum()):
        return None
    hit = rows.filled & (rows.served == np.array(value, rows.served.dtype))
    return Shape("default", f"missing sent as {_text(value)}", hit, {"value": value})


def lost(rows: Evidence) -> Shape | None:
    """A value served as missing."""
    if not rows.lost.any():
        return None
    values = set(rows.expected[rows.lost].tolist())
    only = next(iter(values))
    constant = len(values) == 1 and _is_default(only)
    sentence = f"{_text(only)} sent as missing" if constant else "value lost: sent as missing"
    return Shape("lost", sentence, rows.lost, {"value": only} if constant else {})


def imputed(rows: Evidence) -> Shape | None:
    """Missing values served as various values."""
    enough = rows.filled.sum() >= FEW
    return Shape("imputed", "missing sent as a value: filled in?", rows.filled) if enough else None


def stuck(rows: Evidence) -> Shape | None:
    """One value served for all of them."""
    if not rows.both.any():
        return None
    value, count = Counter(rows.served[rows.both].tolist()).most_common(1)[0]
    hit = rows.both & (rows.served == np.array(value, rows.served.dtype))
    if count < max(FEW + 1, _MOST * rows.both.sum()) or len(set(rows.expected[hit].tolist())) < FEW:
        return None
    return Shape("stuck", f"always {_text(value)}, whatever was expected", hit, {"value": value})


#: By kind of column, the better name first: it wins over a later one that explains hardly more.
_FINDERS: dict[Kind, tuple[Finder, ...]] = {
    "number": (
        arithmetic.known_unit,
        default,
        lost,
        arithmetic.cyclic_offset,
        arithmetic.ratio,
        arithmetic.offset,
        stale,
        arithmetic.rounding,
        arithmetic.rounded_unit,
        arithmetic.transformed,
        arithmetic.affine,
        texts.renamed,
        stuck,
        imputed,
    ),
    "time": (default, lost, clock.time_offset, clock.time_cut, stale, stuck, imputed),
    "text": (default, lost, texts.rewritten, texts.renamed, stale, stuck, imputed),
}


def _is_default(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _DEFAULT_TEXTS
    return value in _DEFAULTS if isinstance(value, float) else np.datetime64(value, "us") == _EPOCH


def _text(value: Any) -> str:
    return shown(value if isinstance(value, (str, float)) else np.datetime64(value, "us"))


def _examples(rows: Array, found: Evidence) -> tuple[tuple[int, Any, Any], ...]:
    values = zip(rows.tolist()[:_EXAMPLES], _plain(found.expected), _plain(found.served), strict=True)
    return tuple(values)


def _plain(column: Array) -> list[Any]:
    """The first few values as Python has them, None for missing."""
    values = normal(column)[:_EXAMPLES].tolist()
    return [None if isinstance(value, float) and value != value else value for value in values]  # noqa: PLR0124


__all__ = ["History", "Mask", "Moments", "find_difference", "name_shapes"]
