"""How the rules of a table are declared: in Python, or by a contract. No I/O."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from os import PathLike, fspath

from assay import times
from assay.checks.freshness import Calendar
from assay.checks.infer import infer_rules
from assay.checks.likeness import Like
from assay.checks.rules import Between, Fresh, HasType, IsIn, Length, Matches, Nulls, Refers, Rows, Rule, Sql, Unique
from assay.checks.source import source
from assay.contract import Field, Record, fields
from assay.contract import between as _range
from assay.contract import nulls as _nulls
from assay.contract.fields import Severity
from assay.contract.record import event_time_field, key_fields
from assay.errors import BadInput
from assay.profiles import Profile
from assay.tables import Target

__all__ = ["Checks", "col", "fresh", "from_contract", "like", "rows", "sql", "unique"]


_TWO_DAYS = 'Write between("2024-01-01", "2024-12-31"), or give dates or times of Python.'
#: What numbers may count since 1970.
UNITS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class Column:
    """The rules of one column, as `col` collects them."""

    name: str
    rules: tuple[Rule, ...] = ()

    def between(
        self,
        low: float | date | str | None = None,
        high: float | date | str | None = None,
        *,
        unit: str | None = None,
        where: str = "",
        tolerance: float = 0.0,
        severity: Severity = "error",
    ) -> "Column":
        """Its values lie in `low` to `high`, both ends allowed: numbers, days, or times.

        Days and times are those of Python or ISO 8601 texts like "2024-01-31"; the last day is allowed to its end, and is
        one of UTC where the column's times have a zone. Raises `BadInput` for an empty range, and for ends of two kinds.
        """
        ends = _end(low), _end(high)
        rule = Between(self.name, *ends, unit, where=_condition(where), tolerance=_share(tolerance), severity=severity)
        if not rule.temporal:
            _range(*rule.numbers, unit=unit)
        elif len({type(end) for end in ends if end is not None}) > 1:
            raise BadInput(f'col("{self.name}").between({low!r}, {high!r}) has ends of two kinds', do=_TWO_DAYS)
        elif None not in ends and rule.numbers[0] > rule.numbers[1]:  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
            raise BadInput(f'col("{self.name}").between({low!r}, {high!r}) is empty', do="Give the earlier end first.")
        return self._with(rule)

    def matches(
        self, pattern: str, *, where: str = "", tolerance: float = 0.0, severity: Severity = "error"
    ) -> "Column":
        r"""The whole of each of its texts matches a regular expression, like `"[A-Z]{2}\d{4}"`.

        Raises `BadInput` for one that can't be read. Look-around and back references are not known.
        """
        try:
            re.compile(pattern)
        except re.error as error:
            do = "Correct the regular expression."
            raise BadInput(f'col("{self.name}").matches({pattern!r}): {error}', do=do) from None
        return self._with(
            Matches(self.name, pattern, where=_condition(where), tolerance=_share(tolerance), severity=severity)
        )

    def length(
        self,
        min: int | None = None,  # noqa: A002
        max: int | None = None,  # noqa: A002
        *,
        where: str = "",
        tolerance: float = 0.0,
        severity: Severity = "error",
    ) -> "Column":
        """Its texts have at least `min` and at most `max` characters. Raises `BadInput` when no length fits."""
        _range(min, max)
        return self._with(
            Length(self.name, min, max, where=_condition(where), tolerance=_share(tolerance), severity=severity)
        )

    def nulls(self, *, max: float = 0.0, where: str = "", severity: Severity = "error") -> "Column":  # noqa: A002
        """At most this share of its values, 0 to 1, is missing. Raises `BadInput` outside of that."""
        _nulls(max=max)
        return self._with(Nulls(self.name, max, where=_condition(where), severity=severity))

    def isin(
        self, *values: str | float, where: str = "", tolerance: float = 0.0, severity: Severity = "error"
    ) -> "Column":
        """Its values are among these: texts, numbers, or True and False. Raises `BadInput` for none, and for a mixture."""
        kinds = {_kind_of(value) for value in values}
        if len(kinds) != 1 or None in kinds:
            do = 'Write isin("EWR", "JFK"), or isin(*known) for a list of them.'
            raise BadInput(f'col("{self.name}").isin() takes texts, numbers, or True and False', do=do)
        return self._with(
            IsIn(self.name, values, where=_condition(where), tolerance=_share(tolerance), severity=severity)
        )

    def refers(
        self,
        to: str | PathLike[str],
        column: str = "",
        *,
        where: str = "",
        tolerance: float = 0.0,
        severity: Severity = "error",
    ) -> "Column":
        """Its values stand in a column of the table `to`, of the same name when none is given: a foreign key."""
        return self._with(
            Refers(
                self.name,
                fspath(to),
                column or self.name,
                where=_condition(where),
                tolerance=_share(tolerance),
                severity=severity,
            )
        )

    def unique(self, *, where: str = "", tolerance: float = 0.0, severity: Severity = "error") -> "Column":
        """No two rows share a value."""
        return self._with(unique(self.name, where=where, tolerance=tolerance, severity=severity))

    def _with(self, rule: Rule) -> "Column":
        return replace(self, rules=(*self.rules, rule))


class Checks:
    """Rules for one table, in the order in which they are reported.

    >>> wind = Checks(rows(min=1_000), col("wind").between(0, 100, unit="mph").nulls(max=0.05, severity="warn"))
    >>> [f"{rule.name}: {rule.expected}" for rule in wind.rules]
    ['rows: at least 1,000 rows', 'between: 0 to 100 mph', 'nulls: at most 5 % missing']
    """

    def __init__(
        self, *parts: "Rule | Column | Checks", context: Iterable[str] = (), event_time: str | None = None
    ) -> None:
        nested = [part for part in parts if isinstance(part, Checks)]
        every = (rule for part in parts for rule in ([part] if isinstance(part, Rule) else part.rules))
        self.rules: tuple[Rule, ...] = tuple(dict.fromkeys(every))
        #: The columns by which a person knows a row again: shown beside the value at fault.
        self.context: tuple[str, ...] = tuple(
            dict.fromkeys([*context, *(name for part in nested for name in part.context)])
        )
        #: The column that `check(..., fresh=...)` looks at.
        self.event_time: str | None = event_time or next((part.event_time for part in nested if part.event_time), None)

    @classmethod
    def infer(cls, target: Target) -> "Checks":
        """The rules that a table keeps today, with some slack: `print` them, look through them, and keep them in a file.

        Raises `BadInput` for an empty table, and as `check` does.
        """
        rules, context = infer_rules(target)
        return cls(*rules, context=context)

    def __repr__(self) -> str:
        return source(self.rules, context=self.context)


def rows(
    *,
    min: int | None = None,  # noqa: A002
    max: int | None = None,  # noqa: A002
    where: str = "",
    severity: Severity = "error",
) -> Rows:
    """The table has at least `min` and at most `max` rows. Raises `BadInput` when neither is given, or none fits."""
    _range(min, max)
    return Rows(min, max, where=_condition(where), severity=severity)


def col(name: str) -> Column:
    """Begin the rules of a column: `col("wind").between(0, 100).nulls(max=0.05)`."""
    return Column(name)


def unique(*columns: str, where: str = "", tolerance: float = 0.0, severity: Severity = "error") -> Unique:
    """No two rows have the same values in `columns`. Raises `BadInput` when none is named."""
    if not columns:
        raise BadInput("unique() needs a column", do='Write unique("flight") or unique("origin", "hour").')
    return Unique(columns, where=_condition(where), tolerance=_share(tolerance), severity=severity)


def fresh(
    column: str,
    *,
    error: str | timedelta | None = None,
    warn: str | timedelta | None = None,
    zone: str = "",
    unit: str = "",
    format: str = "",  # noqa: A002
    calendar: Calendar | None = None,
    where: str = "",
) -> Fresh:
    """The newest time in `column` is at most so old, like "26h": older than `warn` warns, older than `error` fails.

    `zone` is that of times without one, and of days, like "America/New_York"; `calendar` says when nothing is due.
    A column of numbers needs `unit`, what they count since 1970: "s", "ms", "us" or "ns". A column of texts needs `format`, as
    strftime has it, like "%d/%m/%Y %H:%M", and `zone`. Raises `BadInput` for no length of time, no zone, an unknown unit,
    and when neither bound is given.
    """
    early, late = (None if bound is None else times.duration(bound) for bound in (warn, error))
    if early is None and late is None:
        raise BadInput(f'fresh("{column}") needs a bound', do=f'Write fresh("{column}", warn="12h", error="24h").')
    if early is not None and late is not None and early > late:
        raise BadInput(f'fresh("{column}") can never warn: {warn} is longer than {error}', do="Choose a shorter warn=.")
    if zone:
        times.zone(zone)
    if unit and (unit not in UNITS or format or zone):
        raise BadInput(f'fresh("{column}", unit="{unit}")', do=f"Give one of {', '.join(UNITS)}; no format, no zone.")
    if format and not zone:
        raise BadInput(f'fresh("{column}", format="{format}") needs a zone', do='Add zone="UTC", or another.')
    return Fresh(column, early, late, zone=zone, calendar=calendar, unit=unit, format=format, where=_condition(where))


def like(
    reference: Target | Profile,
    *columns: str,
    seasonal: Sequence[str] = (),
    where: str = "",
    severity: Severity = "warn",
) -> Like:
    """The table looks like `reference`, another table or its profile, in `columns`, or in all that both have.

    Asks of each whether its values are spread alike (PSI above 0.1 and above chance), as many are missing (2 % of the
    rows, and chance), and none is of a kind never seen (0.5 %). The spread of `seasonal` columns is not compared.
    """
    return Like(reference, columns, tuple(seasonal), where=_condition(where), severity=severity)


def sql(
    predicate: str, *, title: str = "", where: str = "", tolerance: float = 0.0, severity: Severity = "error"
) -> Sql:
    """No row makes `predicate`, an SQL condition in the dialect of DuckDB, false: `sql("arrival >= departure")`.

    `title` is what a report calls it. Raises `BadInput` when there is none.
    """
    if not predicate.strip():
        raise BadInput("sql() needs a condition", do='Write sql("arrival >= departure").')
    return Sql(_condition(predicate), title, where=_condition(where), tolerance=_share(tolerance), severity=severity)


def _condition(text: str) -> str:
    """A condition as it can stand between others: what follows a comment begins a line of its own."""
    return text.strip() + "\n" if "--" in text else text


def _end(value: float | date | str | None) -> float | date | None:
    """An end of a range: a number, a day or a time. Raises `BadInput` for a text that is none."""
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value) if len(value) <= len("2024-01-31") else datetime.fromisoformat(value)
    except ValueError:
        raise BadInput(f"{value!r} is not a day or a time", do=_TWO_DAYS) from None


def _kind_of(value: object) -> str | None:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number" if math.isfinite(value) else None
    return "text" if isinstance(value, str) else None


def _share(tolerance: float) -> float:
    if not 0 <= tolerance <= 1:
        raise BadInput(f"tolerance={tolerance} is not a share", do="Give a number from 0 to 1, like 0.001.")
    return tolerance


def from_contract(record: type[Record]) -> Checks:
    """The rules that a contract states about a table of its records, which has at least one row.

    Freshness is not among them: how old is too old depends on when one asks.
    """
    rules: list[Rule] = [Rows(min=1, declared=record.__name__)]
    for declared in fields(record):
        rules += _field_rules(declared, f"{record.__name__}.{declared.name}")
        if declared.is_key and len(key_fields(record)) == 1:
            rules.append(Unique((declared.name,), declared=f"{record.__name__}.{declared.name}"))
    keys, time = key_fields(record), event_time_field(record)
    if len(keys) > 1:
        rules.append(Unique(tuple(one.name for one in keys), declared=record.__name__))
    known = [*keys, *([time] if time else [])]
    return Checks(*rules, context=[one.name for one in known], event_time=time.name if time else None)


def _field_rules(known: Field, declared: str) -> Iterable[Rule]:
    yield HasType(known.name, known, declared=declared)
    if not known.nullable:
        yield Nulls(known.name, declared=declared)
    elif known.nulls:
        yield Nulls(known.name, known.nulls.max, severity=known.nulls.severity, declared=declared)
    if known.range is not None:
        yield Between(known.name, known.range.low, known.range.high, known.range.unit, declared=declared)
    if known.categories is not None:
        yield IsIn(known.name, known.categories, declared=declared)
