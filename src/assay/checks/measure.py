"""What each rule asks of the table, as SQL: numbers for the one SELECT, and which rows break it. No I/O."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from assay.checks.rules import Between, ColumnRule, Fresh, HasType, IsIn, Nulls, Rule
from assay.checks.target import Kind
from assay.checks.words import moment
from assay.contract import Field
from assay.contract.formats.sql import literal, quoted

#: A clock elsewhere may be a little ahead.
AHEAD = timedelta(minutes=5)
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
class Measure:
    """What one rule asks of the table."""

    #: Name to an aggregate; "failing", where it stands, counts the rows at fault.
    numbers: Mapping[str, str] = field(default_factory=dict[str, str])
    #: True for the rows at fault; empty when no row is.
    breaks: str = ""
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
        case Fresh():
            return _KINDS[datetime]
        case _:
            return ()


def misfits(known: Field, column: str, kind: Kind) -> Measure:
    """The texts in a column that should hold something else and can't be read as such."""
    if kind != "text":
        return Measure()
    breaks = f"{column} IS NOT NULL AND TRY_CAST({column} AS {_CASTS[known.type]}) IS NULL"
    return Measure({"failing": f"count(*) FILTER (WHERE {breaks})"}, breaks)


def measure(rule: Rule, kind: Kind | None, now: datetime) -> Measure:
    """What `rule` asks of a column of that kind, which it can read; nothing for `Unique`, which has its own query."""
    column = quoted(rule.column) if isinstance(rule, ColumnRule) else ""
    match rule:
        case Nulls():
            breaks = f"{column} IS NULL"
            return Measure({"failing": f"count(*) - count({column})"}, breaks)
        case Between():
            return _between(rule, column, whole=kind == "whole")
        case IsIn():
            breaks = f"{column} NOT IN ({', '.join(map(literal, rule.values))})"
            return Measure({"failing": f"count(*) FILTER (WHERE {breaks})"}, breaks)
        case Fresh():
            breaks = f"{column} > TIMESTAMPTZ {literal(moment(now + AHEAD))}"
            numbers = {"failing": f"count(*) FILTER (WHERE {breaks})", "newest_us": f"epoch_us(max({column}))"}
            return Measure(numbers, breaks, f"{column} DESC")
        case _:
            return Measure()


def _between(rule: Between, column: str, *, whole: bool) -> Measure:
    low, high = _ends(rule, whole=whole)
    value = column if whole else f"{column}::DOUBLE"
    sides = [f"{value} < {low}"] * bool(low) + [f"{value} > {high}"] * bool(high)
    far = [f"{low} - {column}::DOUBLE"] * bool(low) + [f"{column}::DOUBLE - {high}"] * bool(high)
    breaks = " OR ".join(sides)
    numbers = {"failing": f"count(*) FILTER (WHERE {breaks})", "low": f"min({column})", "high": f"max({column})"}
    return Measure(numbers, breaks, f"greatest({', '.join(far)}) DESC")


def _ends(rule: Between, *, whole: bool) -> tuple[str, str]:
    """Both ends as SQL; whole numbers are compared with whole ends, or else 2**53 + 1 would equal 2**53."""
    low, high = ("" if end is None else f"'{float(end)!r}'::DOUBLE" for end in (rule.low, rule.high))
    if whole and rule.low is not None and math.isfinite(rule.low):
        low = str(math.ceil(rule.low))
    if whole and rule.high is not None and math.isfinite(rule.high):
        high = str(math.floor(rule.high))
    return low, high


def select(measures: Mapping[int, Measure], view: str) -> str:
    """The one SELECT that answers them all: the count of rows, then `"0.failing"` for the measure of key 0 and so on."""
    numbers = [
        f"{sql} AS {quoted(f'{key}.{name}')}" for key, one in measures.items() for name, sql in one.numbers.items()
    ]
    return f"SELECT {', '.join(['count(*) AS rows', *numbers])} FROM {view}"
