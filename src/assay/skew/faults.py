"""What a difference looks like: the shape of a fault, named from the rows that differ. No I/O.

A shape is named when it explains three rows or more, and clearly more than it would if the served values were shuffled
among the rows, so noise gets no name. The shape that explains most rows comes first; the rest is looked at again.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np

from assay.skew.arithmetic import (
    known_affine,
    known_unit,
    line,
    modular_offset,
    offset,
    ratio,
    rounded_unit,
    rounding,
)
from assay.skew.evidence import (
    FEWEST,
    Array,
    Evidence,
    History,
    Mask,
    Shape,
    beats_chance,
    most_alike,
    spread,
    unlikely,
)
from assay.skew.stale import stale_lookup

__all__ = ["SHAPES", "Evidence", "History", "Shape", "name_shapes"]

MOST_SHAPES = 8
_QUARTER = timedelta(minutes=15)
_WIDEST_ZONE = timedelta(hours=14)
_SHOWN = 4


def name_shapes(evidence: Evidence) -> tuple[Shape, ...]:
    """The shapes that explain the differing rows, most rows first; no row has two, and some may have none.

    >>> evidence = Evidence("distance", np.array([1.0, 2.0, 5.0]), np.array([1.609344, 3.218688, 8.04672]), unit="mi")
    >>> [shape.sentence for shape in name_shapes(evidence)]
    ['ratio 1.609344: miles sent as kilometres?']
    """
    left = np.arange(len(evidence))
    shapes: list[Shape] = []
    while len(left) and len(shapes) < MOST_SHAPES:
        rest = evidence.take(left)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # of numbers near the largest
            found = [shape for finder in SHAPES if (shape := finder(rest)) is not None]
        if not found:
            break
        best = max(found, key=lambda shape: int(shape.explained.sum()))
        explained = np.zeros(len(evidence), dtype=np.bool_)
        explained[left[best.explained]] = True
        shapes.append(replace(best, explained=explained))
        left = left[~best.explained]
    return tuple(shapes)


def missing_default(evidence: Evidence) -> Shape | None:
    """Missing sent as one value; a zero or an empty text is believed in a single row."""
    rows = np.isnan(evidence.expected) & ~np.isnan(evidence.served)
    if not rows.any():
        return None
    served = evidence.served[rows]
    values: list[object] = served.tolist()
    default, times = Counter(values).most_common(1)[0]
    if times < FEWEST and default not in (0, ""):
        return None
    mask = np.array([value == default for value in values], dtype=np.bool_)
    return Shape("default", f"missing sent as {_shown(served[mask][:1])}", spread(mask, rows), default)


def value_lost(evidence: Evidence) -> Shape | None:
    """A value sent as missing."""
    rows = ~np.isnan(evidence.expected) & np.isnan(evidence.served)
    return Shape("lost", "value lost: sent as missing", rows) if rows.sum() >= FEWEST else None


def time_offset(evidence: Evidence) -> Shape | None:
    """A constant offset of times; a time zone when it is whole quarters of an hour, up to 14 hours."""
    if evidence.expected.dtype.kind != "M":
        return None
    present = evidence.present
    expected, served = _microseconds(evidence.expected[present]), _microseconds(evidence.served[present])
    if not beats_chance(_same_span, expected, served):
        return None
    mask = _same_span(expected, served)
    apart = timedelta(microseconds=int((served - expected)[mask][0]))
    zone = abs(apart) <= _WIDEST_ZONE and not apart % _QUARTER
    sentence = f"{_span(apart)}: time zone?" if zone else f"offset {_span(apart)}"
    return Shape("time offset", sentence, spread(mask, present), apart)


def spelling(evidence: Evidence) -> Shape | None:
    """Texts of which only case or surrounding spaces differ."""
    if evidence.expected.dtype.kind != "T":
        return None
    pairs = _pairs(evidence)
    mask = np.array([a.strip().lower() == b.strip().lower() for a, b in pairs], dtype=np.bool_)
    if mask.sum() < FEWEST:
        return None
    a, b = pairs[int(np.argmax(mask))]
    what = "spaces differ" if a.strip() == b.strip() else "case differs"
    return Shape("spelling", f"only {what}: {a!r} sent as {b!r}", spread(mask, evidence.present))


def default_category(evidence: Evidence) -> Shape | None:
    """Always the same text for several expected ones."""
    return _always(evidence, "default category?") if evidence.expected.dtype.kind == "T" else None


def recoded(evidence: Evidence) -> Shape | None:
    """Each category sent as one other, more consistently than chance would have it."""
    if evidence.expected.dtype.kind != "T":
        return None
    pairs = _pairs(evidence)
    sent_as = _renamed(Counter(pairs))
    mask = np.array([sent_as.get(a) == b for a, b in pairs], dtype=np.bool_)
    if mask.sum() < FEWEST:
        return None
    words = [f"{a} sent as {b}" for a, b in sent_as.items()]
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    sentence = f"recoded: {', '.join(words[:_SHOWN])}{more}"
    return Shape("recoded", sentence, spread(mask, evidence.present), sent_as)


def stuck(evidence: Evidence) -> Shape | None:
    """Always the same number or time for several expected ones."""
    return _always(evidence, "stuck?") if evidence.expected.dtype.kind != "T" else None


#: In the order of belief where two explain as many rows.
SHAPES = (
    known_unit,
    missing_default,
    value_lost,
    known_affine,
    ratio,
    offset,
    time_offset,
    modular_offset,
    spelling,
    default_category,
    recoded,
    stale_lookup,
    rounded_unit,
    rounding,
    line,
    stuck,
)


def _always(evidence: Evidence, cause: str) -> Shape | None:
    present = evidence.present
    expected: list[object] = evidence.expected[present].tolist()
    served: list[object] = evidence.served[present].tolist()
    if not served:
        return None
    value, times = Counter(served).most_common(1)[0]
    mask = np.array([other == value for other in served], dtype=np.bool_)
    hidden = {a for a, same in zip(expected, mask, strict=True) if same}
    if times < max(FEWEST, 0.8 * len(served)) or len(hidden) < FEWEST:
        return None
    sentence = f"always sent as {_shown(evidence.served[present][mask][:1])}: {cause}"
    return Shape("stuck", sentence, spread(mask, present), value)


def _renamed(pairs: Counter[tuple[str, str]]) -> dict[str, str]:
    """What each category is sent as, most rows first, or nothing when chance could have done it.

    Chance draws each served category alike; where there are two only, a difference has no choice.
    """
    totals: Counter[str] = Counter()
    best: dict[str, tuple[int, str]] = {}
    for (a, b), times in pairs.items():
        totals[a] += times
        best[a] = max(best.get(a, (0, "")), (times, b))
    best = {a: sent for a, sent in best.items() if sent[0] >= 0.8 * totals[a]}
    agree = sum(times - 1 for times, _ in best.values())
    repeats = sum(totals.values()) - len(totals)
    categories = len({text for pair in pairs for text in pair})
    if categories > 2 and not unlikely(agree, repeats, 1 / (categories - 1)):
        return {}
    if agree < 0.9 * repeats:
        best = {a: sent for a, sent in best.items() if sent[0] >= FEWEST}
    return {a: b for a, (_, b) in sorted(best.items(), key=lambda item: (-item[1][0], item[0]))}


def _pairs(evidence: Evidence) -> list[tuple[str, str]]:
    present = evidence.present
    return list(zip(evidence.expected[present].tolist(), evidence.served[present].tolist(), strict=True))


def _microseconds(times: Array) -> Array:
    return times.astype("datetime64[us]").astype(np.int64)


def _same_span(expected: Array, served: Array) -> Mask:
    moved = served != expected
    apart = (served - expected)[moved]
    return spread(most_alike(apart, np.zeros_like(apart)), moved)


def _span(apart: timedelta) -> str:
    """A span in the words of a clock: `+5h`, `-30m`, `+1d 2h`."""
    size = abs(apart)
    hours, rest = divmod(size.seconds, 3600)
    parts = [(size.days, "d"), (hours, "h"), (rest // 60, "m"), (rest % 60 + size.microseconds / 1e6, "s")]
    return ("-" if apart < timedelta(0) else "+") + " ".join(f"{count:g}{unit}" for count, unit in parts if count)


def _shown(value: Array) -> str:
    """One value, as an array of shape (1,), in the words of a report."""
    if value.dtype.kind in "biuf":
        return f"{float(value[0]):.7g}"
    return str(value[0]) or "an empty text"
