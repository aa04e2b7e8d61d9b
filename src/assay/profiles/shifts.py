"""What moved in a window of a table beside the windows before it: few rules, one sentence for each that speaks.

The rules, their limits and how often they are wrong are in docs/drift.md.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from assay.profiles.distance import crossing, distances
from assay.profiles.past import HISTORY, RECENT, SMALL, Past, null_share, worst
from assay.profiles.table import ColumnProfile, Profile

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

Rule = Literal["constant", "nulls", "range", "unseen", "distribution", "gone", "lost", "type", "rows"]
#: The share of a category in the past from which its absence is more than chance.
GONE = 0.02
#: A window of so many times fewer, or more, rows than any before is told.
FEWER, MORE = 0.5, 1.9


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """One column that moved, or the table itself."""

    #: Empty for what is of no column, like the number of rows.
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
    return replay([*history, window], seasonal)[-1]


def replay(windows: Iterable[Profile], seasonal: Collection[str] | None = None) -> list[list[Shift]]:
    """What `shifts` says of each window beside those before it, in one pass."""
    past = _Windows()
    found: list[list[Shift]] = []
    for window in windows:
        found.append(past.judged(window, seasonal))
        past.add(window, found[-1])
    return found


@dataclass
class _Windows:
    """The windows of a table so far."""

    pasts: defaultdict[str, Past] = field(default_factory=lambda: defaultdict(Past))
    #: The rows of each window.
    rows: list[int] = field(default_factory=list[int])
    #: Of each column, the windows in a row that moved: they are compared with nothing until they are eight, or one did not.
    moved: defaultdict[str, list[ColumnProfile]] = field(default_factory=lambda: defaultdict(list))
    #: Of each column, the windows in a row that lack it or hold another kind.
    lost: Counter[str] = field(default_factory=Counter[str])
    #: The windows in a row with another number of rows.
    odd: list[int] = field(default_factory=list[int])

    def add(self, window: Profile, found: Sequence[Shift]) -> None:
        """Take one more window, of which `found` was told.

        What moved in a column that never did before is history once it has stayed for eight windows, or was over after
        less; so each of the eight is beside the windows before the first.
        """
        self._add_rows(window.rows, odd=any(shift.rule == "rows" for shift in found))
        if not window.rows:
            return
        told = {shift.column for shift in found}
        for name in {**self.pasts, **window.columns}:
            now, past = window.columns.get(name), self.pasts[name]
            if now is None or not now.rows or (past.windows and past.windows[-1].kind != now.kind):
                self.lost[name] += 1
                if now is not None and now.rows and self.lost[name] >= HISTORY:
                    self.pasts[name], self.moved[name], self.lost[name] = Past(), [], 0
                continue
            self.lost[name] = 0
            self.moved[name].append(now)
            if name not in told or not past.calm or len(self.moved[name]) >= HISTORY:
                for one in self.moved.pop(name):
                    past.add(one)

    def _add_rows(self, rows: int, *, odd: bool) -> None:
        self.odd.append(rows)
        if not odd or len(self.odd) >= HISTORY:
            self.rows += self.odd
            self.odd = []

    def judged(self, window: Profile, seasonal: Collection[str] | None) -> list[Shift]:
        """What moved in a window, worst first."""
        found = [*self._amount(window), *(self._structure(window) if window.rows else ())]
        for name, now in window.columns.items():
            past = self.pasts[name]
            if now.rows and now.kind != "time" and past.known and past.windows[-1].kind == now.kind:
                found += judge(name, past, now, name in seasonal if seasonal is not None else past.seasonal)
        return sorted(found, key=lambda shift: (-shift.severity, shift.column, shift.rule))

    def _amount(self, window: Profile) -> Iterator[Shift]:
        """A window of many fewer or more rows than any of the last eight."""
        recent = self.rows[-HISTORY:]
        if len(recent) < HISTORY:
            return
        least, most, usual = min(recent), max(recent), sorted(recent)[len(recent) // 2]
        said = f"{f'{window.rows:,}' if window.rows else 'no'} rows, before {least:,} to {most:,}"
        if window.rows < FEWER * least:
            yield _shift("", "rows", least / max(window.rows, 0.5), 1 / FEWER, said)
        elif window.rows > MORE * most:
            yield _shift("", "rows", window.rows / max(usual, 1), MORE, said)

    def _structure(self, window: Profile) -> Iterator[Shift]:
        """Columns that were lost, and those that hold another kind of values."""
        for name, past in self.pasts.items():
            if not past.known or self.lost[name] >= HISTORY:
                continue
            now = window.columns.get(name)
            if now is None or not now.rows:
                yield _shift(name, "lost", LOST, 1.0, f"the column is gone; {len(past.windows)} windows had it")
            elif now.kind != past.windows[-1].kind:
                was = _KINDS[past.windows[-1].kind]
                yield _shift(name, "type", LOST, 1.0, f"holds {_KINDS[now.kind]}, before {was}")


_KINDS = {"number": "numbers", "text": "text", "truth": "true or false", "time": "times"}
#: How many times the limit a change of structure is: before all that moved.
LOST = 1000.0


def _shift(column: str, rule: Rule, value: float, limit: float, sentence: str) -> Shift:
    return Shift(column=column, rule=rule, value=value, limit=limit, seasonal=False, sentence=sentence)


def judge(name: str, past: Past, now: ColumnProfile, seasonal: bool) -> list[Shift]:
    """What the rules say of one column."""
    rules = (
        _constant(past, now),
        _gone(past, now),
        _nulls(past, now),
        _new(past, now),
        _far(past, now) if seasonal else _different(past, now),
    )
    return [
        Shift(column=name, rule=rule, value=float(value), limit=float(limit), seasonal=seasonal, sentence=sentence)
        for rule, value, limit, sentence in filter(None, rules)
    ]


_Said = tuple[Rule, float, float, str] | None


def _different(past: Past, now: ColumnProfile) -> _Said:
    before = past.before()
    if min(before.count, now.count) < ENOUGH:
        return None
    found = distances(before, now)
    limit = max(SMALL, found.noise)
    if found.psi <= limit:
        return None
    return "distribution", found.psi, limit, f"{_words(before, now)}; PSI {found.psi:.2f}, floor {limit:.2g}"


def _far(past: Past, now: ColumnProfile) -> _Said:
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


def _nulls(past: Past, now: ColumnProfile) -> _Said:
    before = past.before()
    was, share = null_share(before), null_share(now)
    chance = _SIGMAS * (max(was * (1 - was), share * (1 - share)) * (1 / before.rows + 1 / now.rows)) ** 0.5
    limit = max(NULLS, WORST * worst(past.nulls), chance)
    if abs(share - was) <= limit:
        return None
    return "nulls", abs(share - was), limit, f"{_percent(share)} of the values are missing, before {_percent(was)}"


def _new(past: Past, now: ColumnProfile) -> _Said:
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


def _gone(past: Past, now: ColumnProfile) -> _Said:
    """Categories that every one of the last windows had, each more often than chance would leave out, and this has not."""
    if not now.categorical or now.count < ENOUGH or not now.frequent.complete:
        return None
    recent = past.windows[-HISTORY:]
    if not all(one.frequent.complete and one.count for one in recent):
        return None
    least = {
        name: min(one.frequent.counts.get(name, 0) / one.count for one in recent) for name in recent[0].frequent.counts
    }
    gone = [
        name for name, share in least.items() if share > max(GONE, 10 / now.count) and name not in now.frequent.counts
    ]
    if not gone:
        return None
    before = past.before()
    share = sum(before.frequent.counts.get(name, 0) for name in gone) / before.count
    named = ", ".join(map(repr, gone[:3])) + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")
    return "gone", share, max(GONE, 10 / now.count), f"no value is {named}, before {_percent(share)} of them"


def _constant(past: Past, now: ColumnProfile) -> _Said:
    if now.count < ENOUGH or _top(now) < 1:
        return None
    worst = max(_top(one) for one in past.windows)
    if worst > MOST:
        return None
    value = next(iter(now.frequent.counts)) if now.categorical else f"{now.low:.6g}"
    return "constant", 1.0, MOST, f"every value is {value}, before at most {_percent(worst)} were the same"


def _top(column: ColumnProfile) -> float:
    """The share of the most frequent value."""
    if not column.count:
        return 0.0
    if column.categorical:
        return max(column.frequent.counts.values(), default=0) / column.count
    if column.low == column.high:
        return 1.0
    weights = column.sample[1]
    return min(float(weights.max() / weights.sum()), 1 - 1 / column.count)


def _words(before: ColumnProfile, now: ColumnProfile) -> str:
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
