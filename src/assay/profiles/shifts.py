"""What moved in a window of a table beside the windows before it: few rules, one sentence for each that speaks.

The rules, their limits and how often they are wrong are in docs/drift.md.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec

from assay.profiles.distance import crossing, distances
from assay.profiles.past import RECENT, SMALL, Past, null_share, worst
from assay.profiles.table import Column, Profile

#: What is small: W1 in standard deviations, L-infinity, change of the share of nulls, share of values never seen.
FAR, FAR_SHARE, NULLS, NEW = 0.3, 0.1, 0.02, 0.005
#: A change may be so many times the worst of the past.
WORST = 1.5
#: Most of what the past had, for a constant column to be nothing new.
MOST = 0.5
#: Fewer values say nothing of a distribution.
ENOUGH = 30
#: Fewer values than this are single odd rows, which checks look for.
FEW = 3
_SIGMAS = 3.3  # chance passes it 1 time in 1000

Rule = Literal["constant", "nulls", "range", "unseen", "distribution"]


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """One column that moved."""

    column: str
    rule: Rule
    #: What was measured, and the limit that it passed.
    value: float
    limit: float
    seasonal: bool
    #: What moved, for people.
    sentence: str

    @property
    def severity(self) -> float:
        """How many times the limit."""
        return self.value / self.limit if self.limit else float("inf")


def shifts(history: Sequence[Profile], window: Profile, seasonal: Collection[str] | None = None) -> list[Shift]:
    """What moved in `window` beside `history`, the windows before it, oldest first; worst first.

    A column is silent until eight windows have rows of it. `seasonal` names the columns that go with the season;
    they are recognised from the history when it is None.
    """
    pasts: defaultdict[str, Past] = defaultdict(Past)
    for one in history:
        _add(pasts, one)
    return _judged(pasts, window, seasonal)


def replay(windows: Iterable[Profile], seasonal: Collection[str] | None = None) -> list[list[Shift]]:
    """What `shifts` says of each window beside those before it, in one pass."""
    pasts: defaultdict[str, Past] = defaultdict(Past)
    found: list[list[Shift]] = []
    for window in windows:
        found.append(_judged(pasts, window, seasonal))
        _add(pasts, window)
    return found


def _add(pasts: defaultdict[str, Past], window: Profile) -> None:
    for name, column in window.columns.items():
        pasts[name].add(column)


def _judged(pasts: defaultdict[str, Past], window: Profile, seasonal: Collection[str] | None) -> list[Shift]:
    found: list[Shift] = []
    for name, now in window.columns.items():
        past = pasts[name]
        if now.rows and now.kind != "time" and past.known and past.windows[-1].kind == now.kind:
            found += judge(name, past, now, name in seasonal if seasonal is not None else past.seasonal)
    return sorted(found, key=lambda shift: -shift.severity)


def judge(name: str, past: Past, now: Column, seasonal: bool) -> list[Shift]:
    """What the rules say of one column."""
    rules = (
        _constant(past, now),
        _nulls(past, now),
        _new(past, now),
        _far(past, now) if seasonal else _different(past, now),
    )
    return [
        Shift(column=name, rule=rule, value=float(value), limit=float(limit), seasonal=seasonal, sentence=sentence)
        for rule, value, limit, sentence in filter(None, rules)
    ]


_Said = tuple[Rule, float, float, str] | None


def _different(past: Past, now: Column) -> _Said:
    before = past.before()
    if min(before.count, now.count) < ENOUGH:
        return None
    found = distances(before, now)
    limit = max(SMALL, found.noise)
    if found.psi <= limit:
        return None
    return "distribution", found.psi, limit, f"{_words(before, now)}; PSI {found.psi:.2f}, floor {limit:.2g}"


def _far(past: Past, now: Column) -> _Said:
    before = past.before(RECENT)
    if min(before.count, now.count) < ENOUGH:
        return None
    unit = 1.0 if now.categorical else past.before().moments.deviation
    found = past.apart(now)
    chance = _SIGMAS * (1 / before.count + 1 / now.count) ** 0.5
    small, name = (FAR_SHARE, "L-infinity {:.2f}") if now.categorical else (FAR, "W1 {:.2f} s.d.")
    limit = max(unit * max(small, chance), WORST * worst(past.far))
    if not found > limit:
        return None
    found, limit = (found / unit, limit / unit) if unit else (found, limit)
    return "distribution", found, limit, f"{_words(before, now)}; {name.format(found)}, limit {limit:.2g}"


def _nulls(past: Past, now: Column) -> _Said:
    before = past.before()
    was, share = null_share(before), null_share(now)
    chance = _SIGMAS * (max(was * (1 - was), share * (1 - share)) * (1 / before.rows + 1 / now.rows)) ** 0.5
    limit = max(NULLS, WORST * worst(past.nulls), chance)
    if abs(share - was) <= limit:
        return None
    return "nulls", abs(share - was), limit, f"{_percent(share)} of the values are missing, before {_percent(was)}"


def _new(past: Past, now: Column) -> _Said:
    share = past.unlike(now)
    limit = max(NEW, WORST * worst(past.new))
    if share <= limit or share * now.count < FEW:
        return None
    if now.categorical:
        new = past.unseen(now)
        named = ", ".join(map(repr, new[:3])) + (f" and {len(new) - 3} more" if len(new) > 3 else "")
        return "unseen", share, limit, f"{_percent(share)} of the values were never seen before: {named}"
    low, high = past.range
    said = f"up to {now.high:.4g}" if (now.high or 0) > high else f"down to {now.low:.4g}"
    return (
        "range",
        share,
        limit,
        f"{_percent(share)} of the values are far outside, {said}; before {low:.4g} to {high:.4g}",
    )


def _constant(past: Past, now: Column) -> _Said:
    if now.count < ENOUGH or _top(now) < 1:
        return None
    worst = max(_top(one) for one in past.windows)
    if worst > MOST:
        return None
    value = next(iter(now.frequent.counts)) if now.categorical else f"{now.low:.6g}"
    return "constant", 1.0, MOST, f"every value is {value}, before at most {_percent(worst)} were the same"


def _top(column: Column) -> float:
    """The share of the most frequent value."""
    if not column.count:
        return 0.0
    if column.categorical:
        return max(column.frequent.counts.values(), default=0) / column.count
    if column.low == column.high:
        return 1.0
    weights = column.sample[1]
    return min(float(weights.max() / weights.sum()), 1 - 1 / column.count)


def _words(before: Column, now: Column) -> str:
    """What moved most: a category's share, or the share of values on one side of a point."""
    if now.categorical:
        shares = [{name: count / one.count for name, count in one.frequent.counts.items()} for one in (before, now)]
        name = max({**shares[0], **shares[1]}, key=lambda name: abs(shares[1].get(name, 0) - shares[0].get(name, 0)))
        return f"{_percent(shares[1].get(name, 0))} of the values are {name}, before {_percent(shares[0].get(name, 0))}"
    at, was, now_is = crossing(before.sample, now.sample)
    if now_is > was:
        return f"{_percent(now_is)} of the values are at most {at:.4g}, before {_percent(was)}"
    return f"{_percent(1 - now_is)} of the values are above {at:.4g}, before {_percent(1 - was)}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"
