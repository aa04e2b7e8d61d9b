"""Shapes of times: offsets, and times cut to the hour or the day."""

from dataclasses import replace

import numpy as np

from assay.contract.columns import Array
from assay.skew.compare import Shape
from assay.skew.evidence import FEW, Evidence, convincing

_HOUR_US = 3_600_000_000
#: The zones of the world are whole or half hours apart, and up to this far from UTC.
_ZONE_US = _HOUR_US // 2
_FARTHEST_US = 14 * _HOUR_US
_LENGTHS = ((24 * _HOUR_US, "d"), (_HOUR_US, "h"), (_HOUR_US // 60, "min"), (1_000_000, "s"))
_UNITS = {"D": "whole days", "h": "whole hours", "m": "whole minutes", "s": "whole seconds"}


def time_offset(rows: Evidence) -> Shape | None:
    """A constant length of time added; whole and half hours smell of a time zone."""
    # Microseconds since 1970 are exact as floats until the year 2255.
    numbers = replace(rows, expected=_microseconds(rows.expected), served=_microseconds(rows.served), kind="number")
    lengths, counts = np.unique((numbers.served - numbers.expected)[rows.both], return_counts=True)
    if len(lengths) == 0:
        return None
    added = float(lengths[counts.argmax()])
    zone = added % _ZONE_US == 0 and abs(added) <= _FARTHEST_US
    hit = convincing(numbers, numbers.expected + added, 0.0)
    if hit is None and zone and len(lengths) == 1 and counts[0] >= FEW:
        hit = rows.both
    words = f"offset {_length(added)}{': time zone?' if zone else ''}"
    return None if hit is None else Shape("time offset", words, hit, {"seconds": added / 1e6})


def time_cut(rows: Evidence) -> Shape | None:
    """Times without their minutes, or without their time of day."""
    for code, words in _UNITS.items():
        hit = rows.both & (rows.expected.astype(f"datetime64[{code}]").astype("datetime64[us]") == rows.served)
        if hit.sum() >= max(FEW, 0.8 * rows.both.sum()):
            return Shape("rounding", f"cut to {words}", hit, {"unit": code})
    return None


def _microseconds(times: Array) -> Array:
    return np.where(np.isnat(times), np.nan, times.astype(np.int64).astype(np.float64))


def _length(microseconds: float) -> str:
    """A length of time in the largest unit that leaves one decimal at most."""
    for size, unit in _LENGTHS:
        if abs(microseconds) >= size and microseconds * 10 % size == 0:
            return f"{microseconds / size:+g} {unit}"
    return f"{microseconds / 1e6:+.7g} s"
