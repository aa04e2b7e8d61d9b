"""Shapes of wrong numbers: ratios, units, offsets, roundings. Pure functions from evidence to a shape or None."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

import numpy as np

from assay.skew.evidence import FEWEST, Array, Evidence, Finder, Mask, Shape, beats_chance, most_alike, spread
from assay.skew.units import Conversion, conversions

Follows = Callable[[Conversion, Array, Array], Mask]

CYCLES = (7, 24, 12, 60)  # weekdays, hours, months, minutes
EXACT = 1e-5  # relative; wide enough for float32 and for factors written with six digits
_FLOAT32 = 2.0**-23


def known_unit(evidence: Evidence) -> Shape | None:
    """A ratio that converts one unit to another."""
    found = _converted(evidence, _ratios(evidence.unit))
    if found is None:
        return None
    conversion, rows = found
    return Shape("unit", f"ratio {conversion.factor:.7g}: {conversion.words}?", rows, conversion.factor)


def known_affine(evidence: Evidence) -> Shape | None:
    """A conversion between scales of temperature."""
    found = _converted(evidence, [way for way in conversions(evidence.unit) if way.shift])
    if found is None:
        return None
    conversion, rows = found
    return Shape("unit", f"{conversion.words}?", rows, conversion.factor)


def rounded_unit(evidence: Evidence) -> Shape | None:
    """A conversion rounded to whole numbers; only in nearly all rows, for it is easily met by chance."""
    numbers = _numbers(evidence)
    if numbers is None or not _whole(numbers[1]):
        return None
    expected, served, present = numbers
    telling = bool(np.median(np.abs(served)) >= 50)  # large enough to tell one factor from another
    ways = [way for way in conversions(evidence.unit) if telling or evidence.unit in way.units]
    if not ways:
        return None
    best = _best(ways, expected, served, _follows_rounded)
    mask = _follows_rounded(best, expected, served)
    if mask.mean() < 0.9 or not beats_chance(partial(_by_best, ways, _follows_rounded), expected, served):
        return None
    ratio = f"ratio {best.factor:.7g}, " if best.shift == 0 else ""
    return Shape("unit", f"{ratio}rounded: {best.words}?", spread(mask, present), best.factor)


def ratio(evidence: Evidence) -> Shape | None:
    """A constant ratio in no table, or a changed sign."""
    found = _found(evidence, _same_ratio)
    if found is None:
        return None
    value = float(np.median(evidence.served[found] / evidence.expected[found]))
    sentence = "ratio -1: sign changed" if abs(value + 1) <= EXACT else f"ratio {_tidy(value)}"
    return Shape("ratio", sentence, found, value)


def offset(evidence: Evidence) -> Shape | None:
    """A constant offset."""
    found = _found(evidence, _same_offset)
    if found is None:
        return None
    value = float(np.median(_floats(evidence.served[found]) - _floats(evidence.expected[found])))
    return Shape("offset", f"offset {_tidy(value, '+')}", found, value)


def modular_offset(evidence: Evidence) -> Shape | None:
    """A constant offset of numbers that wrap: weekdays, hours, months, minutes."""
    shapes = [shape for cycle in CYCLES if (shape := _wrapped(evidence, cycle)) is not None]
    return max(shapes, key=lambda shape: int(shape.explained.sum()), default=None)


def rounding(evidence: Evidence) -> Shape | None:
    """Numbers rounded or cut to some decimals; rounding to float32 is no difference and never comes here."""
    numbers = _numbers(evidence)
    if numbers is None:
        return None
    expected, served, present = numbers
    finders = [(partial(how, decimals), words, decimals) for decimals in range(7) for how, words in _ROUNDINGS]
    find, words, decimals = max(finders, key=lambda way: int(way[0](expected, served).sum()))
    mask = find(expected, served)
    if len(np.unique(expected[mask])) < FEWEST or not beats_chance(find, expected, served):
        return None
    to = "whole numbers" if decimals == 0 else f"{decimals} decimal{'s' if decimals > 1 else ''}"
    return Shape("rounding", f"{words} to {to}", spread(mask, present), decimals)


def line(evidence: Evidence) -> Shape | None:
    """A straight line of no known meaning, exact for five expected values or more and for most of the rows."""
    numbers = _numbers(evidence)
    if numbers is None:
        return None
    expected, served, present = numbers
    fit = _through(expected, served)
    if fit is None:
        return None
    slope, start = fit
    find: Finder = partial(_on_line, factor=slope, start=start)
    mask = find(expected, served)
    if mask.mean() < 0.8 or len(np.unique(expected[mask])) < 5 or not beats_chance(find, expected, served):
        return None
    return Shape(
        "line", f"served = {_tidy(slope)} * expected {_tidy(start, '+')}", spread(mask, present), (slope, start)
    )


def _ratios(unit: str | None) -> list[Conversion]:
    return [way for way in conversions(unit) if way.shift == 0]


def _converted(evidence: Evidence, ways: Sequence[Conversion]) -> tuple[Conversion, Mask] | None:
    numbers = _numbers(evidence)
    if numbers is None:
        return None
    expected, served, present = numbers
    best = _best(ways, expected, served, _follows)
    mask = _follows(best, expected, served)
    hits = int(mask.sum())
    declared = evidence.unit in best.units
    if 0 < hits < FEWEST or declared:  # of a declared unit even rows of one value are convincing
        sure = (_unmistakable(best) or declared) and hits > 0 and hits * 2 >= len(evidence)
    else:
        sure = beats_chance(partial(_by_best, ways, _follows), expected, served)
    return (best, spread(mask, present)) if sure else None


def _best(ways: Sequence[Conversion], expected: Array, served: Array, how: Follows) -> Conversion:
    """The conversion that explains most rows; of equal ones the first, which is of the declared unit."""
    return max(ways, key=lambda way: int(how(way, expected, served).sum()))


def _by_best(ways: Sequence[Conversion], how: Follows, expected: Array, served: Array) -> Mask:
    return how(_best(ways, expected, served, how), expected, served)


def _unmistakable(way: Conversion) -> bool:
    """Whether the factor is too odd to come about between round numbers."""
    plain = float(Fraction(way.factor).limit_denominator(100))
    return way.shift == 0 and abs(plain - way.factor) > EXACT * way.factor


def _follows(way: Conversion, expected: Array, served: Array) -> Mask:
    return _on_line(expected, served, way.factor, way.shift)


def _follows_rounded(way: Conversion, expected: Array, served: Array) -> Mask:
    converted = expected * way.factor + way.shift
    return ((np.round(converted) == served) | (np.trunc(converted) == served)) & (served != expected)


def _on_line(expected: Array, served: Array, factor: float, start: float) -> Mask:
    """Rows where `served = factor * expected + start`, up to rounding of the terms to float32, and not `expected`."""
    terms = np.abs(factor * expected) + abs(start)
    near = np.abs(factor * expected + start - served) <= EXACT * np.abs(served) + 2 * _FLOAT32 * terms
    return near & (np.abs(served - expected) > EXACT * np.abs(expected)) & ((served != 0) | (start != 0))


def _numbers(evidence: Evidence) -> tuple[Array, Array, Mask] | None:
    """Both sides as float64 where neither is missing, and where that is; None when there are no numbers."""
    if evidence.expected.dtype.kind not in "biuf" or evidence.served.dtype.kind not in "biuf":
        return None
    present = evidence.present & np.isfinite(_floats(evidence.expected)) & np.isfinite(_floats(evidence.served))
    return (_floats(evidence.expected)[present], _floats(evidence.served)[present], present) if present.any() else None


def _floats(column: Array) -> Array:
    return column.astype(np.float64)


def _whole(numbers: Array) -> bool:
    return np.array_equal(numbers, np.trunc(numbers))


def _found(evidence: Evidence, find: Finder) -> Mask | None:
    """The rows a finder explains, when they are enough, of two expected values or more, and no work of chance."""
    numbers = _numbers(evidence)
    if numbers is None:
        return None
    expected, served, present = numbers
    mask = find(expected, served)
    if len(np.unique(expected[mask])) < 2 or not beats_chance(find, expected, served):
        return None
    return spread(mask, present)


def _same_ratio(expected: Array, served: Array) -> Mask:
    usable = (expected != 0) & (served != 0) & (np.abs(served - expected) > EXACT * np.abs(expected))
    ratios = served[usable] / expected[usable]
    return spread(most_alike(ratios, 2 * EXACT * np.abs(ratios)), usable)


def _same_offset(expected: Array, served: Array) -> Mask:
    apart = served - expected
    noise = 2 * _FLOAT32 * np.maximum(np.abs(expected), np.abs(served))
    usable = np.abs(apart) > 100 * noise
    return spread(most_alike(apart[usable], noise[usable]), usable)


def _wrapped(evidence: Evidence, cycle: int) -> Shape | None:
    numbers = _numbers(evidence)
    if numbers is None:
        return None
    both = np.concatenate(numbers[:2])
    if not _whole(both) or both.min() < 0 or both.max() > cycle or both.max() - both.min() >= cycle:
        return None
    found = _found(evidence, partial(_same_step, cycle))
    if found is None:
        return None
    apart = np.unique(_floats(evidence.served[found]) - _floats(evidence.expected[found]))
    if len(apart) != 2:  # the plain offset and the wrapped one
        return None
    value = int(min(apart, key=abs))
    return Shape("offset", f"offset {value:+d} modulo {cycle}", found, value)


def _same_step(cycle: int, expected: Array, served: Array) -> Mask:
    steps = (served - expected) % cycle
    usable = steps != 0
    return spread(most_alike(steps[usable], np.zeros(int(usable.sum()))), usable)


def _rounded_to(decimals: int, expected: Array, served: Array) -> Mask:
    half = 0.5 * 10.0**-decimals
    return _has_decimals(served, decimals) & (np.abs(expected - served) <= half + 1e-7 * np.abs(expected))


def _cut_to(decimals: int, expected: Array, served: Array) -> Mask:
    toward_zero = np.abs(served) <= np.abs(expected) * (1 + _FLOAT32)
    return _has_decimals(served, decimals) & toward_zero & (np.abs(expected - served) < 10.0**-decimals)


_ROUNDINGS = ((_rounded_to, "rounded"), (_cut_to, "cut"))


def _has_decimals(numbers: Array, decimals: int) -> Mask:
    steps = numbers * 10.0**decimals
    return np.abs(steps - np.rint(steps)) <= np.minimum(1e-9 + 1e-7 * np.abs(steps), 0.01)


def _through(expected: Array, served: Array) -> tuple[float, float] | None:
    """Slope and start of the line through most rows: median slope of rows half the column apart (Theil 1950)."""
    distinct, first = np.unique(expected, return_index=True)
    half = len(distinct) // 2
    if len(distinct) < 5:
        return None
    values = served[first]
    slope = float(np.median((values[half:] - values[: len(values) - half]) / (distinct[half:] - distinct[:-half])))
    start = float(np.median(served - slope * expected))
    return (slope, start) if abs(slope) > EXACT else None


def _tidy(number: float, sign: str = "") -> str:
    """Seven digits: what survives float32."""
    return f"{number:{sign}.7g}"
