"""What is known of a table's columns: the few numbers from which most rules are judged. No I/O."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from assay.checks.freshness import EPOCH
from assay.checks.rules import Rule
from assay.checks.view import RANGED, TIMES, VIEW, Kind
from assay.contract.formats.sql import quoted


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
class Facts:
    """A table, or the rows of it that a condition chooses."""

    rows: int
    columns: Mapping[str, Known]
    #: Rows at fault by rule, counted from 0, where they are counted already.
    failing: Mapping[int, int] = field(default_factory=dict[int, int])

    def without_nan(self, names: Collection[str]) -> "Facts":
        """The same, once it is known that these columns hold no NaN."""
        return Facts(
            self.rows, {n: replace(k, may_hold_nan=k.may_hold_nan and n not in names) for n, k in self.columns.items()}
        )


@dataclass(frozen=True)
class Wanted:
    """What one look at a table, or at the rows that a condition chooses, has to tell."""

    #: Rules that are judged by the facts of a column, and that column.
    judged: tuple[tuple[Rule, str], ...] = ()
    #: Rules whose rows at fault are to be counted, with the condition for these in SQL.
    counted: Mapping[int, tuple[Rule, str]] = field(default_factory=dict[int, tuple[Rule, str]])
    where: str = ""

    @property
    def columns(self) -> list[str]:
        """The columns that are to be known, in order."""
        return sorted({name for _, name in self.judged})


def scan(wanted: Wanted, kinds: Mapping[str, Kind], micros: Callable[[str], str], view: str = VIEW) -> str:
    """The SELECT for what is wanted; `micros` gives the SQL for the microseconds since 1970 of a time."""
    told = ["count(*) AS rows"]
    for name in wanted.columns:
        column = quoted(name)
        told.append(f"count({column}) AS {quoted(f'values.{name}')}")
        if kinds[name] in RANGED:
            ends = {end: f"{function}({column})" for end, function in (("low", "min"), ("high", "max"))}
            shown = {end: micros(sql) if kinds[name] in TIMES else sql for end, sql in ends.items()}
            told += [f"{sql} AS {quoted(f'{end}.{name}')}" for end, sql in shown.items()]
    told += [
        f"count(*) FILTER (WHERE {when}) AS {quoted(f'failing.{key}')}" for key, (_, when) in wanted.counted.items()
    ]
    return f"SELECT {', '.join(told)} FROM {view} WHERE {wanted.where or 'true'}"


def scanned(row: Mapping[str, Any], wanted: Wanted) -> Facts:
    """The facts that the row of `scan` holds."""
    total: int = row["rows"]
    columns = {
        name: Known(
            total - row[f"values.{name}"],
            row[f"values.{name}"],
            as_number(row.get(f"low.{name}")),
            as_number(row.get(f"high.{name}")),
        )
        for name in wanted.columns
    }
    return Facts(total, columns, {key: row[f"failing.{key}"] or 0 for key in wanted.counted})


def as_number(value: Any) -> float | None:
    """An end as engines give it, as a number; times in microseconds since 1970.

    >>> as_number(date(1970, 1, 2)), as_number(Decimal("2.5"))
    (86400000000, 2.5)
    """
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        told = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (told - EPOCH) // timedelta(microseconds=1)
    return value
