"""The shape of a stale look-up: a value that was right some time before."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assay.contract.columns import Array
from assay.skew.compare import Mask, Shape, differing
from assay.skew.evidence import FEW, SURPRISE, Evidence, Lookup, normal, surprise

_HOURS = (1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 672)
_HOUR_US = 3_600_000_000
#: A row of the warehouse this near in time speaks for the moment (for lags of an hour, half of it).
_NEAR_US = _HOUR_US
#: The share of the rows with a known past that must have its value.
_AGREE = 0.9
_ROLLS = 8


@dataclass(frozen=True, eq=False)
class _Past:
    """The warehouse's values just before and just after each row's event time minus a lag."""

    hours: int
    group: str
    known: Mask
    agrees: Mask
    neighbours: tuple[tuple[Array, Mask], ...]

    @property
    def rate(self) -> float:
        return int(self.agrees.sum()) / max(1, int(self.known.sum()))


def stale(rows: Evidence) -> Shape | None:
    """The value of a whole lag before, at the same place: the look-up table was not refreshed."""
    pasts = list(_pasts(rows))
    best = max(pasts, key=lambda past: int(past.agrees.sum()), default=None)
    if best is None or best.rate < _AGREE or best.known.sum() < max(FEW, 0.5 * len(rows.expected)):
        return None
    others = [past.rate for past in pasts if past.hours != best.hours]
    chance = max(_shuffled(rows, best), *others)
    needed = SURPRISE + math.log(len(pasts))
    if surprise(int(best.agrees.sum()), int(best.known.sum()), chance) < needed:
        return None
    place = f" (same {best.group})" if best.group else ""
    lag = f"{best.hours} h" if best.hours <= 48 else f"{best.hours // 24} days"
    parameters = {"hours": best.hours, "group": best.group, "chance": chance}
    return Shape("stale", f"the value of {lag} before{place}: stale look-up?", best.agrees, parameters)


def _pasts(rows: Evidence) -> Iterator[_Past]:
    lookup = rows.lookup
    if lookup is None or np.isnat(lookup.history.moments.times).all():
        return
    for group in ("", *(name for name in lookup.moments.groups if name in lookup.history.moments.groups)):
        timeline = _Timeline.of(lookup, group)
        for hours in _HOURS:
            neighbours = timeline.around(hours)
            known = np.logical_or.reduce([near for _, near in neighbours])
            yield _Past(hours, group, known, _agrees(rows.served, neighbours), neighbours)


def _agrees(served: Array, neighbours: tuple[tuple[Array, Mask], ...]) -> Mask:
    return np.logical_or.reduce([near & ~differing(values, served) for values, near in neighbours])


def _shuffled(rows: Evidence, past: _Past) -> float:
    """The rate of agreement with the served values of other rows, from which the expected value differs."""
    size = len(rows.served)
    agreed = compared = 0
    for turn in range(1, _ROLLS + 1):
        served = np.roll(rows.served, max(1, size * turn // (_ROLLS + 1)))
        fair = past.known & differing(rows.expected, served)
        agreed += int((fair & _agrees(served, past.neighbours)).sum())
        compared += int(fair.sum())
    return agreed / compared if compared else 1.0


@dataclass(frozen=True, eq=False)
class _Timeline:
    """The warehouse's values in the order of place and time, and the differing rows on the same scale."""

    #: Place and time as one ascending integer.
    order: Array
    values: Array
    #: Of the differing rows.
    at: Array

    @classmethod
    def of(cls, lookup: Lookup, group: str) -> "_Timeline":
        """The timeline of one column, apart for each text of `group`, or of all rows when it is empty."""
        warehouse, moments = lookup.history.moments, lookup.moments
        dated = ~np.isnat(warehouse.times)
        past, at = _microseconds(warehouse.times[dated]), _microseconds(moments.times)
        # Wider than any lag, so that no row reaches into the times of another place.
        first = int(past.min()) - 2 * _HOURS[-1] * _HOUR_US
        width = int(past.max()) - first + 2 * _HOURS[-1] * _HOUR_US
        # Without a time, or out of the warehouse's, a row is put where it is near to nothing.
        at = np.where(np.isnat(moments.times) | (at < first) | (at > first + width), first, at)
        order, at = past - first, at - first
        if group:
            codes: dict[object, int] = {}
            order += width * _coded(warehouse.groups[group][dated], codes)
            at += width * _coded(moments.groups[group], codes)
        ascending = np.argsort(order, kind="stable")
        return cls(order[ascending], normal(lookup.history.values[lookup.column])[dated][ascending], at)

    def around(self, hours: int) -> tuple[tuple[Array, Mask], ...]:
        """The values just before and just after the lag, and whether they are near."""
        wanted = self.at - hours * _HOUR_US
        near = min(_NEAR_US, hours * _HOUR_US // 2)
        after = np.searchsorted(self.order, wanted, "left")
        found: list[tuple[Array, Mask]] = []
        for index in (np.searchsorted(self.order, wanted, "right") - 1, after):
            inside = np.clip(index, 0, len(self.order) - 1)
            found.append((self.values[inside], np.abs(self.order[inside] - wanted) <= near))
        return tuple(found)


def _microseconds(times: Array) -> Array:
    return times.astype("datetime64[us]").astype(np.int64)


def _coded(texts: Array, codes: dict[object, int]) -> Array:
    """Texts as small integers; `codes` grows by those not seen before."""
    return np.array([codes.setdefault(text, len(codes)) for text in texts.tolist()], np.int64)
