"""The rules a table can be held to, as values. No I/O."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from assay.checks.freshness import Calendar
from assay.checks.words import age, among, share
from assay.contract import Field
from assay.contract.fields import Severity
from assay.errors import first_few
from assay.times import EPOCH

#: No float is as large.
BEYOND_FLOATS = 2**1023


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
    """The range of a number, a day or a time, both ends allowed; missing values are left to `Nulls`.

    Days are those of UTC where the column holds times with a zone; the last day is allowed to its end.
    """

    low: float | date | None = None
    high: float | date | None = None
    unit: str | None = None

    @property
    def temporal(self) -> bool:
        """True for a range of days or times."""
        return isinstance(self.low, date) or isinstance(self.high, date)

    @property
    def numbers(self) -> tuple[float | None, float | None]:
        """Both ends as numbers; of days and times the first and the last microsecond since 1970."""
        return _micros(self.low, last=False), _micros(self.high, last=True)

    @property
    def expected(self) -> str:
        return among(self.low, self.high, self.unit)


@dataclass(frozen=True)
class IsIn(ColumnRule):
    """The values that are known; missing values are left to `Nulls`."""

    values: tuple[str | float, ...]

    @property
    def expected(self) -> str:
        shown = (str(value).lower() if isinstance(value, bool) else str(value) for value in self.values)
        return "one of " + ", ".join(first_few(shown, len(self.values)))


@dataclass(frozen=True)
class Matches(ColumnRule):
    """The regular expression that the whole of each text matches; missing values are left to `Nulls`."""

    pattern: str

    @property
    def expected(self) -> str:
        return f"like {self.pattern}"


@dataclass(frozen=True)
class Length(ColumnRule):
    """How many characters each text has; missing values are left to `Nulls`."""

    min: int | None = None
    max: int | None = None

    @property
    def expected(self) -> str:
        return among(self.min, self.max, "characters")


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
        return self.predicate.strip()


@dataclass(frozen=True)
class Fresh(ColumnRule):
    """The newest time is at most so old; one of the future is no proof of it, and warns."""

    #: Older than this warns.
    warn: timedelta | None = None
    #: Older than this fails.
    error: timedelta | None = None
    #: The zone of times that have none, and of days; empty when there has to be one.
    zone: str = ""
    calendar: Calendar | None = None
    #: Of a column of numbers: what they count since 1970, "s", "ms", "us" or "ns".
    unit: str = ""
    #: Of a column of texts: how they show a time, like "%d/%m/%Y %H:%M".
    format: str = ""

    @property
    def expected(self) -> str:
        return f"not older than {age(min(bound for bound in (self.warn, self.error) if bound is not None))}"


def _micros(end: float | date | None, *, last: bool) -> float | None:
    if isinstance(end, datetime):
        told = end if end.tzinfo else end.replace(tzinfo=UTC)
        return (told - EPOCH) // timedelta(microseconds=1)
    if isinstance(end, date):
        day = (datetime.combine(end, time(), UTC) - EPOCH) // timedelta(microseconds=1)
        return day + 86_400_000_000 - 1 if last else day
    if isinstance(end, int) and abs(end) >= BEYOND_FLOATS:
        return math.inf if end > 0 else -math.inf
    return end
