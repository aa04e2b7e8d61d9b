"""Whether a rule is broken, and the words for it, from the numbers that were measured. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from assay.checks.breaks import kinds_for
from assay.checks.freshness import Calendar, moment_of
from assay.checks.likeness import Compared, LikeColumn
from assay.checks.rules import (
    Between,
    Fresh,
    HasType,
    IsIn,
    Length,
    Matches,
    Nulls,
    Refers,
    Rows,
    Rule,
    Sql,
    Unique,
)
from assay.checks.words import age, among, cell, moment, number, share
from assay.contract.fields import Severity
from assay.errors import first_few, near_miss
from assay.tables.view import HOLDS, Kind

Numbers = Mapping[str, Any]
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class CheckOutcome:
    """What one rule found."""

    broken: bool
    observed: str
    message: str = ""
    failing: int = 0
    #: How bad it is, where that depends on what was found; the rule's own severity when None.
    severity: Severity | None = None
    #: True when it could not be found out.
    unasked: bool = False
    #: The age that freshness was judged by.
    age: timedelta | None = None


def missing(column: str, known: Iterable[str], total: int) -> CheckOutcome:
    """The finding of a rule whose column is not there."""
    hint = near_miss(column, known)
    return CheckOutcome(True, "no such column", "not in the table" + (f" ({hint})" if hint else ""), total)


def mistyped(rule: Rule, kind: Kind, unread: int, total: int, texts: Sequence[str] = ()) -> CheckOutcome:
    """The finding of a rule that can't read this kind of column; `texts` are the files that brought it."""
    brought = f"   brought by {', '.join(first_few(texts, len(texts)))}" if texts else ""
    wanted = "numbers" if "number" in kinds_for(rule) else HOLDS[kinds_for(rule)[0]]
    if isinstance(rule, HasType) and kind == "number" and not unread:
        return CheckOutcome(False, "whole numbers")
    if unread and unread < total:
        return CheckOutcome(True, HOLDS[kind], f"{_of(unread, total)} can't be read as {wanted}{brought}", unread)
    if kind in ("naive", "date") and wanted == "times":
        (column,) = rule.columns
        zoned = f'pc.assume_timezone(table["{column}"], "America/New_York")'
        say = 'zone="America/New_York"' if isinstance(rule, Fresh) else zoned
        what = "dates" if kind == "date" else "times"
        return CheckOutcome(True, HOLDS[kind], f"its {what} have no time zone: add one, like {say}", total)
    return CheckOutcome(True, HOLDS[kind], f"holds {HOLDS[kind]}, {wanted} expected{brought}", total)


def judge(rule: Rule, numbers: Numbers, total: int, now: datetime) -> CheckOutcome:
    """The finding of a rule that could be measured, over the `total` rows that it is about."""
    found = _judged(rule, numbers, total, now)
    if rule.tolerance and found.broken and found.failing:
        part = found.failing / total
        allowed = f"at most {share(rule.tolerance)} allowed"
        if part <= rule.tolerance:
            return CheckOutcome(False, f"{_of(found.failing, total)} at fault, {allowed}", failing=found.failing)
        found = replace(found, message=f"{found.message}   {share(part, rule.tolerance)}, {allowed}")
    return replace(found, message=f"{found.message}   where {rule.where.strip()}") if rule.where else found


def unlike(kind: Kind, rule: Refers, other: Kind, total: int) -> CheckOutcome:
    """The finding of a reference from one kind of values to another."""
    return CheckOutcome(True, HOLDS[kind], f"holds {HOLDS[kind]}, {rule.key} of {rule.to} {HOLDS[other]}", total)


def unasked(why: str) -> CheckOutcome:
    """The finding of a rule whose condition does not run."""
    return CheckOutcome(True, "not known", f"can't be asked: {why}", unasked=True)


def _judged(rule: Rule, numbers: Numbers, total: int, now: datetime) -> CheckOutcome:
    match rule:
        case Rows():
            return _rows(rule, total)
        case HasType():
            return CheckOutcome(False, rule.expected)
        case Nulls():
            return _nulls(rule, numbers["failing"], total)
        case Between():
            return _between(rule, numbers, total)
        case IsIn() | Refers():
            return _known(rule, numbers, total)
        case Unique():
            return _unique(rule, numbers, total)
        case Fresh():
            return _fresh(rule, numbers, total, now)
        case LikeColumn():
            return _like(numbers["compared"])
        case Sql() | Matches() | Length():
            return _each(rule, numbers["failing"], total)
        case _:
            raise TypeError(rule)


def _rows(rule: Rows, total: int) -> CheckOutcome:
    broken = not (rule.min or 0) <= total <= (total if rule.max is None else rule.max)
    counted = f"{number(total)} rows" if total else "empty"
    return CheckOutcome(broken, number(total), f"{counted}, {rule.expected} expected")


def _each(rule: Sql | Matches | Length, failing: int, total: int) -> CheckOutcome:
    if isinstance(rule, Sql):
        return CheckOutcome(failing > 0, "true of every row", f"{_of(failing, total)} break {rule.expected}", failing)
    return CheckOutcome(failing > 0, f"all {rule.expected}", f"{_of(failing, total)} not {rule.expected}", failing)


def _of(failing: int, total: int) -> str:
    return f"{number(failing)} of {number(total)} rows"


def _nulls(rule: Nulls, failing: int, total: int) -> CheckOutcome:
    part = failing / total if total else 0.0
    observed = f"{share(part, rule.max)} missing"
    allowed = f" ({share(part, rule.max)}), at most {share(rule.max)} expected" if rule.max else ""
    message = f"missing in {_of(failing, total)}{allowed}"
    return CheckOutcome(part > rule.max, observed, message, failing)


def _between(rule: Between, numbers: Numbers, total: int) -> CheckOutcome:
    failing, low, high = numbers.get("failing", 0), numbers.get("low"), numbers.get("high")
    if low is None or high is None:
        return CheckOutcome(False, "no values")
    first, last = rule.numbers
    far_low = 0 if first is None else first - float(low)
    far_high = 0 if last is None else float(high) - last
    worst = low if far_low > far_high else high
    if rule.temporal:
        least, most = (_when(rule, end) for end in (low, high))
        message = f"{_of(failing, total)} outside {rule.expected}   worst {least if worst == low else most}"
        return CheckOutcome(failing > 0, f"{least} to {most}", message, failing)
    message = f"{_of(failing, total)} outside {rule.expected}   worst {number(worst)}"
    return CheckOutcome(failing > 0, among(low, high, rule.unit), message, failing)


def _when(rule: Between, micros: float) -> str:
    """A day or a time as the ends of the rule are written."""
    shown = moment_of(micros, "")
    end = rule.high if rule.low is None else rule.low
    if isinstance(end, datetime):
        return moment(shown if end.tzinfo else shown.replace(tzinfo=None))
    return shown.date().isoformat() if micros % DAY_US == 0 else moment(shown.replace(tzinfo=None))


def _known(rule: IsIn | Refers, numbers: Numbers, total: int) -> CheckOutcome:
    failing = numbers.get("failing", 0)
    if not failing:
        return CheckOutcome(False, "only known values")
    known = [str(value) for value in rule.values] if isinstance(rule, IsIn) else []
    truths = isinstance(rule, IsIn) and isinstance(rule.values[0], bool)  # SQLite holds 0 and 1
    unknown = [(bool(value) if truths else value, count) for value, count in numbers["unknown"]]
    hints = [(value, count, near_miss(str(value), known)) for value, count in unknown]
    texts = [f"{cell(value)} × {number(count)}" + (f" ({hint})" if hint else "") for value, count, hint in hints]
    more = numbers["unknowns"] - len(texts)
    observed = ", ".join([*texts, f"{number(more)} more values"] if more else texts)
    return CheckOutcome(True, observed, f"{_of(failing, total)} not {rule.expected}   {observed}", failing)


def _unique(rule: Unique, numbers: Numbers, total: int) -> CheckOutcome:
    failing, values = numbers["failing"], numbers["values"]
    if not failing:
        return CheckOutcome(False, rule.expected)
    observed = f"{number(values)} value{'s' * (values != 1)} more than once"
    return CheckOutcome(True, observed, f"{_of(failing, total)} not unique   {observed}", failing)


def _like(compared: Compared) -> CheckOutcome:
    if not compared.sentences:
        return CheckOutcome(False, f"PSI {compared.psi:.2g}")
    return CheckOutcome(True, compared.sentences[0], "   ".join(compared.sentences), compared.unseen)


def _fresh(rule: Fresh, numbers: Numbers, total: int, now: datetime) -> CheckOutcome:
    ahead = numbers.get("failing", 0)
    future = _future(numbers, rule.zone, total, now) if ahead else ""
    if unread := numbers.get("unread"):
        future = "   ".join(filter(None, [f"{_of(unread, total)} show no time like {rule.format}", future]))
    newest_us = numbers.get("newest_us")
    if newest_us is None:
        missing = f"no time from which to compute the age{'; ' if future else ''}{future}"
        return CheckOutcome(True, "no times", missing, ahead, severity="error" if rule.error is not None else "warn")
    newest = moment_of(newest_us, rule.zone)
    old = (rule.calendar or Calendar()).age(newest, now)
    observed = f"newest {moment(newest)}"
    late: Severity | None = (
        "error"
        if rule.error is not None and old > rule.error
        else "warn"
        if rule.warn is not None and old > rule.warn
        else None
    )
    if not late and not future:
        return CheckOutcome(False, observed, age=old)
    bound = rule.error if late == "error" else rule.warn
    said = f"{observed}, {age(old)} old, not older than {age(bound)} expected" if late and bound is not None else ""
    message = "   ".join(filter(None, [said, future]))
    return CheckOutcome(True, observed, message, ahead, severity=late or "warn", age=old)


def _future(numbers: Numbers, zone: str, total: int, now: datetime) -> str:
    latest = moment_of(numbers["latest_us"], zone)
    return f"{_of(numbers['failing'], total)} in the future   newest {moment(latest)}, {age(latest - now)} ahead"
