"""A profile as people look at it: a line for each column, in a terminal and in a notebook."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from assay.draw import Html, in_notebook, section, table, to_terminal
from assay.errors import printable
from assay.profiles.table import ColumnProfile, Profile

if TYPE_CHECKING:
    from rich.console import Console

#: Columns that are shown; a table may have thousands.
SHOWN = 60
_HEAD = ("column", "kind", "missing", "range", "middle")
_TEXT, _NAMED = 24, 3


@to_terminal.register(Profile)
def render(found: Profile, console: "Console") -> None:
    """Print a line for each column."""
    from rich.table import Table

    console.print(_size(found))
    shown = Table(*_HEAD, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for row in _rows(found):
        shown.add_row(*row)
    console.print(shown)
    if len(found.columns) > SHOWN:
        console.print(f"... and {len(found.columns) - SHOWN:,} more columns", style="dim")


@in_notebook.register(Profile)
def _parts(found: Profile) -> list[Html]:
    more = f"; the first {SHOWN} are shown" if len(found.columns) > SHOWN else ""
    return [section("Profile", table(_HEAD, _rows(found)), note=_size(found) + more)]


def _size(found: Profile) -> str:
    rows, columns = f"{found.rows:,} row{'s' * (found.rows != 1)}", len(found.columns)
    return f"{rows}, {columns:,} column{'s' * (columns != 1)}"


def _rows(found: Profile) -> Iterator[tuple[str, ...]]:
    for name, column in islice(found.columns.items(), SHOWN):
        missing = f"{100 * column.nulls / column.rows:.3g} %" if column.nulls else ""
        yield _short(name), column.kind, missing, *_values(column)


def _values(column: ColumnProfile) -> tuple[str, str]:
    if column.categorical:
        named = ", ".join(
            f"{_short(value)} ({count:,})" for value, count in islice(column.frequent.counts.items(), _NAMED)
        )
        known = len(column.frequent.counts)
        return f"{known:,} value{'s' * (known != 1)}" if column.frequent.complete else "many values", named
    if column.low is None or column.high is None:
        return "", ""
    values, weights = column.sample
    middle = float(values[np.searchsorted(np.cumsum(weights), weights.sum() / 2)]) if len(values) else None
    return f"{_shown(column, column.low)} to {_shown(column, column.high)}", "" if middle is None else _shown(
        column, middle
    )


def _shown(column: ColumnProfile, value: float) -> str:
    if column.kind == "time":
        try:
            return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}"
        except (ValueError, OverflowError, OSError):
            pass
    return f"{value:,.5g}"


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
