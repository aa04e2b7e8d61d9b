"""Stale look-ups: the served value was right at another time, for the same place. Pure functions, no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from assay.skew.evidence import FEWEST, Array, Evidence, History, Mask, Shape, shuffled, unlikely

HOUR = 3_600_000_000  # microseconds
#: Hours before the event time, nearest first; below zero is after it, which a clock that runs ahead would fetch.
LAGS_H = (*chain.from_iterable((hours, -hours) for hours in range(1, 15)), 24, -24, 48, 72, 168)
NEAR = HOUR // 2
LEAST_SHARE = 0.9
_FLOAT32 = 2.0**-23
_SAMPLE = 2_000
_MOST_PLACES = 1_000  # a key with more values than that is no place but a name of the row


@dataclass(frozen=True)
class _Index:
    """The history sorted by place and time; both are one integer, `place * span + time`."""

    at: Array
    values: Array
    row_at: Array
    place: str

    def take(self, rows: Array) -> "_Index":
        return replace(self, row_at=self.row_at[rows])


@dataclass(frozen=True)
class _Match:
    """How many of the rows with a value at this lag were served just that value."""

    index: _Index
    lag_h: int
    hits: int
    tries: int

    @property
    def share(self) -> float:
        return self.hits / self.tries if self.tries else 0.0


def stale_lookup(evidence: Evidence) -> Shape | None:
    """The value of so many hours before, of the same place, in nearly all rows and far above chance.

    Chance is what shuffled rows reach at the same lag, or what the other lags reach in the middle, whichever is more:
    so a column that changes slowly or seldom is not named.
    """
    if evidence.history is None or len(evidence) < FEWEST or evidence.expected.dtype != evidence.history.values.dtype:
        return None
    some = np.unique(np.linspace(0, len(evidence) - 1, min(len(evidence), _SAMPLE)).astype(np.int64))
    best: _Match | None = None
    for index in _indexes(evidence.history):
        match = _best_lag(index.take(some), evidence.served[some])
        if match is not None and (best is None or match.hits > best.hits):
            best = replace(match, index=index)
    if best is None:
        return None
    explained = _hits(best.index, best.lag_h, evidence.served)[1]
    same = f" (same {best.index.place})" if best.index.place else ""
    return Shape("stale", f"the value of {_words(best.lag_h)}{same}: {_cause(best.lag_h)}?", explained, best.lag_h)


def _best_lag(index: _Index, served: Array) -> _Match | None:
    matches = [_match(index, lag, served) for lag in LAGS_H]
    best = max(matches, key=lambda match: match.hits)
    if best.hits < FEWEST or best.share < LEAST_SHARE:
        return None
    others = [match.share for match in matches if match is not best and match.tries]
    by_luck = [_match(index, best.lag_h, shuffled(served, seed)).share for seed in range(3)]
    chance = max([*by_luck, float(np.median(others)) if others else 0.0])
    return best if unlikely(best.hits, best.tries, max(chance, 0.01)) else None


def _match(index: _Index, lag_h: int, served: Array) -> _Match:
    exists, hits = _hits(index, lag_h, served)
    return _Match(index, lag_h, int(hits.sum()), int(exists.sum()))


def _hits(index: _Index, lag_h: int, served: Array) -> tuple[Mask, Mask]:
    """Rows with a value within half an hour of the lag, and rows served the nearest one before or after it."""
    wanted = index.row_at - lag_h * HOUR
    exists = hits = np.zeros(len(served), dtype=np.bool_)
    for near in (np.searchsorted(index.at, wanted, "right") - 1, np.searchsorted(index.at, wanted, "left")):
        at = np.clip(near, 0, len(index.at) - 1)
        there = np.abs(index.at[at] - wanted) <= NEAR
        exists = exists | there
        hits = hits | (there & _same(index.values[at], served))
    return exists, hits


def _same(a: Array, b: Array) -> Mask:
    if a.dtype.kind != "f":
        return np.asarray(a == b, dtype=np.bool_)
    return (np.abs(a - b) <= _FLOAT32 * np.abs(b)) | (np.isnan(a) & np.isnan(b))


def _indexes(history: History) -> Iterable[_Index]:
    """No key, each key, and all keys together."""
    names = [name for name in history.keys if name in history.row_keys]
    groups = [(), *((name,) for name in names), *([tuple(names)] if len(names) > 1 else [])]
    for group in groups:
        index = _indexed(history, group)
        if index is not None:
            yield index


def _indexed(history: History, names: tuple[str, ...]) -> _Index | None:
    places = np.zeros(len(history.times) + len(history.row_times), dtype=np.int64)
    for name in names:
        texts = np.concatenate([history.keys[name], history.row_keys[name]])
        _, codes = np.unique(np.where(np.isnan(texts), "", texts), return_inverse=True)
        _, places = np.unique(places * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    times = np.concatenate([history.times, history.row_times]).astype("datetime64[us]")
    known = ~np.isnan(times)
    if not known[: len(history.times)].any() or places.max() >= _MOST_PLACES:
        return None
    moments = times.astype(np.int64)
    start = moments[known].min()
    span = moments[known].max() - start + 4 * max(LAGS_H) * HOUR  # so wide that no lag leads to another place
    at = np.where(known, places * span + moments - start, -span)  # an unknown time is far from every other
    past, kept = at[: len(history.times)], np.flatnonzero(known[: len(history.times)])
    order = kept[np.argsort(past[kept], kind="stable")]
    return _Index(past[order], history.values[order], at[len(history.times) :], " and ".join(names))


def _words(lag_h: int) -> str:
    hours = abs(lag_h)
    return f"{hours // 24}d" * (hours > 72) + f"{hours}h" * (hours <= 72) + (" before" if lag_h > 0 else " after")


def _cause(lag_h: int) -> str:
    return "stale look-up" if lag_h > 0 else "a clock that runs ahead"
