"""What a difference looks like: the shape of a fault, named from the rows that differ. No I/O.

A shape is named when it explains three rows or more and explains clearly more rows than it would if the served values were
shuffled among the rows, so noise gets no name. The shape that explains most rows comes first; the rest is looked at again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import log
from typing import Any

import numpy as np

from assay.skew.units import EXACT, RATIOS, TEMPERATURES, Conversion, apply, follows, on_line

Array = np.ndarray[Any, np.dtype[Any]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Finder = Callable[[Array, Array], Mask]

FEWEST = 3  # rows that make a shape
MOST_SHAPES = 8
SAMPLE = 5_000  # rows that decide against chance
_SHUFFLES = 5
_CERTAIN = log(1e-4)
_FLOAT32 = 2.0**-23


@dataclass(frozen=True, eq=False)
class History:
    """The warehouse, to find served values that were right at another time.

    `values`, `times` (datetime64[us]) and each of `keys` (texts with few values, such as an airport) have shape (m,);
    `row_times` and each of `row_keys`, for the rows that are compared, shape (n,).
    """

    values: Array
    times: Array
    row_times: Array
    keys: Mapping[str, Array] = field(default_factory=dict[str, Array])
    row_keys: Mapping[str, Array] = field(default_factory=dict[str, Array])

    def take(self, rows: Array) -> "History":
        """The same warehouse for some of the rows."""
        row_keys = {name: column[rows] for name, column in self.row_keys.items()}
        return replace(self, row_times=self.row_times[rows], row_keys=row_keys)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The differing rows of one column: expected and served, aligned, of shape (n,)."""

    column: str
    expected: Array
    served: Array
    unit: str | None = None
    history: History | None = None

    def take(self, rows: Array) -> "Evidence":
        """Some of the rows."""
        history = self.history.take(rows) if self.history else None
        return replace(self, expected=self.expected[rows], served=self.served[rows], history=history)


@dataclass(frozen=True, eq=False)
class Shape:
    """A named fault: which rows it explains, mask of shape (n,), and its one parameter (a ratio, an offset, a default)."""

    name: str
    sentence: str
    explained: Mask
    parameter: object = None


def name_shapes(evidence: Evidence) -> tuple[Shape, ...]:
    """The shapes that explain the differing rows, most rows first; no row has two, and some may have none.

    >>> evidence = Evidence("distance", np.array([1.0, 2.0, 5.0]), np.array([1.609344, 3.218688, 8.04672]), unit="mi")
    >>> [shape.sentence for shape in name_shapes(evidence)]
    ['ratio 1.609344: miles sent as kilometres?']
    """
    left = np.arange(len(evidence.expected))
    shapes: list[Shape] = []
    while len(left) and len(shapes) < MOST_SHAPES:
        rest = evidence.take(left)
        found = [shape for finder in SHAPES if (shape := finder(rest)) is not None]
        if not found:
            break
        best = max(found, key=lambda shape: int(shape.explained.sum()))
        explained = np.zeros(len(evidence.expected), dtype=np.bool_)
        explained[left[best.explained]] = True
        shapes.append(replace(best, explained=explained))
        left = left[~best.explained]
    return tuple(shapes)


def known_unit(evidence: Evidence) -> Shape | None:
    """A ratio that converts one unit to another."""
    found = _converted(evidence, RATIOS)
    if found is None:
        return None
    conversion, rows = found
    return Shape("unit", f"ratio {conversion.factor:.7g}: {conversion.words}", rows, conversion.factor)


def known_affine(evidence: Evidence) -> Shape | None:
    """A conversion between scales of temperature."""
    found = _converted(evidence, TEMPERATURES)
    if found is None:
        return None
    conversion, rows = found
    return Shape("unit", conversion.words, rows, conversion.factor)


def _converted(evidence: Evidence, conversions: Sequence[Conversion]) -> tuple[Conversion, Mask] | None:
    present, expected, served = _numbers(evidence)
    rows = [(follows(conversion, expected, served), conversion) for conversion in conversions]
    mask, best = max(rows, key=lambda row: (int(row[0].sum()), row[1].starts_from(evidence.unit)))
    hits = int(mask.sum())
    if 0 < hits < FEWEST:
        sure = best.unmistakable or best.starts_from(evidence.unit)
        return (best, _spread(mask, present)) if sure and hits * 2 >= len(present) else None
    beats = _beats_chance(lambda e, s: follows(best, e, s), expected, served)
    return (best, _spread(mask, present)) if hits and beats else None


def rounded_unit(evidence: Evidence) -> Shape | None:
    """A conversion of which whole numbers were sent; only in nearly all rows, for it is easily met by chance."""
    present, expected, served = _numbers(evidence)
    conversions = [c for c in (*RATIOS, *TEMPERATURES) if c.starts_from(evidence.unit) or _spans(served)]
    if len(served) < FEWEST or not conversions or not np.array_equal(served, np.trunc(served)):
        return None
    rows = [(_follows_rounded(conversion, expected, served), conversion) for conversion in conversions]
    mask, best = max(rows, key=lambda row: (int(row[0].sum()), row[1].starts_from(evidence.unit)))
    find: Finder = lambda e, s: _follows_rounded(best, e, s)  # noqa: E731
    if mask.mean() < 0.9 or not _beats_chance(find, expected, served):
        return None
    sentence = f"ratio {best.factor:.7g}, rounded: {best.words}"
    return Shape("unit", sentence if best.offset == 0 else f"rounded: {best.words}", _spread(mask, present), best.factor)


def _spans(served: Array) -> bool:
    """Whether whole numbers are large enough to tell one factor from another."""
    return len(served) > 0 and bool(np.median(np.abs(served)) >= 50)


def _follows_rounded(conversion: Conversion, expected: Array, served: Array) -> Mask:
    converted = apply(conversion, expected)
    return ((np.round(converted) == served) | (np.trunc(converted) == served)) & (served != expected)


def missing_default(evidence: Evidence) -> Shape | None:
    """Missing sent as one value; a zero or an empty text is believed in a single row."""
    rows = np.isnan(evidence.expected) & ~np.isnan(evidence.served)
    if not rows.any():
        return None
    default, times = Counter(evidence.served[rows].tolist()).most_common(1)[0]
    nothing = evidence.served[rows] == evidence.served.dtype.type(0) if _is_number(evidence.served) else None
    if nothing is not None and nothing.any() and int(nothing.sum()) * 2 >= times:
        default, times = 0, FEWEST
    if times < FEWEST and default != "":
        return None
    explained = rows.copy()
    explained[rows] = np.array([value == default for value in evidence.served[rows].tolist()])
    return Shape("default", f"missing sent as {_show(default)}", explained, default)


def value_lost(evidence: Evidence) -> Shape | None:
    """A value sent as missing."""
    rows = ~np.isnan(evidence.expected) & np.isnan(evidence.served)
    return Shape("lost", "value lost: sent as missing", rows) if rows.sum() >= FEWEST else None


def ratio(evidence: Evidence) -> Shape | None:
    """A constant ratio in no table, or a changed sign."""
    found = _found(evidence, _same_ratio)
    if found is None:
        return None
    value = float(np.median(evidence.served[found] / evidence.expected[found]))
    sentence = "sign changed" if abs(value + 1) <= EXACT else f"ratio {_tidy(value)}"
    return Shape("ratio", sentence, found, value)


def _same_ratio(expected: Array, served: Array) -> Mask:
    usable = (expected != 0) & (served != 0)
    ratios = served[usable] / expected[usable]
    usable[usable] = plain = np.abs(ratios - 1) > EXACT
    ratios = ratios[plain]
    return _spread(_most_alike(ratios, EXACT * 2 * np.abs(ratios)), usable)


def offset(evidence: Evidence) -> Shape | None:
    """A constant offset of numbers."""
    found = _found(evidence, _same_offset)
    if found is None:
        return None
    value = float(np.median(evidence.served[found].astype(np.float64) - evidence.expected[found]))
    return Shape("offset", f"offset {_tidy(value, '+')}", found, value)


def _same_offset(expected: Array, served: Array) -> Mask:
    apart = served - expected
    noise = _FLOAT32 * 2 * np.maximum(np.abs(expected), np.abs(served))
    usable = np.abs(apart) > 100 * noise
    return _spread(_most_alike(apart[usable], noise[usable]), usable)


def modular_offset(evidence: Evidence) -> Shape | None:
    """A constant offset of numbers that wrap: weekdays, hours, months, minutes."""
    shapes = [shape for modulo in (7, 24, 12, 60) if (shape := _modular(evidence, modulo)) is not None]
    return max(shapes, key=lambda shape: int(shape.explained.sum()), default=None)


def _modular(evidence: Evidence, modulo: int) -> Shape | None:
    _, expected, served = _numbers(evidence)
    both = np.concatenate([expected, served])
    if not len(both) or not np.array_equal(both, np.trunc(both)) or both.min() < 0 or both.max() - both.min() >= modulo:
        return None
    if both.max() > modulo:
        return None
    found = _found(evidence, lambda e, s: _most_alike((s - e) % modulo, np.zeros(len(e))))
    if found is None:
        return None
    apart = evidence.served[found].astype(np.int64) - evidence.expected[found].astype(np.int64)
    if len(np.unique(apart)) != 2:  # the plain offset and the wrapped one
        return None
    value = int(apart[0] % modulo)
    value = value if value <= modulo // 2 else value - modulo
    return Shape("offset", f"offset {value:+d} modulo {modulo}", found, value)


def time_offset(evidence: Evidence) -> Shape | None:
    """A constant offset of times; a time zone when it is whole quarters of an hour, up to 14 hours."""
    if evidence.expected.dtype.kind != "M":
        return None
    present = ~(np.isnan(evidence.expected) | np.isnan(evidence.served))
    expected, served = (_microseconds(column[present]) for column in (evidence.expected, evidence.served))
    find: Finder = lambda e, s: _most_alike(s - e, np.zeros(len(e), dtype=np.int64)) & (s != e)  # noqa: E731
    mask = find(expected, served)
    if not _beats_chance(find, expected, served):
        return None
    apart = timedelta(microseconds=int((served - expected)[mask][0]))
    zone = abs(apart) <= timedelta(hours=14) and not apart % timedelta(minutes=15)
    sentence = f"{_span(apart)}: time zone?" if zone else f"offset {_span(apart)}"
    return Shape("time offset", sentence, _spread(mask, present), apart)


def spelling(evidence: Evidence) -> Shape | None:
    """Texts of which only case or surrounding spaces differ."""
    pairs = _pairs(evidence)
    explained = np.array([a is not None and a.strip().lower() == b.strip().lower() for a, b in pairs], dtype=np.bool_)
    if explained.sum() < FEWEST:
        return None
    a, b = pairs[int(np.argmax(explained))]
    what = "case" if a.lower() == b.lower() else "spaces" if a.strip() == b.strip() else "case and spaces"
    return Shape("spelling", f"only {what} differs: {a!r} sent as {b!r}".replace("spaces differs", "spaces differ"), explained)


def recoded(evidence: Evidence) -> Shape | None:
    """Each category sent as one other, more consistently than chance would have it."""
    counts = Counter(pair for pair in _pairs(evidence) if pair[0] is not None)
    groups: dict[str, list[tuple[int, str]]] = {}
    for (a, b), times in counts.items():
        groups.setdefault(a, []).append((times, b))
    totals = {a: sum(times for times, _ in sent) for a, sent in groups.items()}
    renamed = {a: max(sent) for a, sent in groups.items() if max(sent)[0] >= 0.8 * totals[a]}
    repeats = sum(totals.values()) - len(totals)
    agreeing = sum(times - 1 for times, _ in renamed.values())
    values = len({value for pair in counts for value in pair})
    if not renamed or repeats < FEWEST - 1 or not _unlikely(agreeing, repeats, 1 / max(values - 1, 1), values == 2):
        return None
    if agreeing < 0.9 * repeats:
        renamed = {a: (times, b) for a, (times, b) in renamed.items() if times >= FEWEST}
    sent_as = {a: b for a, (_, b) in sorted(renamed.items(), key=lambda item: (-item[1][0], item[0]))}
    explained = np.array([sent_as.get(a) == b and a is not None for a, b in _pairs(evidence)], dtype=np.bool_)
    if explained.sum() < FEWEST or (len(sent_as) >= FEWEST and len(set(sent_as.values())) == 1):
        return None
    words = [f"{a} sent as {b}" for a, b in sent_as.items()]
    more = f" and {len(words) - 4} more" if len(words) > 4 else ""
    return Shape("recoded", f"recoded: {', '.join(words[:4])}{more}", explained, sent_as)
