"""Shapes of numbers: units, ratios, offsets, rounding."""

from collections.abc import Callable, Iterator

import numpy as np

from assay.contract.columns import Array
from assay.skew.compare import FLOAT32, Mask, Shape
from assay.skew.evidence import SHARE, Evidence, convincing
from assay.skew.units import Conversion, conversions, nearest, question

#: Ratios this near are one ratio: float32 and constants written with six digits both stay below.
SAME_RATIO = 1e-5
#: A fit that proves itself only by its rows must explain nearly all of them.
MOST = 0.8
#: Modulus and smallest value of cyclic numbers: weekday, ISO weekday, month, hour, minute, compass.
_CYCLES = ((7, 0), (7, 1), (12, 1), (24, 0), (60, 0), (360, 0))
_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "log1p": np.log1p,
    "log": np.log,
    "log10": np.log10,
    "expm1": np.expm1,
    "exp": np.exp,
    "sqrt": np.sqrt,
}
_ROUNDINGS: dict[str, Callable[[Array], Array]] = {"rounded": np.round, "cut": np.trunc, "rounded down": np.floor}
_PLACES = {
    1.0: "whole numbers",
    0.1: "1 decimal",
    0.01: "2 decimals",
    0.001: "3 decimals",
    10.0: "tens",
    100.0: "hundreds",
}


def known_unit(rows: Evidence) -> Shape | None:
    """A conversion of the table of units, like miles to kilometres."""
    found = [
        (conversion, hit) for conversion in conversions(rows.unit) if (hit := _converted(rows, conversion)) is not None
    ]
    if not found:
        return None
    conversion, hit = max(found, key=lambda pair: int(pair[1].sum()))
    return _unit_shape(rows, conversion, hit, str(conversion))


def _converted(rows: Evidence, conversion: Conversion) -> Mask | None:
    predicted = conversion.apply(rows.expected)
    # Near zero, what float32 leaves of the sum is small against its terms only.
    within = SAME_RATIO * np.abs(predicted) + 1e-6 * np.abs(rows.expected * conversion.factor)
    if rows.unit is None and not conversion.distinctive:
        return convincing(rows, predicted, within)
    hit = (np.abs(rows.served - predicted) <= within) & (rows.expected != 0 if not conversion.offset else True)
    count = int(hit.sum())
    return hit if count and count >= SHARE * rows.both.sum() else None


def _unit_shape(rows: Evidence, conversion: Conversion, hit: Mask, formula: str) -> Shape:
    parameters = {"source": conversion.source, "target": conversion.target, "ratio": conversion.factor}
    return Shape("unit", f"{formula}: {question(conversion, rows.unit)}", hit, parameters)


def rounded_unit(rows: Evidence) -> Shape | None:
    """A conversion of the declared unit, rounded to 0, 1 or 2 decimals on its way."""
    for conversion in conversions(rows.unit) if rows.unit else ():
        for step in (0.01, 0.1, 1.0):
            if not np.allclose(
                rows.served[rows.both], _to_step(rows.served[rows.both], step, np.round), rtol=FLOAT32, atol=0
            ):
                continue
            hit = convincing(rows, conversion.apply(rows.expected), step * 0.5001, share=MOST)
            if hit is not None:
                return _unit_shape(rows, conversion, hit, f"{conversion}, rounded to {_PLACES[step]}")
    return None


def ratio(rows: Evidence) -> Shape | None:
    """A constant ratio of served to expected."""
    usable = (
        rows.both & (rows.expected != 0) & (rows.served != 0) & np.isfinite(rows.expected) & np.isfinite(rows.served)
    )
    if not usable.any():
        return None
    ratios = rows.served[usable] / rows.expected[usable]
    factor = _mode(ratios, 2 * SAME_RATIO * np.abs(ratios))
    if abs(factor - 1) < 2 * SAME_RATIO:
        return None
    hit = convincing(rows, factor * rows.expected, SAME_RATIO * np.abs(rows.served))
    if hit is None:
        return None
    if conversion := nearest(factor, rows.unit):
        return _unit_shape(rows, conversion, hit, f"ratio {factor:.7g}")
    flipped = abs(factor + 1) < SAME_RATIO
    return Shape(
        "sign" if flipped else "ratio", "sign flipped" if flipped else f"ratio {factor:.7g}", hit, {"ratio": factor}
    )


def offset(rows: Evidence) -> Shape | None:
    """A constant number added."""
    usable = rows.both & np.isfinite(rows.expected) & np.isfinite(rows.served)
    if not usable.any():
        return None
    within = 1e-6 * np.maximum(np.abs(rows.expected), np.abs(rows.served)) + 1e-12
    typical = float(np.median(within[usable]))
    added = _mode((rows.served - rows.expected)[usable], np.full(int(usable.sum()), 2 * typical))
    if abs(added) <= 2 * typical:
        return None
    hit = convincing(rows, rows.expected + added, within)
    return None if hit is None else Shape("offset", f"offset {added:+.7g}", hit, {"offset": added})


def cyclic_offset(rows: Evidence) -> Shape | None:
    """A constant added to a cyclic number, like a weekday, where some rows wrapped around."""
    expected, served = rows.expected[rows.both], rows.served[rows.both]
    whole = bool(np.all(expected % 1 == 0) and np.all(served % 1 == 0)) and len(expected) > 0
    found = [shape for modulus, first in _CYCLES if whole and (shape := _wrapped(rows, modulus, first))]
    return max(found, key=lambda shape: shape.rows, default=None)


def _wrapped(rows: Evidence, modulus: int, first: int) -> Shape | None:
    expected, served = rows.expected[rows.both] - first, rows.served[rows.both] - first
    if min(expected.min(), served.min()) < 0 or max(expected.max(), served.max()) >= modulus:
        return None
    step = int(np.bincount(((served - expected) % modulus).astype(np.int64)).argmax())
    differences = served - expected
    if not (np.any(differences == step) and np.any(differences == step - modulus)):
        return None
    hit = convincing(rows, (rows.expected - first + step) % modulus + first, 0.0)
    signed = step - modulus if step > modulus / 2 else step
    zone = ": time zone?" if modulus == 24 else ""
    parameters = {"offset": signed, "modulus": modulus}
    return None if hit is None else Shape("cycle", f"offset {signed:+d} modulo {modulus}{zone}", hit, parameters)


def rounding(rows: Evidence) -> Shape | None:
    """Digits cut off or rounded away; float32 shows only where it counts as a difference."""
    if rows.exact:
        with np.errstate(over="ignore"):
            hit = rows.served == rows.expected.astype(np.float32)
        if hit.sum() >= SHARE * rows.both.sum() and hit.any():
            return Shape("rounding", "rounded to float32", hit, {"digits": "float32"})
    found = list(_roundings(rows))
    return max(found, key=lambda shape: shape.rows, default=None)


def _roundings(rows: Evidence) -> Iterator[Shape]:
    for step, places in _PLACES.items():
        for word, function in _ROUNDINGS.items():
            predicted = _to_step(rows.expected, step, function)
            hit = convincing(rows, predicted, FLOAT32 * np.abs(predicted), share=MOST)
            if hit is not None:
                yield Shape("rounding", f"{word} to {places}", hit, {"step": step})


def transformed(rows: Evidence) -> Shape | None:
    """A function applied, like log1p, or undone."""
    for name, function in _FUNCTIONS.items():
        with np.errstate(all="ignore"):
            predicted = function(rows.expected)
            within = SAME_RATIO * np.abs(predicted)
        predicted = np.where(np.isfinite(predicted), predicted, np.nan)
        hit = convincing(rows, predicted, within, share=MOST)
        if hit is not None:
            return Shape("function", f"{name} of the expected value", hit, {"function": name})
    return None


def affine(rows: Evidence) -> Shape | None:
    """Any straight line, through nearly all rows and five different expected values or more."""
    usable = np.flatnonzero(rows.both & np.isfinite(rows.expected) & np.isfinite(rows.served))
    values, first = np.unique(rows.expected[usable], return_index=True)
    if len(values) < 5:
        return None
    anchors = usable[first[np.linspace(0, len(values) - 1, 7).astype(int)]]
    lines = [line for i, a in enumerate(anchors) for b in anchors[i + 1 :] if (line := _line(rows, a, b))]
    slope, start = max(lines, key=lambda line: int(_on_line(rows, *line).sum()), default=(0.0, 0.0))
    hit = convincing(rows, slope * rows.expected + start, _line_width(rows, slope, start), share=MOST)
    if slope == 0 or hit is None or len(np.unique(rows.expected[hit])) < 5:
        return None
    sentence = f"served = {slope:.7g} * expected {'+' if start >= 0 else '-'} {abs(start):.7g}"
    return Shape("affine", sentence, hit, {"slope": slope, "start": start})


def _line(rows: Evidence, a: int, b: int) -> tuple[float, float] | None:
    run = float(rows.expected[b] - rows.expected[a])
    if run == 0:
        return None
    slope = float(rows.served[b] - rows.served[a]) / run
    return slope, float(rows.served[a]) - slope * float(rows.expected[a])


def _line_width(rows: Evidence, slope: float, start: float) -> Array:
    return SAME_RATIO * np.minimum(np.abs(slope * rows.expected) + abs(start), np.abs(rows.served) + 1e-6 * abs(start))


def _on_line(rows: Evidence, slope: float, start: float) -> Mask:
    return np.abs(slope * rows.expected + start - rows.served) <= _line_width(rows, slope, start)


def _to_step(values: Array, step: float, function: Callable[[Array], Array]) -> Array:
    # Dividing by a whole number keeps 0.3 from becoming 0.30000000000000004.
    per_unit = round(1 / step)
    return function(values * per_unit) / per_unit if step < 1 else function(values / step) * step


def _mode(values: Array, width: Array) -> float:
    """The middle of the fullest window; `width` is that of a window beginning at each value."""
    order = np.argsort(values)
    ordered = values[order]
    ends = np.searchsorted(ordered, ordered + width[order], "right")
    start = int(np.argmax(ends - np.arange(len(ordered))))
    return float(np.median(ordered[start : ends[start]]))
