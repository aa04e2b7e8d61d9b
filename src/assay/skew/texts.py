"""Shapes of texts and codes: renamed categories, and texts changed by a rule."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from assay.contract.columns import Array
from assay.skew.compare import Mask, Shape
from assay.skew.evidence import FEW, SHARE, Evidence, shown

#: Of the rows of one category, this share must have been renamed alike.
_PURE = 0.8
#: One in a hundred: agreements by accident.
_ACCIDENT = math.log(0.01)
_SHOWN = 5
_RULES: dict[str, Callable[[str], str]] = {
    "lower-cased": str.lower,
    "upper-cased": str.upper,
    "capitalized": str.capitalize,
    "spaces cut off": str.strip,
    "leading zeros cut off": lambda text: text.lstrip("0") or "0",
    "spaces cut off and lower-cased": lambda text: text.strip().lower(),
    "spaces cut off and upper-cased": lambda text: text.strip().upper(),
}
_SAME_BUT: dict[str, Callable[[str], str]] = {
    "only upper and lower case differ": str.casefold,
    "only spaces around it differ": str.strip,
    "only leading zeros differ": lambda text: text.lstrip("0"),
}


def rewritten(rows: Evidence) -> Shape | None:
    """Texts changed by a rule: case, spaces, padding, a length."""
    pairs = list(zip(rows.expected[rows.both].tolist(), rows.served[rows.both].tolist(), strict=True))
    enough = max(1, SHARE * len(pairs))
    tests: dict[str, Callable[[str, str], bool]] = {
        name: lambda expected, served, rule=rule: rule(expected) == served for name, rule in _RULES.items()
    }
    tests |= {
        name: lambda expected, served, rule=rule: rule(expected) == rule(served) for name, rule in _SAME_BUT.items()
    }
    length = Counter(len(served) for expected, served in pairs if served and expected.startswith(served)).most_common(1)
    if length and length[0][1] >= FEW:
        longest = length[0][0]
        tests[f"cut to {longest} characters"] = lambda expected, served: expected[:longest] == served
    for name, test in tests.items():
        hit = [test(expected, served) for expected, served in pairs]
        if sum(hit) >= enough:
            return Shape("text", name, _spread(rows, np.array(hit)), {"rule": name})
    return None


def renamed(rows: Evidence) -> Shape | None:
    """Each category served as one other: a new code list, a swap, a rotation."""
    expected, served = (column[rows.both].tolist() for column in (rows.expected, rows.served))
    names = _names(expected, served)
    if not _is_renaming(names, expected, served, rows.kind):
        return None
    hit = np.array([names.get(one) == other for one, other in zip(expected, served, strict=True)])
    shuffled = len(names) > 1 and set(names) == set(names.values())
    word = ": swapped?" if shuffled and len(names) == 2 else ": same names in another order?" if shuffled else ""
    return Shape("category", _listed(names) + word, _spread(rows, hit), {"names": names})


def _names(expected: list[Any], served: list[Any]) -> dict[Any, Any]:
    """What each category is served as, the most frequent first, where that is nearly always the same."""
    sizes = Counter(expected)
    names: dict[Any, Any] = {}
    for (one, other), count in Counter(zip(expected, served, strict=True)).most_common():
        if one not in names and count >= _PURE * sizes[one]:
            names[one] = other
    return names


def _is_renaming(names: dict[Any, Any], expected: list[Any], served: list[Any], kind: str) -> bool:
    matched = sum(names.get(one) == other for one, other in zip(expected, served, strict=True))
    constant = len(names) >= FEW and len(set(names.values())) == 1
    # Where there are but two values, each row that differs is a swap.
    trivial = len({*expected, *served}) == 2 and len(names) == 2
    if matched < max(FEW, _PURE * len(expected)) or constant or trivial:
        return False
    if kind == "number" and (matched < 4 * len(names) or any(one % 1 for one in (*expected, *served))):
        return False
    # Each row after the first of its category agrees by accident with one in (values - 1).
    repeats = matched - len(names)
    others = max(2, len({*expected, *served}) - 1)
    return repeats >= FEW and repeats * math.log(1 / others) <= _ACCIDENT


def _listed(names: dict[Any, Any]) -> str:
    parts = [f"{shown(one)} sent as {shown(other)}" for one, other in list(names.items())[:_SHOWN]]
    return ", ".join([*parts, f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else parts)


def _spread(rows: Evidence, hit: Array) -> Mask:
    """A mask over the rows with both values, as one over all."""
    mask = np.zeros(len(rows.both), np.bool_)
    mask[np.flatnonzero(rows.both)[hit]] = True
    return mask
