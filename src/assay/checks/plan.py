"""Which rules the footers of the files answer, so that only the others are scanned for. No I/O."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from assay.checks.footers import Footers, Known
from assay.checks.measure import AHEAD
from assay.checks.rules import Between, ColumnRule, Fresh, Nulls, Rule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wanted(rule: Rule) -> bool:
    """Whether footers could answer the rule."""
    return isinstance(rule, Nulls | Between | Fresh)


def answer(rule: Rule, footers: Footers, now: datetime) -> Mapping[str, Any] | None:
    """The numbers that a scan would give for the rule; None where only a scan tells.

    A broken range is always scanned for: its rows have to be counted.
    """
    known = footers.columns.get(rule.column) if isinstance(rule, ColumnRule) else None
    if known is None:
        return None
    match rule:
        case Nulls():
            return None if known.may_hold_nan else {"failing": known.nulls}
        case Between():
            return _between(rule, known)
        case Fresh():
            return _fresh(known, now)
        case _:
            return None


def _between(rule: Between, known: Known) -> Mapping[str, Any] | None:
    if not known.values:
        return {"failing": 0}
    low, high = known.low, known.high
    if low is None or high is None or (rule.low is not None and low < rule.low):
        return None
    return None if rule.high is not None and high > rule.high else {"failing": 0, "low": low, "high": high}


def _fresh(known: Known, now: datetime) -> Mapping[str, Any] | None:
    if not known.values:
        return {"failing": 0, "newest_us": None}
    ahead = (now + AHEAD - _EPOCH) // timedelta(microseconds=1)
    return None if known.high is None or known.high > ahead else {"failing": 0, "newest_us": known.high}
