"""Rules that a table keeps today, as a first draft for those that it shall keep."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from assay.checks.rules import Between, Fresh, IsIn, Nulls, Rows, Rule, Sql, Unique
from assay.contract.formats.sql import quoted
from assay.errors import BadInput
from assay.tables import CantAsk, Table, Target, using
from assay.tables.database import DatabaseTable
from assay.tables.facts import as_number
from assay.tables.view import VIEW, Kind

#: More different values than that are no categories.
CATEGORIES = 30
#: Each end of a range is this share of the range away from the observed values.
SLACK = 0.1
#: So many columns are asked about in one query.
TOGETHER = 50
#: Columns that are missing more often than that say nothing.
MOSTLY_MISSING = 0.95
_YEAR = timedelta(days=366)
#: So many different whole numbers at most are a set, when each occurs that often.
SET, OFTEN = 12, 20
#: A text column of which more than this share shows numbers holds numbers.
MOSTLY_NUMBERS = 0.9
#: A table of fewer values says less of how often each is repeated.
SMALL = 30
#: Texts of more words or characters are prose.
LONG_WORDS, LONG = 6, 60
#: Limits of what a name says, in which the column lies.
NATURAL: tuple[tuple[str, tuple[int, int]], ...] = (
    (r"(^|_)(hour|hours|hr|hrs|hour_of_day)$", (0, 23)),
    (r"(^|_)(minute|minutes|second|seconds)$", (0, 59)),
    (r"(^|_)(month|mnth)$", (1, 12)),
    (r"(^|_)(day_of_year|dayofyear|yday|doy)$", (1, 366)),
    (r"(^|_)(day_of_month|dayofmonth|mday)$", (1, 31)),
    (r"(^|_)(weekday|day_of_week|dayofweek|dow)$", (0, 7)),
    (r"(^|_)(percent|pct|percentage)$", (0, 100)),
)


def infer_rules(target: Target) -> tuple[list[Rule], list[str]]:
    """The rules of a table as it is, with some slack, and the columns that identify a row.

    The count of rows, missing shares, ranges of numbers, known values of texts, unique columns, and freshness by the
    longest gap between days. Raises `BadInput` for an empty table, and as `check` does.
    """
    with using(target) as table:
        return rules_of(table)


def rules_of(table: Table) -> tuple[list[Rule], list[str]]:
    """As `infer_rules`, of a table that is open."""
    row = _counts(table)
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


def _counts(table: Table) -> dict[str, Any]:
    """Some columns at a time: DuckDB ends the process when it counts the different values of 3,000 columns at once."""
    row: dict[str, Any] = {}
    columns = list(table.kinds.items())
    for first in range(0, len(columns), TOGETHER):
        row |= table.rows(_counting(columns[first : first + TOGETHER]))[0]
    return row or table.rows(_counting(()))[0]


def _counting(columns: Iterable[tuple[str, Kind]]) -> str:
    told = ["count(*) AS rows"]
    for name, kind in columns:
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
    unique = row.get(f"unique.{name}", 0)
    if not is_key and low is not None and high is not None and math.isfinite(high - low):
        yield _number(table, name, low, high, unique, row[f"values.{name}"])
    if not is_key and table.kinds[name] == "text":
        yield from _text(table, name, unique, row[f"values.{name}"])
    allowed = _ceiling(1.5 * missing + 0.01) if missing else 0.0
    if allowed < 1:
        yield Nulls(name, allowed)


def _number(table: Table, name: str, low: float, high: float, unique: int, count: int) -> Rule:
    """The range of a column of numbers: all its values where these are few, its natural limits where it has such."""
    if table.kinds[name] != "whole":
        return Between(name, 0.0, 1.0) if 0 <= low <= high <= 1 and high > 0 else Between(name, *_widened(low, high))
    if unique <= SET and count >= OFTEN * unique:
        return IsIn(name, tuple(sorted(_distinct(table, name))))
    limits = next((limits for word, limits in NATURAL if re.search(word, name, re.IGNORECASE)), None)
    if limits and limits[0] <= low and high <= limits[1]:
        return Between(name, *limits)
    if unique == high - low + 1 and count >= OFTEN * unique:
        return Between(name, low, 366 if (low, high) == (1, 365) else high)  # every value occurs, none beyond
    return Between(name, *_widened(low, high, whole=True))


def _text(table: Table, name: str, unique: int, count: int) -> Iterator[Rule]:
    numbers = _numbers_among(table, name)
    if numbers > MOSTLY_NUMBERS * count:
        condition = f"TRY_CAST({quoted(name)} AS DOUBLE) IS NOT NULL"
        others = (count - numbers) / count
        tolerance = _ceiling(1.5 * others + 0.01) if others else 0.0
        yield Sql(f"{quoted(name)} IS NULL OR {condition}", f"{name}: numbers kept as text", tolerance=tolerance)
    elif unique <= min(CATEGORIES, count / 3 if count >= SMALL else count / 2):
        found = sorted(_distinct(table, name))
        if not _prose(found):
            yield IsIn(name, tuple(found))


def _distinct(table: Table, name: str) -> list[Any]:
    found = table.rows(f"SELECT DISTINCT {quoted(name)} AS one FROM {VIEW} WHERE {quoted(name)} IS NOT NULL")
    return [each["one"] for each in found]


def _numbers_among(table: Table, name: str) -> int:
    """How many texts of a column show a number; 0 where the engine can't say."""
    try:
        query = f"SELECT count(TRY_CAST({quoted(name)} AS DOUBLE)) AS n FROM {VIEW}"
        return table.rows(query)[0]["n"] if not isinstance(table, DatabaseTable) else 0
    except CantAsk:
        return 0


def _prose(texts: Sequence[str]) -> bool:
    """Whether texts are sentences rather than names of categories.

    >>> _prose(["Nest never observed.", "No blood sample obtained."]), _prose(["Gentoo penguin (Pygoscelis papua)"])
    (True, False)
    """
    sentences = sum(text.rstrip().endswith((".", "!", "?")) and " " in text.strip() for text in texts)
    long = sum(len(text.split()) > LONG_WORDS or len(text) > LONG for text in texts)
    return sentences + long > len(texts) / 2


def _widened(low: float, high: float, *, whole: bool = False) -> tuple[float, float]:
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
