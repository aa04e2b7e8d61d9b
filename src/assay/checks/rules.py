"""The rules a table can be held to, and how they are declared. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from os import PathLike, fspath

from assay import times
from assay.checks.words import age, among, share
from assay.contract import Field, Record, fields
from assay.contract import between as _range
from assay.contract import nulls as _nulls
from assay.contract.fields import Severity
from assay.contract.record import event_time_field, key_field
from assay.errors import BadInput, first_few

__all__ = ["Checks", "col", "fresh", "from_contract", "rows", "sql", "unique"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What every rule has beside its own values."""

    severity: Severity = "error"
    #: The contract's field it comes from, like "Weather.wind_speed"; empty when it was declared by hand.
    declared: str = ""
    #: An SQL condition on the rows that it is about, as in "origin = 'EWR'"; empty for all.
    where: str = ""
    #: The share of those rows, 0 to 1, that may break it.
    tolerance: float = 0.0

    @property
    def name(self) -> str:
        """The rule's name in reports, like "between"."""
        return type(self).__name__.lower()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return ()

    @property
    def label(self) -> str:
        """What it is called in a report: its columns."""
        return ", ".join(self.columns)

    @property
    def expected(self) -> str:
        """What it wants to see, in words."""
        raise NotImplementedError


@dataclass(frozen=True)
class Rows(Rule):
    """How many rows there have to be."""

    min: int | None = None
    max: int | None = None

    @property
    def expected(self) -> str:
        return among(self.min, self.max, "row" if (self.min, self.max) == (1, None) else "rows")


@dataclass(frozen=True)
class ColumnRule(Rule):
    """A rule about one column."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)


@dataclass(frozen=True)
class HasType(ColumnRule):
    """The column is there and has the type that a contract's field declares."""

    field: Field

    @property
    def name(self) -> str:
        return "type"

    @property
    def expected(self) -> str:
        return replace(self.field, categories=None, range=None, nullable=False).rule


@dataclass(frozen=True)
class Nulls(ColumnRule):
    """The share of rows, 0 to 1, in which the value may be missing; NaN counts as missing."""

    max: float = 0.0

    @property
    def expected(self) -> str:
        return f"at most {share(self.max)} missing" if self.max else "none missing"


@dataclass(frozen=True)
class Between(ColumnRule):
    """The range of a number, both ends allowed; missing values are left to `Nulls`."""

    low: float | None = None
    high: float | None = None
    unit: str | None = None

    @property
    def expected(self) -> str:
        return among(self.low, self.high, self.unit)


@dataclass(frozen=True)
class IsIn(ColumnRule):
    """The values that are known; missing values are left to `Nulls`."""

    values: tuple[str | int, ...]

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(first_few(map(str, self.values), len(self.values)))


@dataclass(frozen=True)
class Refers(ColumnRule):
    """The values that another table holds in a column; missing values are left to `Nulls`."""

    to: str
    key: str

    @property
    def expected(self) -> str:
        return f"in {self.key} of {self.to}"


@dataclass(frozen=True)
class Unique(Rule):
    """No two rows have the same values in these columns; rows where one is missing are left to `Nulls`."""

    over: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.over

    @property
    def expected(self) -> str:
        return "no two rows alike"


@dataclass(frozen=True)
class Sql(Rule):
    """An SQL predicate that no row makes false; where it is null nothing is said."""

    predicate: str
    title: str = ""

    @property
    def label(self) -> str:
        return self.title

    @property
    def expected(self) -> str:
        return self.predicate


@dataclass(frozen=True)
class Fresh(ColumnRule):
    """The newest time is at most `within` old, and none lies in the future."""

    within: timedelta

    @property
    def expected(self) -> str:
        return f"not older than {age(self.within)}"


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
        if len({isinstance(value, str) for value in values}) != 1:
            raise BadInput(f'col("{self.name}").isin() takes texts or whole numbers', do='Write isin("EWR", "JFK").')
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

    def __repr__(self) -> str:
        return f"Checks({', '.join(map(repr, self.rules))})"


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


def fresh(column: str, *, within: str | timedelta, where: str = "", severity: Severity = "error") -> Fresh:
    """The newest time in `column` is at most `within` old, like "26h". Raises `BadInput` for no length of time."""
    return Fresh(column, times.duration(within), where=where, severity=severity)


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
