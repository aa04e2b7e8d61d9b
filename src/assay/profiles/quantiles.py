"""Quantile sketches that merge: KLL of datasketches, filled from sorted values.

Source: Karnin, Lang and Liberty (2016), Optimal Quantile Approximation in Streams, FOCS; the layout of the bytes is
that of Apache DataSketches (`kll_sketch`, serial version 1), which its C++, Java and Python read.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

import numpy as np

from assay.contract.columns import Array
from assay.errors import Corrupt

_KLL = import_module("datasketches").kll_doubles_sketch  # by name: it has no types
K = 200
#: The rank of a quantile is wrong by no more than this, with 99 % confidence.
RANK_ERROR = 0.0133
_HEAD = struct.Struct("<BBBBHBBQHBB")
_SMALLEST_LEVEL, _FAMILY, _EMPTY, _SINGLE = 8, 15, 1, 4
#: Fewer values than this are given to the sketch one by one.
_FEW = 4096
_KEPT = 256


def sketch(ordered: Array) -> bytes:
    """The sketch of float64 values of shape (n,), sorted and without NaN; the same values give the same bytes.

    Of many values, one of each run of 2^j neighbours is kept, as the sketch would have kept it after j halvings, but
    always the middle one: the rank is then wrong by at most 0.4 %, and sorting is several times quicker than feeding.
    """
    if len(ordered) <= K:  # as many as it keeps without a choice by chance
        made = _KLL(K)
        made.update(np.ascontiguousarray(ordered))
        return made.serialize()
    return _packed(len(ordered), lambda ranks: ordered[ranks], ordered[[0, -1]])


def _packed(count: int, at_ranks: Callable[[Array], Array], ends: Array) -> bytes:
    """The bytes of a sketch of more than K values: those at some ranks, and the least and the greatest."""
    kept = _KEPT if count >= _FEW else _KEPT // 2
    height = max((count // kept).bit_length() - 1, 1)
    runs = count >> height
    left = count - (runs << height)
    starts = [0]  # of each level among the items: a level of height i holds values of weight 2^i
    ranks: list[int] = []
    at = 0
    for level in range(height):
        if left >> level & 1:
            ranks.append(at + (1 << level >> 1))
            at += 1 << level
        starts.append(len(ranks))
    top = at + (np.arange(runs, dtype=np.int64) << height) + (1 << height >> 1)
    values = at_ranks(np.concatenate([np.array(ranks, np.int64), top]))
    base = _capacity(height + 1) - len(values)
    head = _HEAD.pack(5, 1, _FAMILY, 0, K, _SMALLEST_LEVEL, 0, count, K, height + 1, 0)
    levels = np.array(starts, "<u4") + base
    return head + levels.tobytes() + ends.astype("<f8").tobytes() + values.astype("<f8").tobytes()


def _capacity(levels: int) -> int:
    """Room of a sketch of so many levels: each level downwards has two thirds of the one above."""
    return sum(max(_SMALLEST_LEVEL, (((2 * K << depth) // 3**depth) + 1) >> 1) for depth in range(levels))


def merge_sketches(parts: list[bytes]) -> bytes:
    """The sketch of all values, the same for the same parts; raises `Corrupt` for bytes that are none."""
    try:
        made = [_KLL.deserialize(part) for part in parts]
        made = [(one, weighted(part)) for one, part in zip(made, parts, strict=True) if one.n]
    except (RuntimeError, IndexError, ValueError, struct.error) as error:
        raise Corrupt(f"a profile's quantiles can't be read: {error}", do="Create the profile again.") from None
    if len(made) < 2:
        return next((part for part in parts if _KLL.deserialize(part).n), parts[0] if parts else _KLL(K).serialize())
    values = np.concatenate([sample[0] for _, sample in made])
    weights = np.concatenate([sample[1] for _, sample in made]).astype(np.int64)
    order = np.argsort(values, kind="stable")
    values, upto = values[order], np.cumsum(weights[order])
    count = int(upto[-1])
    if count <= K:
        return sketch(np.repeat(values, weights[order]))
    ends = np.array([min(one.get_min_value() for one, _ in made), max(one.get_max_value() for one, _ in made)])
    return _packed(count, lambda ranks: values[np.searchsorted(upto, ranks, "right")], ends)


@lru_cache(maxsize=4096)
def weighted(data: bytes) -> tuple[Array, Array]:
    """What a sketch keeps: distinct values ascending, and how many of the original values each stands for."""
    # Not by the sketch's own iterator: it gives wrong weights while its lowest level is empty (datasketches 5.2).
    flags = data[3]
    if flags & _EMPTY:
        return np.empty(0), np.empty(0)
    if flags & _SINGLE:
        return np.frombuffer(data, "<f8", 1, 8), np.ones(1)
    levels = _HEAD.unpack_from(data)[9]
    starts = np.frombuffer(data, "<u4", levels, _HEAD.size).astype(np.int64)
    values = np.frombuffer(data, "<f8", -1, _HEAD.size + 4 * levels + 16)
    sizes = np.diff(starts, append=starts[0] + len(values))
    weights = np.repeat(2.0 ** np.arange(levels), sizes)
    distinct, positions = np.unique(values, return_inverse=True)
    return distinct, np.bincount(positions, weights)


def check(data: bytes, count: int) -> None:
    """Raises `Corrupt` when the bytes are no sketch of `count` values."""
    try:
        found = _KLL.deserialize(data)
        whole = found.n == count and found.k == K and weighted(data)[1].sum() == count
    except (RuntimeError, IndexError, ValueError, struct.error):
        whole = False
    if not whole:
        raise Corrupt("a profile's quantiles can't be read", do="Create the profile again.")
