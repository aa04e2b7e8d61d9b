"""The windows of one column so far, and how far each was from those before it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from assay.profiles.bins import binned
from assay.profiles.distance import l_infinity, psi, wasserstein
from assay.profiles.table import ColumnProfile, Profile, merge_columns

#: Windows that must have been seen before anything is said, and with how many a window is compared.
HISTORY = 8
#: A seasonal column is compared with so many windows.
RECENT = 2
#: PSI below this is small whatever its certainty.
SMALL = 0.1
#: A column that passes that in more than this share of its past windows, and twice at least, is seasonal.
OFTEN = 0.1
#: Numbers may lie so much of the past's span outside of it.
SPAN = 0.25


@dataclass
class Past:
    """Windows of one column, oldest first, with what they were measured as when they were new."""

    windows: list[ColumnProfile] = field(default_factory=list[ColumnProfile])
    #: Of each window but the first: PSI beside the eight before it.
    psi: list[float] = field(default_factory=list[float])
    #: Of each window but the first two: how far it was from the two before it.
    far: list[float] = field(default_factory=list[float])
    #: Of each window but the first two: change of the share of nulls beside the eight before it.
    nulls: list[float] = field(default_factory=list[float])
    #: Of each window but the first two: share of values like none before it.
    new: list[float] = field(default_factory=list[float])

    def add(self, now: ColumnProfile) -> None:
        """Take one more window; one without rows, or of another kind than the others, is left out."""
        if not now.rows or (self.windows and self.windows[-1].kind != now.kind):
            return
        if self.windows:
            self.psi.append(psi(*binned(self.before(), now)))
        if len(self.windows) >= RECENT:
            self.far.append(self.apart(now))
            self.nulls.append(abs(null_share(now) - null_share(self.before())))
            self.new.append(self.unlike(now))
        self.windows.append(now)

    def before(self, windows: int = HISTORY) -> ColumnProfile:
        """The last windows as one."""
        return merge_columns(self.windows[-windows:])

    def apart(self, now: ColumnProfile) -> float:
        """How far a window is from the last two: W1 in the column's own unit; L-infinity of categories."""
        before = self.before(RECENT)
        if now.categorical:
            return l_infinity(*binned(before, now))
        return wasserstein(before.sample, now.sample, 1.0)

    def unlike(self, now: ColumnProfile) -> float:
        """The share of a window's values that are like none before: categories never seen, numbers far outside.

        0 when the past had too many categories to know them all.
        """
        if not now.count:
            return 0.0
        if now.categorical:
            return sum(now.frequent.counts[name] for name in self.unseen(now)) / now.count
        low, high = self.range
        values, weights = now.sample
        margin = SPAN * (high - low)
        return float(weights[(values > high + margin) | (values < low - margin)].sum()) / now.count

    def unseen(self, now: ColumnProfile) -> list[str]:
        """The categories of a window that the past never had."""
        if not all(one.frequent.complete for one in self.windows):
            return []
        known = set[str]().union(*(one.frequent.counts for one in self.windows))
        return [name for name in now.frequent.counts if name not in known]

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest number."""
        lows = [one.low for one in self.windows if one.low is not None]
        highs = [one.high for one in self.windows if one.high is not None]
        return min(lows, default=float("-inf")), max(highs, default=float("inf"))

    @property
    def known(self) -> bool:
        """Whether enough was seen to say anything."""
        return len(self.windows) >= HISTORY

    @property
    def calm(self) -> bool:
        """Whether no window so far was unlike those before it."""
        return not any(value > SMALL for value in self.psi)

    @property
    def seasonal(self) -> bool:
        """Whether the column goes with the season or the weather: it was often unlike the windows before."""
        often = sum(value > SMALL for value in self.psi)
        return often >= 2 and often > OFTEN * len(self.psi)


def worst(changes: list[float]) -> float:
    """The largest but one: one odd window of the past makes nobody blind."""
    return sorted(changes)[-2] if len(changes) > 1 else 0.0


def null_share(column: ColumnProfile) -> float:
    """The share of missing values."""
    return column.nulls / column.rows if column.rows else 0.0


def seasonal_columns(windows: Sequence[Profile]) -> list[str]:
    """The columns that all windows together show to be seasonal."""
    pasts: dict[str, Past] = {}
    for window in windows:
        for name, column in window.columns.items():
            pasts.setdefault(name, Past()).add(column)
    return sorted(
        name for name, past in pasts.items() if past.known and past.seasonal and past.windows[0].kind != "time"
    )
