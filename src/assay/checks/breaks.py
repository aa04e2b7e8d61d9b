"""Which rows break a rule, as SQL. No I/O."""

import math
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from assay.checks.freshness import AHEAD, clock
from assay.checks.likeness import LikeColumn, kinds_of, never_seen
from assay.checks.rules import Between, ColumnRule, Fresh, HasType, IsIn, Length, Matches, Nulls, Refers, Rule, Sql
from assay.checks.words import moment
from assay.contract import Field
from assay.contract.formats.sql import literal, quoted
from assay.tables.view import TIMES, Digits, Kind, other

_KINDS: dict[type, tuple[Kind, ...]] = {
    float: ("number", "whole"),
    int: ("whole",),
    bool: ("truth",),
    str: ("text",),
    datetime: ("time",),
    date: ("date",),
}
_CASTS: dict[type, str] = {float: "DOUBLE", int: "BIGINT", bool: "BOOLEAN", datetime: "TIMESTAMPTZ", date: "DATE"}


#: Whole numbers have no ends beyond that: a literal of DuckDB is one of 128 bits.
BEYOND = 2**127
MOST_WHOLE = 2**63 - 1


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
            return (*_KINDS[datetime], "naive") if rule.field.zone else _KINDS[rule.field.type]
        case Between():
            return _ranged(rule)
        case IsIn():
            return _KINDS[type(rule.values[0])] if isinstance(rule.values[0], bool | str) else _KINDS[float]
        case Matches() | Length():
            return _KINDS[str]
        case LikeColumn():
            return kinds_of(rule)
        case Fresh() if rule.unit:
            return _KINDS[float]
        case Fresh() if rule.format:
            return _KINDS[str]
        case Fresh():
            return TIMES if rule.zone else _KINDS[datetime]
        case _:
            return ()


def _ranged(rule: Between) -> tuple[Kind, ...]:
    if not rule.temporal:
        return _KINDS[float]
    end = rule.high if rule.low is None else rule.low
    if not isinstance(end, datetime):
        return ("date", "time", "naive")
    return ("time",) if end.tzinfo else ("naive",)


def misfits(known: Field, column: str, kind: Kind) -> Breaks:
    """The values in a column that should hold something else and can't be read as such.

    Among them, of a column of decimal numbers that should hold whole ones, those that are not whole.
    """
    if kind == "number" and known.type is int:
        return Breaks(f"round({column}) <> {column} OR abs({column}) > {MOST_WHOLE}")
    if kind != "text":
        return Breaks()
    return Breaks(f"{column} IS NOT NULL AND TRY_CAST({column} AS {_CASTS[known.type]}) IS NULL")


def breaks(rule: Rule, kind: Kind | None, now: datetime, digits: Digits | None = None) -> Breaks:
    """Which rows break `rule`, whose column has a kind that it can read; none for `Unique`, which is about pairs.

    For `Fresh` they are the rows of the future. `digits` are those of a column of decimals, compared digit by digit.
    """
    if digits and isinstance(rule, Between) and not rule.temporal:
        found = _of_decimals(rule, quoted(rule.column), digits)
    else:
        found = _breaks(rule, kind, now)
    return replace(found, when=f"({rule.where}) AND ({found.when})") if rule.where and found.when else found


def _breaks(rule: Rule, kind: Kind | None, now: datetime) -> Breaks:
    column = quoted(rule.column) if isinstance(rule, ColumnRule) else ""
    match rule:
        case Nulls():
            return Breaks(f"{column} IS NULL")
        case Between():
            return _within(rule, column, kind) if rule.temporal else _between(rule, column, whole=kind == "whole")
        case IsIn():
            return Breaks(f"{column} NOT IN ({', '.join(map(_value, rule.values))})")
        case Matches():
            return Breaks(f"NOT regexp_matches({column}, {literal(f'^(?:{rule.pattern})$')})")
        case Length():
            sides = [(rule.min, "<"), (rule.max, ">")]
            return Breaks(" OR ".join(f"length({column}) {sign} {end}" for end, sign in sides if end is not None))
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
    if rule.unit or rule.format:
        return Breaks()  # of what it reads a query of its own is made
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


def _of_decimals(rule: Between, column: str, digits: Digits) -> Breaks:
    """As `_between`, digit by digit: as floats 2**53 + 1 would equal 2**53."""
    low, high = rule.numbers
    sides = [_side(column, "<", low, digits)] if low is not None else []
    sides += [_side(column, ">", high, digits)] if high is not None else []
    return Breaks(" OR ".join(sides), _between(rule, column, whole=False).order)


def _side(column: str, sign: str, end: float, digits: Digits) -> str:
    """Beyond one end: the least, or greatest, decimal of the column's own digits that is allowed."""
    exact = Decimal(repr(end))
    if digits.before is not None and abs(exact) >= Decimal(10) ** digits.before:  # no literal is as long
        return f"{column}::DOUBLE {sign} '{float(end)!r}'::DOUBLE"
    if digits.after is not None:
        inwards = ROUND_CEILING if sign == "<" else ROUND_FLOOR
        exact = exact.quantize(Decimal(1).scaleb(-digits.after), inwards, Context(prec=100))
    return f"{column} {sign} {exact:f}"


def _ends(rule: Between, *, whole: bool) -> tuple[str, str]:
    """Both ends as SQL; whole numbers are compared with whole ends, or else 2**53 + 1 would equal 2**53.

    An end beyond all whole numbers stays a float: no engine has a whole literal of it.
    """
    low, high = rule.numbers
    texts = ["" if end is None else f"'{float(end)!r}'::DOUBLE" for end in (low, high)]
    if whole and low is not None and abs(low) < BEYOND:
        texts[0] = str(math.ceil(low))
    if whole and high is not None and abs(high) < BEYOND:
        texts[1] = str(math.floor(high))
    return texts[0], texts[1]


def _within(rule: Between, column: str, kind: Kind | None) -> Breaks:
    """Outside of days or times; the last day ends where the next begins."""
    low, high, past = rule.low, rule.high, ">"
    if kind != "date" and isinstance(high, date) and not isinstance(high, datetime):
        if high < date.max:
            high, past = high + timedelta(days=1), ">="
        else:
            high = None
    sides = [f"{column} < {_time(low, kind)}"] * (low is not None)
    sides += [f"{column} {past} {_time(high, kind)}"] * (high is not None)
    return Breaks(" OR ".join(sides), f"{column}{' DESC' * (high is not None)}")


def _time(end: float | date | None, kind: Kind | None) -> str:
    if isinstance(end, datetime):
        return f"TIMESTAMPTZ '{end.isoformat()}'" if kind == "time" else f"TIMESTAMP '{end.isoformat(sep=' ')}'"
    if kind == "date":
        return f"DATE '{end}'"
    return f"TIMESTAMPTZ '{end}T00:00:00Z'" if kind == "time" else f"TIMESTAMP '{end} 00:00:00'"


def _value(value: str | float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value!r}'::DOUBLE" if isinstance(value, float) else literal(value)
