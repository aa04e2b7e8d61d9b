"""What each rule needs to know of the table, and which rules these facts answer. No I/O."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from assay.checks.facts import Facts, Known
from assay.checks.freshness import AHEAD, EPOCH
from assay.checks.rules import Between, ColumnRule, Fresh, Nulls, Rule

Numbers = Mapping[str, Any]


def column_of(rule: Rule) -> str | None:
    """The column whose facts the rule is judged by; None for a rule that has a query of its own, or needs none."""
    return rule.column if isinstance(rule, ColumnRule) and isinstance(rule, Nulls | Between | Fresh) else None


def lacking(judged: Iterable[tuple[Rule, str]], columns: Mapping[str, Known]) -> set[str]:
    """The columns of which too little is known to judge one of these rules."""
    return {name for rule, name in judged if name not in columns or not _enough(rule, columns[name])}


def _enough(rule: Rule, known: Known) -> bool:
    # A range needs both its ends; nulls, that NaN is counted.
    if isinstance(rule, Nulls):
        return not known.may_hold_nan
    return not known.values or (known.low is not None and known.high is not None)


def answer(rule: Rule, facts: Facts, now: datetime) -> Numbers | None:
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


def ends(rule: Rule, facts: Facts) -> Numbers:
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
    if (rule.low is not None and low < rule.low) or (rule.high is not None and high > rule.high):
        return None
    return {"failing": 0, "low": low, "high": high}
