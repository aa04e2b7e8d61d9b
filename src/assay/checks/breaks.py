"""Which rows break a rule, as SQL. No I/O."""

import math
from dataclasses import dataclass, replace
from datetime import date, datetime

from assay.checks.freshness import AHEAD, clock
from assay.checks.likeness import LikeColumn, kinds_of, never_seen
from assay.checks.rules import Between, ColumnRule, Fresh, HasType, IsIn, Nulls, Refers, Rule, Sql
from assay.checks.view import TIMES, Kind, other
from assay.checks.words import moment
from assay.contract import Field
from assay.contract.formats.sql import literal, quoted

_KINDS: dict[type, tuple[Kind, ...]] = {
    float: ("number", "whole"),
    int: ("whole",),
    bool: ("truth",),
    str: ("text",),
    datetime: ("time",),
    date: ("date",),
}
_CASTS: dict[type, str] = {float: "DOUBLE", int: "BIGINT", bool: "BOOLEAN", datetime: "TIMESTAMPTZ", date: "DATE"}


@dataclass(frozen=True)
class Breaks:
    """Which rows break a rule."""

    #: True for the rows at fault; empty when no row is.
    when: str = ""
    #: Orders the rows at fault, the worst first.
    order: str = ""


def kinds_for(rule: Rule) -> tuple[Kind, ...]:
    """The kinds of column that a rule can read; empty when it takes any."""
    match rule:
        case HasType():
            return _KINDS[rule.field.type]
        case Between():
            return _KINDS[float]
        case IsIn():
            return _KINDS[str] if isinstance(rule.values[0], str) else _KINDS[float]
        case LikeColumn():
            return kinds_of(rule)
        case Fresh():
            return TIMES if rule.zone else _KINDS[datetime]
        case _:
            return ()


def misfits(known: Field, column: str, kind: Kind) -> Breaks:
    """The texts in a column that should hold something else and can't be read as such."""
    if kind != "text":
        return Breaks()
    return Breaks(f"{column} IS NOT NULL AND TRY_CAST({column} AS {_CASTS[known.type]}) IS NULL")


def breaks(rule: Rule, kind: Kind | None, now: datetime) -> Breaks:
    """Which rows break `rule`, whose column has a kind that it can read; none for `Unique`, which is about pairs.

    For `Fresh` they are the rows of the future.
    """
    found = _breaks(rule, kind, now)
    return replace(found, when=f"({rule.where}) AND ({found.when})") if rule.where and found.when else found


def _breaks(rule: Rule, kind: Kind | None, now: datetime) -> Breaks:
    column = quoted(rule.column) if isinstance(rule, ColumnRule) else ""
    match rule:
        case Nulls():
            return Breaks(f"{column} IS NULL")
        case Between():
            return _between(rule, column, whole=kind == "whole")
        case IsIn():
            return Breaks(f"{column} NOT IN ({', '.join(map(literal, rule.values))})")
        case Fresh():
            return _ahead(rule, column, kind, now)
        case Refers():
            key = quoted(rule.key)
            return Breaks(f"{column} NOT IN (SELECT {key} FROM {other(rule.to)} WHERE {key} IS NOT NULL)")
        case Sql():
            return Breaks(f"NOT ({rule.predicate})")
        case LikeColumn():
            return Breaks(never_seen(rule))
        case _:
            return Breaks()


def _ahead(rule: Fresh, column: str, kind: Kind | None, now: datetime) -> Breaks:
    if kind == "time":
        bound = f"TIMESTAMPTZ {literal(moment(now + AHEAD))}"
    else:
        shown = clock(now + AHEAD, rule.zone)
        bound = f"DATE '{shown:%Y-%m-%d}'" if kind == "date" else f"TIMESTAMP {literal(str(shown))}"
    return Breaks(f"{column} > {bound}", f"{column} DESC")


def _between(rule: Between, column: str, *, whole: bool) -> Breaks:
    low, high = _ends(rule, whole=whole)
    value = column if whole else f"{column}::DOUBLE"
    sides = [f"{value} < {low}"] * bool(low) + [f"{value} > {high}"] * bool(high)
    far = [f"{low} - {column}::DOUBLE"] * bool(low) + [f"{column}::DOUBLE - {high}"] * bool(high)
    return Breaks(" OR ".join(sides), f"greatest({', '.join(far)}) DESC")


def _ends(rule: Between, *, whole: bool) -> tuple[str, str]:
    """Both ends as SQL; whole numbers are compared with whole ends, or else 2**53 + 1 would equal 2**53."""
    low, high = ("" if end is None else f"'{float(end)!r}'::DOUBLE" for end in (rule.low, rule.high))
    if whole and rule.low is not None and math.isfinite(rule.low):
        low = str(math.ceil(rule.low))
    if whole and rule.high is not None and math.isfinite(rule.high):
        high = str(math.floor(rule.high))
    return low, high
