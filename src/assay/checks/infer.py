"""Rules that a table keeps today, as a first draft for those that it shall keep."""

import math
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from assay.checks.facts import as_number
from assay.checks.rules import Between, Fresh, IsIn, Nulls, Rows, Rule, Unique
from assay.checks.tables import CantAsk, Table, Target, open_table
from assay.checks.view import VIEW
from assay.contract.formats.sql import quoted
from assay.errors import BadInput

#: More different values than that are no categories.
CATEGORIES = 30
#: Each end of a range is this share of the range away from what was seen.
SLACK = 0.1
#: Columns that are missing more often than that say nothing.
MOSTLY_MISSING = 0.95
_YEAR = timedelta(days=366)


def infer_rules(target: Target) -> tuple[list[Rule], list[str]]:
    """The rules of a table as it is, with some slack, and the columns that identify a row.

    The count of rows, missing shares, ranges of numbers, known values of texts, unique columns, and freshness by the
    longest gap between days. Raises `BadInput` for an empty table, and as `check` does.
    """
    with closing(open_table(target)) as table:
        row = table.rows(_counts(table))[0]
        total: int = row["rows"]
        if not total:
            raise BadInput(f"{table.name} is empty", do="Infer rules from a table with typical rows.")
        rules: list[Rule] = [Rows(min=_floor(total / 2))]
        keys = [name for name in table.kinds if row.get(f"unique.{name}") == total]
        rules += [Unique((name,)) for name in keys[:1]]
        for name in table.kinds:
            rules += _column(table, name, row, total, is_key=name in keys)
        with suppress(CantAsk):  # a day that Python does not have, like infinity
            rules += _fresh(table)
    return rules, keys[:1]


def _counts(table: Table) -> str:
    told = ["count(*) AS rows"]
    for name, kind in table.kinds.items():
        column = quoted(name)
        told.append(f"count({column}) AS {quoted(f'values.{name}')}")
        if kind in ("number", "whole"):
            told += [f"{end}({column}) AS {quoted(f'{end}.{name}')}" for end in ("min", "max")]
        if kind in ("text", "whole"):
            told.append(f"count(DISTINCT {column}) AS {quoted(f'unique.{name}')}")
    return f"SELECT {', '.join(told)} FROM {VIEW}"


def _column(table: Table, name: str, row: dict[str, Any], total: int, *, is_key: bool) -> Iterator[Rule]:
    missing = 1 - row[f"values.{name}"] / total
    if missing > MOSTLY_MISSING:
        return
    low, high = (as_number(row.get(f"{end}.{name}")) for end in ("min", "max"))
    few = row.get(f"unique.{name}", 0) <= min(CATEGORIES, total / 2)
    if not is_key and low is not None and high is not None and math.isfinite(high - low):
        yield Between(name, *_widened(low, high, whole=table.kinds[name] == "whole"))
    if not is_key and table.kinds[name] == "text" and few:
        found = table.rows(f"SELECT DISTINCT {quoted(name)} AS one FROM {VIEW} WHERE {quoted(name)} IS NOT NULL")
        yield IsIn(name, tuple(sorted(each["one"] for each in found)))
    allowed = _ceiling(1.5 * missing + 0.01) if missing else 0.0
    if allowed < 1:
        yield Nulls(name, allowed)


def _widened(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """The range with some slack, at round ends; what was never negative stays so.

    >>> _widened(80, 4983, whole=True), _widened(0.0, 1.0, whole=False), _widened(3, 3, whole=True)
    ((0, 6000), (0.0, 1.1), (3, 3))
    """
    span = high - low
    if not span:
        return low, high
    step = 10.0 ** math.floor(math.log10(span) - 0.5)
    ends = math.floor((low - SLACK * span) / step) * step, math.ceil((high + SLACK * span) / step) * step
    ends = max(ends[0], 0.0) if low >= 0 else ends[0], min(ends[1], 0.0) if high <= 0 else ends[1]
    if whole:
        return math.floor(ends[0]), math.ceil(ends[1])
    return float(f"{ends[0]:.6g}"), float(f"{ends[1]:.6g}")


def _fresh(table: Table) -> Iterator[Rule]:
    """Freshness of the first column of times, when it is newer by days: older than any gap before is late."""
    name = next((name for name, kind in table.kinds.items() if kind in ("time", "naive")), None)
    if name is None:
        return
    days = [row["day"] for row in table.rows(f"SELECT DISTINCT CAST({quoted(name)} AS DATE) AS day FROM {VIEW}")]
    known = sorted(day for day in days if isinstance(day, date))
    longest = max((b - a for a, b in pairwise(known[-366:])), default=timedelta(1))
    if longest > _YEAR:  # a day like infinity, or rows of other times
        return
    yield Fresh(name, error=longest + timedelta(1), zone="" if table.kinds[name] == "time" else "UTC")


def _floor(value: float) -> int:
    """Down to one digit.

    >>> _floor(13057.5), _floor(0.5)
    (10000, 1)
    """
    step = 10 ** math.floor(math.log10(max(value, 1)))
    return max(math.floor(value / step) * step, 1)


def _ceiling(share: float) -> float:
    """Up to a hundredth, at most 1."""
    return min(math.ceil(100 * share) / 100, 1.0)
