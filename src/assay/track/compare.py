"""Comparisons of the filter language as SQL."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement


def compared(column: Any, operator: str, value: Any) -> ColumnElement[bool]:
    """What holds where the column compares so with the value; unknown for rows without it, as in SQL."""
    return _OPERATORS[operator](column, value)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    # Only % and _ are signs; PostgreSQL would take a backslash for one too.
    "LIKE": lambda column, value: column.like(_plain(value), escape=_ESCAPE),
    "ILIKE": lambda column, value: column.ilike(_plain(value), escape=_ESCAPE),
    "IN": lambda column, value: column.in_(value),
    "NOT IN": lambda column, value: column.not_in(value),
    "IS NULL": lambda column, _: column.is_(None),
    "IS NOT NULL": lambda column, _: column.is_not(None),
}


_ESCAPE = "\x1b"


def _plain(pattern: str) -> str:
    return pattern.replace(_ESCAPE, _ESCAPE * 2)
