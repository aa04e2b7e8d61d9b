"""Whether a table looks like a reference: the same shares of values, of missing ones, and nothing never seen.

The reference is a profile, and the table is counted over its bins by the engine that holds it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from assay.checks.rules import ColumnRule, Rule
from assay.checks.words import share
from assay.contract.columns import Array
from assay.contract.formats.sql import literal, quoted
from assay.errors import BadInput, first_few, near_miss
from assay.profiles import ColumnProfile, Profile, profile
from assay.profiles.bins import TOP_CATEGORIES, binned, decile_edges
from assay.profiles.distance import noise, psi
from assay.profiles.past import SMALL, SPAN
from assay.profiles.shifts import ENOUGH, FEW, NEW, NULLS
from assay.tables import Target, using
from assay.tables.view import VIEW, Kind

_KINDS: dict[str, tuple[Kind, ...]] = {"number": ("number", "whole"), "text": ("text",), "truth": ("truth",)}
#: The bin of missing values.
MISSING = -1


@dataclass(frozen=True, eq=False)
class Like(Rule):
    """Every column that the table shares with a reference looks like it does there."""

    reference: Target | Profile
    #: The columns to compare; all when empty.
    only: tuple[str, ...] = ()
    #: The columns whose distribution goes with the season, and is not compared.
    seasonal: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:  # a table equals itself only
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def expected(self) -> str:
        return "like the reference"

    @cached_property
    def known(self) -> Profile:
        """The reference's profile. Raises as `open_table` does, and `BadInput` when it lacks a column to compare."""
        if isinstance(self.reference, Profile):
            _need([*self.only, *self.seasonal], self.reference.columns)
            return self.reference
        with using(self.reference) as table:
            _need([*self.only, *self.seasonal], table.kinds)
            picked = ", ".join(map(quoted, self.only or table.kinds))
            batches = list(table.batches(f"SELECT {picked} FROM {VIEW}"))
        return profile(pa.Table.from_batches(batches)) if batches else Profile()


@dataclass(frozen=True, eq=False)
class LikeColumn(ColumnRule):
    """A column looks as it does in a reference."""

    reference: ColumnProfile
    seasonal: bool

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def name(self) -> str:
        return "like"

    @property
    def expected(self) -> str:
        return "like the reference"

    @cached_property
    def edges(self) -> Array:
        """The lower edges of all bins of numbers but the first."""
        return decile_edges(*self.reference.sample)

    @cached_property
    def top(self) -> list[str]:
        """The categories that have bins of their own."""
        return list(self.reference.frequent.counts)[:TOP_CATEGORIES]

    @property
    def spread(self) -> bool:
        """Whether there is a spread to compare; of times, and of a reference without values, only what is missing is."""
        return bool(self.reference.count) and self.reference.kind in _KINDS

    @property
    def bins(self) -> int:
        """How many bins the reference has."""
        if not self.spread:
            return 1
        return len(self.top) + 1 if self.reference.categorical else len(self.edges) + 1


def expand(rule: Rule, kinds: Mapping[str, Kind]) -> list[Rule]:
    """The rule; or a comparison for each column in place of one for the whole table.

    Raises `BadInput` for a column to compare that the reference lacks, and what opening the reference raises.
    """
    return _columns(rule, kinds) if isinstance(rule, Like) else [rule]


def _columns(rule: Like, kinds: Mapping[str, Kind]) -> list[Rule]:
    known = rule.known.columns
    # A column that the table has lost is among them: it is not in the table.
    names = rule.only or list(known)
    if not any(name in kinds for name in names):
        has, wants = (", ".join(first_few(each, len(each))) or "no column" for each in (list(kinds), names))
        raise BadInput(f"there is nothing to compare: the table has {has}, the reference {wants}")
    return [
        LikeColumn(name, known[name], name in rule.seasonal, severity=rule.severity, where=rule.where) for name in names
    ]


def _need(names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise BadInput(
                f"the reference has no column {name}", *[near_miss(name, known)] * bool(near_miss(name, known))
            )


def kinds_of(rule: LikeColumn) -> tuple[Kind, ...]:
    """The kinds of column that can be compared with the reference's."""
    return _KINDS[rule.reference.kind] if rule.spread else ()


def never_seen(rule: LikeColumn) -> str:
    """The SQL condition of values like none of the reference: categories it lacks, numbers far outside of its range."""
    column, known = quoted(rule.column), rule.reference
    if known.kind == "truth" or not rule.spread:
        return ""
    if known.categorical:
        listed = ", ".join(map(literal, known.frequent.counts))
        return f"{column} NOT IN ({listed})" if known.frequent.complete else ""
    low, high = known.low or 0.0, known.high or 0.0
    margin = SPAN * (high - low)
    if not np.isfinite(margin):
        return ""
    return f"({column} < {_number(low - margin)} OR {column} > {_number(high + margin)})"


def counts(rule: LikeColumn, kind: Kind) -> str:
    """The SELECT that counts rows by bin, and in each those like none of the reference."""
    column = quoted(rule.column)
    new = never_seen(rule)
    value = f"CASE WHEN {column} THEN 'true' ELSE 'false' END" if kind == "truth" else column
    if not rule.spread:
        cases = []
    elif rule.reference.categorical:
        cases = [f"WHEN {value} = {literal(name)} THEN {i}" for i, name in enumerate(rule.top)]
    else:
        cases = [f"WHEN {column} < {_number(edge)} THEN {i}" for i, edge in enumerate(rule.edges.tolist())]
    bin_ = f"CASE WHEN {column} IS NULL THEN {MISSING} {' '.join(cases)} ELSE {rule.bins - 1} END"
    unseen = f"CASE WHEN {new} THEN 1 ELSE 0 END" if new else "0"
    return (
        f"SELECT bin, count(*) AS n, sum(unseen) AS unseen FROM (SELECT {bin_} AS bin, {unseen} AS unseen FROM {VIEW} "
        f"WHERE {rule.where or 'true'}) AS counted GROUP BY bin"
    )


def _number(value: float) -> str:
    return f"CAST('{value!r}' AS DOUBLE)"


@dataclass(frozen=True)
class Compared:
    """How a column differs from its reference; the first sentence is the worst."""

    sentences: tuple[str, ...]
    psi: float
    #: Rows with a value like none of the reference, when there are too many.
    unseen: int


def compare(rule: LikeColumn, rows: Sequence[Mapping[str, Any]]) -> Compared:
    """What the rows of `counts` say."""
    found = {int(row["bin"]): int(row["n"]) for row in rows}
    unseen = sum(int(row["unseen"] or 0) for row in rows)
    observed = np.array([float(found.get(i, 0)) for i in range(rule.bins)])
    if not found:
        return Compared(("there are no rows to compare",), 0.0, 0)
    if not rule.spread:
        said_of_nulls = _nulls(rule.reference, found.get(MISSING, 0), sum(found.values()))
        return Compared((said_of_nulls,) if said_of_nulls else (), 0.0, 0)
    expected = binned(rule.reference, rule.reference)[0]
    moved, limit = psi(expected, observed), max(SMALL, noise(expected.sum(), observed.sum(), rule.bins))
    missing, there = found.get(MISSING, 0), float(observed.sum())
    said: list[str] = []
    new = unseen >= FEW and unseen / there > NEW
    if new:
        what = "never seen" if rule.reference.categorical else "far outside of the reference's range"
        said.append(f"{share(unseen / there)} of the values {'were ' if rule.reference.categorical else 'lie '}{what}")
    if said_of_nulls := _nulls(rule.reference, missing, missing + there):
        said.append(said_of_nulls)
    if not rule.seasonal and min(there, expected.sum()) >= ENOUGH and moved > limit:
        said.append(f"{_words(rule, expected / expected.sum(), observed / there)}; PSI {moved:.2g}, floor {limit:.2g}")
    return Compared(tuple(said), moved, unseen if new else 0)


def _nulls(reference: ColumnProfile, missing: int, rows: float) -> str:
    if not rows or not reference.rows:
        return ""
    was, now = reference.nulls / reference.rows, missing / rows
    chance = 3.3 * (max(was * (1 - was), now * (1 - now)) * (1 / reference.rows + 1 / rows)) ** 0.5
    if abs(now - was) <= max(NULLS, chance):
        return ""
    return f"{share(now)} of the values are missing, in the reference {share(was)}"


def _words(rule: LikeColumn, was: Array, now: Array) -> str:
    """What moved most: a category's share, or the share of values below an edge."""
    if rule.reference.categorical:
        at = int(np.abs(now - was).argmax())
        name = rule.top[at] if at < len(rule.top) else "others"
        return f"{share(float(now[at]))} of the values are {name}, in the reference {share(float(was[at]))}"
    below = np.cumsum(was)[:-1], np.cumsum(now)[:-1]
    at = int(np.abs(below[1] - below[0]).argmax())
    edge = f"{rule.edges[at]:.4g}"
    return f"{share(float(below[1][at]))} of the values are below {edge}, in the reference {share(float(below[0][at]))}"
