"""How the rules of a table are declared: in Python, or by a contract. No I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from os import PathLike, fspath

from assay import times
from assay.checks.freshness import Calendar
from assay.checks.infer import infer_rules
from assay.checks.likeness import Like
from assay.checks.rules import Between, Fresh, HasType, IsIn, Nulls, Refers, Rows, Rule, Sql, Unique
from assay.checks.source import source
from assay.checks.tables import Target
from assay.contract import Field, Record, fields
from assay.contract import between as _range
from assay.contract import nulls as _nulls
from assay.contract.fields import Severity
from assay.contract.record import event_time_field, key_field
from assay.errors import BadInput
from assay.profiles import Profile

__all__ = ["Checks", "col", "fresh", "from_contract", "like", "rows", "sql", "unique"]


@dataclass(frozen=True)
class Column:
    """The rules of one column, as `col` collects them."""

    name: str
    rules: tuple[Rule, ...] = ()

    def between(
        self,
        low: float | None = None,
        high: float | None = None,
        *,
        unit: str | None = None,
        where: str = "",
        tolerance: float = 0.0,
        severity: Severity = "error",
    ) -> "Column":
        """Its numbers lie in `low` to `high`, both ends allowed. Raises `BadInput` for an empty range."""
        _range(low, high, unit=unit)
        return self._with(
            Between(self.name, low, high, unit, where=where, tolerance=_share(tolerance), severity=severity)
        )

    def nulls(self, *, max: float = 0.0, where: str = "", severity: Severity = "error") -> "Column":  # noqa: A002
        """At most this share of its values, 0 to 1, is missing. Raises `BadInput` outside of that."""
        _nulls(max=max)
        return self._with(Nulls(self.name, max, where=where, severity=severity))

    def isin(
        self, *values: str | int, where: str = "", tolerance: float = 0.0, severity: Severity = "error"
    ) -> "Column":
        """Its values are among these. Raises `BadInput` for none, and for texts mixed with numbers."""
        texts = {isinstance(value, str) for value in values}
        if len(texts) != 1 or not all(isinstance(value, str | int) for value in values):  # pyright: ignore[reportUnnecessaryIsInstance]
            do = 'Write isin("EWR", "JFK"), or isin(*known) for a list of them.'
            raise BadInput(f'col("{self.name}").isin() takes texts or whole numbers', do=do)
        return self._with(IsIn(self.name, values, where=where, tolerance=_share(tolerance), severity=severity))

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
                self.name, fspath(to), column or self.name, where=where, tolerance=_share(tolerance), severity=severity
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
    return Rows(min, max, where=where, severity=severity)


def col(name: str) -> Column:
    """Begin the rules of a column: `col("wind").between(0, 100).nulls(max=0.05)`."""
    return Column(name)


def unique(*columns: str, where: str = "", tolerance: float = 0.0, severity: Severity = "error") -> Unique:
    """No two rows have the same values in `columns`. Raises `BadInput` when none is named."""
    if not columns:
        raise BadInput("unique() needs a column", do='Write unique("flight") or unique("origin", "hour").')
    return Unique(columns, where=where, tolerance=_share(tolerance), severity=severity)


def fresh(
    column: str,
    *,
    error: str | timedelta | None = None,
    warn: str | timedelta | None = None,
    zone: str = "",
    calendar: Calendar | None = None,
    where: str = "",
) -> Fresh:
    """The newest time in `column` is at most so old, like "26h": older than `warn` warns, older than `error` fails.

    `zone` is that of times without one, and of days, like "America/New_York"; `calendar` says when nothing is due.
    Raises `BadInput` for no length of time, no zone, and when neither bound is given.
    """
    early, late = (None if bound is None else times.duration(bound) for bound in (warn, error))
    if early is None and late is None:
        raise BadInput(f'fresh("{column}") needs a bound', do=f'Write fresh("{column}", warn="12h", error="24h").')
    if early is not None and late is not None and early > late:
        raise BadInput(
            f'fresh("{column}") can never warn: {warn} is more than {error}', do="Let it warn before it fails."
        )
    if zone:
        times.zone(zone)
    return Fresh(column, early, late, zone=zone, calendar=calendar, where=where)


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
    return Like(reference, columns, tuple(seasonal), where=where, severity=severity)


def sql(
    predicate: str, *, title: str = "", where: str = "", tolerance: float = 0.0, severity: Severity = "error"
) -> Sql:
    """No row makes `predicate`, an SQL condition in the dialect of DuckDB, false: `sql("arrival >= departure")`.

    `title` is what a report calls it. Raises `BadInput` when there is none.
    """
    if not predicate.strip():
        raise BadInput("sql() needs a condition", do='Write sql("arrival >= departure").')
    return Sql(predicate, title, where=where, tolerance=_share(tolerance), severity=severity)


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
    key, time = key_field(record), event_time_field(record)
    return Checks(
        *rules, context=[known.name for known in (key, time) if known], event_time=time.name if time else None
    )


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
    if known.role == "key":
        yield Unique((known.name,), declared=declared)
