"""What is asked of a table's columns and what is known of them: the few numbers by which most rules are judged. No I/O."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from assay.contract.formats.sql import quoted
from assay.tables.view import RANGED, TIMES, VIEW, Kind
from assay.times import EPOCH


@dataclass(frozen=True)
class Known:
    """One column."""

    #: Rows in which it is missing; NaN counts as missing unless `may_hold_nan`.
    nulls: int
    #: Rows in which it is not.
    values: int
    #: The least and the greatest value, times in microseconds since 1970; None where there is none or nothing tells.
    low: float | None = None
    high: float | None = None
    #: True when NaN may be among the values: the footers of Parquet files do not count it.
    may_hold_nan: bool = False
    #: True when a footer gives one value as both ends: DuckDB then filters by that value and reads no other.
    one_value: bool = False


@dataclass(frozen=True)
class Aggregates:
    """A table, or the rows of it that a condition chooses."""

    rows: int
    columns: Mapping[str, Known]
    #: The counts that were wanted, by their keys.
    failing: Mapping[int, int] = field(default_factory=dict[int, int])

    def without_nan(self, names: Collection[str]) -> "Aggregates":
        """The same, once it is known that these columns hold no NaN."""
        return Aggregates(
            self.rows, {n: replace(k, may_hold_nan=k.may_hold_nan and n not in names) for n, k in self.columns.items()}
        )


@dataclass(frozen=True)
class Counted:
    """Rows to be counted."""

    #: True for these rows, in SQL.
    when: str
    #: Where `when` says that a column's value is none of these values: the column, and they.
    column: str = ""
    known: tuple[str | float, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What one look at a table, or at the rows that a condition chooses, has to tell."""

    #: The columns whose missing values are to be counted, NaN among them.
    nulls: frozenset[str] = frozenset()
    #: The columns whose least and greatest value are to be known.
    ends: frozenset[str] = frozenset()
    counted: Mapping[int, Counted] = field(default_factory=dict[int, Counted])
    where: str = ""

    @property
    def columns(self) -> list[str]:
        """The columns that are to be known, in order."""
        return sorted(self.nulls | self.ends)

    def lacking(self, columns: Mapping[str, Known]) -> set[str]:
        """The columns of which less is known than is wanted."""
        return {name for name in self.columns if name not in columns or not self._enough(name, columns[name])}

    def _enough(self, name: str, known: Known) -> bool:
        if name in self.nulls and known.may_hold_nan:
            return False
        return name not in self.ends or not known.values or (known.low is not None and known.high is not None)

    def of(self, names: Collection[str], counted: Mapping[int, Counted] | None = None) -> "Wanted":
        """The same of these columns only, and only these counts."""
        return Wanted(self.nulls.intersection(names), self.ends.intersection(names), counted or {}, self.where)


def scan(wanted: Wanted, kinds: Mapping[str, Kind], micros: Callable[[str], str], view: str = VIEW) -> str:
    """The SELECT for what is wanted; `micros` gives the SQL for the microseconds since 1970 of a time."""
    told = ["count(*) AS rows"]
    for i, name in enumerate(wanted.columns):  # by place: PostgreSQL cuts names of more than 63 bytes
        column = quoted(name)
        told.append(f"count({column}) AS {quoted(f'values.{i}')}")
        if kinds[name] in RANGED:
            ends = {end: f"{function}({column})" for end, function in (("low", "min"), ("high", "max"))}
            shown = {end: micros(sql) if kinds[name] in TIMES else sql for end, sql in ends.items()}
            told += [f"{sql} AS {quoted(f'{end}.{i}')}" for end, sql in shown.items()]
    told += [f"count(*) FILTER (WHERE {one.when}) AS {quoted(f'failing.{key}')}" for key, one in wanted.counted.items()]
    return f"SELECT {', '.join(told)} FROM {view} WHERE {wanted.where or 'true'}"


def scanned(row: Mapping[str, Any], wanted: Wanted) -> Aggregates:
    """The facts that the row of `scan` holds."""
    total: int = row["rows"]
    columns = {
        name: Known(
            total - row[f"values.{i}"],
            row[f"values.{i}"],
            as_number(row.get(f"low.{i}"), -math.inf),
            as_number(row.get(f"high.{i}"), math.inf),
        )
        for i, name in enumerate(wanted.columns)
    }
    return Aggregates(total, columns, {key: row[f"failing.{key}"] or 0 for key in wanted.counted})


def as_number(value: Any, outwards: float = 0.0) -> float | None:
    """An end as engines give it, as a number; times in microseconds since 1970.

    A decimal with more digits than a float has is taken a step towards `outwards`, so that no end is lost in rounding.

    >>> as_number(date(1970, 1, 2)), as_number(Decimal("2.5"))
    (86400000000, 2.5)
    """
    if isinstance(value, Decimal):
        if value.is_finite() and value == value.to_integral_value():
            return int(value)
        near = float(value)
        return (
            near
            if not outwards or not value.is_finite() or Decimal(repr(near)) == value
            else math.nextafter(near, outwards)
        )
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        told = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (told - EPOCH) // timedelta(microseconds=1)
    return value
