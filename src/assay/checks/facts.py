"""What is known of a table's columns: the few numbers from which most rules are judged. No I/O."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from assay.checks.target import VIEW, Kind
from assay.contract.formats.sql import quoted

_RANGED: tuple[Kind, ...] = ("number", "whole", "time")


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


def scan(names: Iterable[str], kinds: Mapping[str, Kind], at_fault: Mapping[int, str], where: str) -> str:
    """The SELECT for the facts of these columns, and for the count of rows at fault by each of these conditions.

    With `where` it is about the rows that this condition chooses.
    """
    wanted = ["count(*) AS rows"]
    for name in names:
        column = quoted(name)
        wanted.append(f"count({column}) AS {quoted(f'values.{name}')}")
        if kinds[name] in _RANGED:
            ends = {end: f"{function}({column})" for end, function in (("low", "min"), ("high", "max"))}
            shown = {end: f"epoch_us({sql})" if kinds[name] == "time" else sql for end, sql in ends.items()}
            wanted += [f"{sql} AS {quoted(f'{end}.{name}')}" for end, sql in shown.items()]
    wanted += [f"count(*) FILTER (WHERE {when}) AS {quoted(f'failing.{key}')}" for key, when in at_fault.items()]
    return f"SELECT {', '.join(wanted)} FROM {VIEW} WHERE {where or 'true'}"


def scanned(row: Mapping[str, Any], names: Iterable[str], keys: Iterable[int]) -> Facts:
    """The facts that the row of `scan` holds."""
    total: int = row["rows"]
    columns = {
        name: Known(
            total - row[f"values.{name}"], row[f"values.{name}"], row.get(f"low.{name}"), row.get(f"high.{name}")
        )
        for name in names
    }
    return Facts(total, columns, {key: row[f"failing.{key}"] for key in keys})
