"""What a report must say, computed row by row in plain Python from the words of the documentation."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from cases import NOW, Row, conditions, is_missing, predicates

from assay.checks.freshness import Calendar
from assay.checks.rules import Between, Fresh, HasType, IsIn, Length, Matches, Nulls, Rows, Rule, Sql, Unique

#: Status, rows at fault, rows that the rule is about.
Said = tuple[str, int, int]


def expected(rule: Rule, rows: Sequence[Row], kinds: dict[str, str]) -> Said:
    """The result of one rule."""
    about = [row for row in rows if not rule.where or conditions(kinds)[rule.where.strip()](row)]
    if isinstance(rule, Fresh):
        return *_fresh(rule, about, kinds), len(about)
    broken, failing = _broken(rule, about, kinds)
    if broken and rule.tolerance and failing:
        broken = Fraction(failing, len(about)) > Fraction(str(rule.tolerance))
    status = "pass" if not broken else "fail" if rule.severity == "error" else "warn"
    return status, failing, len(about)


def _broken(rule: Rule, rows: Sequence[Row], kinds: dict[str, str]) -> tuple[bool, int]:
    match rule:
        case Rows():
            return not (rule.min or 0) <= len(rows) <= (len(rows) if rule.max is None else rule.max), 0
        case HasType():
            return False, 0
        case Nulls():
            failing = sum(is_missing(row[rule.column]) for row in rows)
            return bool(rows) and failing / len(rows) > rule.max, failing
        case Unique():
            keys = [tuple(row[name] for name in rule.over) for row in rows]
            count = Counter(key for key in keys if not any(map(is_missing, key)))
            failing = sum(n for n in count.values() if n > 1)
            return failing > 0, failing
        case Sql():
            failing = sum(predicates(kinds)[rule.predicate.strip()](row) is False for row in rows)
            return failing > 0, failing
        case _:
            wrong = _wrong(rule)
            failing = sum(wrong(row[rule.column]) for row in rows if not is_missing(row[rule.column]))  # type: ignore[attr-defined]
            return failing > 0, failing


def _wrong(rule: Rule) -> Callable[[Any], bool]:
    match rule:
        case Between() if rule.temporal:
            return lambda value: _outside_time(rule, value)
        case Between():
            return lambda value: _outside(rule, value)
        case IsIn():
            return lambda value: not any(_equal(value, one) for one in rule.values)
        case Matches():
            return lambda value: not re.fullmatch(rule.pattern, value)
        case Length():
            return lambda value: not (rule.min or 0) <= len(value) <= (len(value) if rule.max is None else rule.max)
        case _:
            raise TypeError(rule)


def _exact(value: Any) -> Any:
    if isinstance(value, float) and abs(value) == float("inf"):
        return value
    return Fraction(value)


def _outside(rule: Between, value: Any) -> bool:
    def end(one: Any) -> Any:
        # A decimal is compared with the digits of an end as they are written.
        return Fraction(repr(one)) if isinstance(value, Decimal) else _exact(one)

    return (rule.low is not None and _exact(value) < end(rule.low)) or (
        rule.high is not None and _exact(value) > end(rule.high)
    )


def _equal(value: Any, known: Any) -> bool:
    if isinstance(value, Decimal) and isinstance(known, float):
        return value == Decimal(repr(known))
    return value == known


def _outside_time(rule: Between, value: Any) -> bool:
    low, high = rule.low, rule.high
    if isinstance(value, datetime):
        zone = value.tzinfo
        if low is not None and not isinstance(low, datetime):
            low = datetime(low.year, low.month, low.day, tzinfo=zone)
        if high is not None and not isinstance(high, datetime):  # to the end of the day
            return (low is not None and value < low) or value >= datetime(
                high.year, high.month, high.day, tzinfo=zone
            ) + timedelta(days=1)
    return (low is not None and value < low) or (high is not None and value > high)


def _moment(value: Any, rule: Fresh) -> datetime | None:
    """The moment that a cell shows; None where it shows none."""
    if rule.unit:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    if rule.format:
        try:
            value = datetime.strptime(value, rule.format)  # noqa: DTZ007 - what a clock shows
        except ValueError:
            return None
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return value if value.tzinfo else value.replace(tzinfo=ZoneInfo(rule.zone), fold=1).astimezone(UTC)


def _is_ahead(value: Any, moment: datetime, rule: Fresh) -> bool:
    shown = (NOW + timedelta(minutes=5)).astimezone(ZoneInfo(rule.zone or "UTC"))
    if isinstance(value, date) and not isinstance(value, datetime):
        return value > shown.date()
    return moment > NOW + timedelta(minutes=5)


def _fresh(rule: Fresh, rows: Sequence[Row], kinds: dict[str, str]) -> tuple[str, int]:
    there = [row[rule.column] for row in rows if not is_missing(row[rule.column])]
    known = [(value, moment) for value in there if (moment := _moment(value, rule)) is not None]
    past = [moment for value, moment in known if not _is_ahead(value, moment, rule)]
    ahead = len(known) - len(past)
    if not past:
        return ("fail" if rule.error is not None else "warn"), ahead
    age = (rule.calendar or Calendar()).age(max(past), NOW)
    if rule.error is not None and age > rule.error:
        return "fail", ahead
    late = rule.warn is not None and age > rule.warn
    return ("warn" if late or ahead or len(known) < len(there) else "pass"), ahead
