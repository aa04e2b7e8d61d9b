"""What each rule needs to know of the table, and which rules these facts answer. No I/O."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from assay.checks.freshness import AHEAD
from assay.checks.rules import Between, ColumnRule, Fresh, IsIn, Length, Matches, Nulls, Rule, Sql
from assay.tables.facts import Aggregates, Counted, Known, Wanted
from assay.times import EPOCH

Numbers = Mapping[str, Any]
#: The rules whose rows at fault are counted in the same look.
_COUNTED = (IsIn, Matches, Length, Sql)


def column_of(rule: Rule) -> str | None:
    """The column whose facts the rule is judged by; None for a rule that has a query of its own, or needs none."""
    if isinstance(rule, Fresh) and (rule.unit or rule.format):
        return None
    return rule.column if isinstance(rule, ColumnRule) and isinstance(rule, Nulls | Between | Fresh) else None


def wanted(asked: Mapping[int, tuple[Rule, str]], where: str) -> Wanted:
    """What one look has to tell of these rules, given with the condition for the rows at fault in SQL."""
    judged = [rule for rule, _ in asked.values() if column_of(rule)]
    return Wanted(
        nulls=frozenset(rule.column for rule in judged if isinstance(rule, Nulls)),
        ends=frozenset(rule.column for rule in judged if isinstance(rule, Between | Fresh)),
        counted={key: _counted(rule, when) for key, (rule, when) in asked.items() if isinstance(rule, _COUNTED)},
        where=where,
    )


def _counted(rule: Rule, when: str) -> Counted:
    if not isinstance(rule, IsIn) or isinstance(rule.values[0], bool | float):
        return Counted(when)
    return Counted(when, rule.column, rule.values)


def answer(rule: Rule, facts: Aggregates, now: datetime) -> Numbers | None:
    """The numbers that the rule is judged by; None when rows at fault have still to be counted."""
    name = column_of(rule)
    if name is None:
        return None
    known = facts.columns[name]
    match rule:
        case Nulls():
            return {"failing": known.nulls}
        case Between():
            return _between(rule, known)
        case Fresh():
            return {"newest_us": known.high, "failing": 0} if _none_ahead(rule, known, now) else None
        case _:
            return None


def ends(rule: Rule, facts: Aggregates) -> Numbers:
    """The least and the greatest value of the rule's column, as far as they are known."""
    known = facts.columns.get(column_of(rule) or "")
    return {} if known is None else {"low": known.low, "high": known.high}


def _none_ahead(rule: Fresh, known: Known, now: datetime) -> bool:
    # A clock in another zone is at most a day ahead of UTC: what is between is asked for.
    slack = timedelta(days=-1) if rule.zone else AHEAD
    return known.high is None or known.high <= (now + slack - EPOCH) // timedelta(microseconds=1)


def _between(rule: Between, known: Known) -> Numbers | None:
    low, high = known.low, known.high
    if low is None or high is None:
        return {"failing": 0}
    first, last = rule.numbers
    if (first is not None and low < first) or (last is not None and high > last):
        return None
    return {"failing": 0, "low": low, "high": high}
