"""The queries that show what is wrong, asked only where a rule is broken. No I/O."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assay.checks.breaks import Breaks
from assay.checks.rules import Fresh, IsIn, Refers, Rule, Unique
from assay.contract.formats.sql import literal, quoted
from assay.errors import SHOWN
from assay.tables.facts import as_number
from assay.tables.view import FILE, ROW, VIEW, Kind

#: How often a key occurs; a name that no column has.
_N = quoted("assay:n")
_PLACE = f"{quoted(FILE)}, {quoted(ROW)}"


def duplicates(rule: Unique) -> str:
    """Counts the rows that share their values with another, and those values."""
    return (
        f'SELECT coalesce(sum({_N}), 0)::BIGINT AS failing, count(*) AS "values" FROM ({_repeated(rule)}) AS repeated'
    )


def newest(rule: Fresh, ahead: str, micros: Callable[[str], str]) -> str:
    """Finds the newest time that is not one of the future, which `ahead` are, and counts those."""
    known = f"max(CASE WHEN {ahead} THEN NULL ELSE {quoted(rule.column)} END)"
    return (
        f"SELECT {micros(known)} AS newest_us, count(*) FILTER (WHERE {ahead}) AS failing, "
        f"{micros(f'max({quoted(rule.column)})')} AS latest_us FROM {VIEW} WHERE {rule.where or 'true'}"
    )


def times_read(rule: Fresh, table_micros: Callable[[str], str], ahead_us: int) -> str:
    """As `newest`, of numbers that count from 1970, and of texts; `unread` counts the texts that show no time."""
    column = quoted(rule.column)
    if rule.format:
        told = table_micros(f"try_strptime({column}, {literal(rule.format)})")
    else:
        told = {"s": f"{column} * 1000000", "ms": f"{column} * 1000", "us": column, "ns": f"{column} / 1000"}[rule.unit]
        told = f"round({told})::BIGINT" if rule.unit != "us" else f"{column}::BIGINT"
    ahead = f"micros > {ahead_us}"
    return (
        f"SELECT max(CASE WHEN {ahead} THEN NULL ELSE micros END) AS newest_us, count(*) FILTER (WHERE {ahead}) AS failing, "
        f"max(micros) AS latest_us, count(there) - count(micros) AS unread FROM "
        f"(SELECT {told} AS micros, {column} AS there FROM {VIEW} WHERE {rule.where or 'true'}) AS told"
    )


def unknown(rule: IsIn | Refers, when: str) -> str:
    """The commonest values that are not known, how many such values there are, and in how many rows."""
    return (
        f'SELECT {quoted(rule.column)} AS "value", count(*) AS n, count(*) OVER () AS unknowns, '
        f"CAST(sum(count(*)) OVER () AS BIGINT) AS failing FROM {VIEW} "
        f"WHERE {when} GROUP BY {quoted(rule.column)} ORDER BY 2 DESC, 1 LIMIT {SHOWN}"
    )


def rows(rule: Rule, breaks: Breaks, context: Sequence[str], kinds: Mapping[str, Kind]) -> str:
    """The worst rows with where they stand; empty when the rule is not about single rows.

    `context` are the columns by which a person knows a row; the first three of the table when there are none.
    """
    known = [name for name in context if name in kinds] or list(kinds)[:3]
    about = rule.columns or [name for name in kinds if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", breaks.when)]
    shown = [*(name for name in known if name not in about), *about]
    picked = ", ".join([_PLACE, *(_readable(name, kinds[name]) for name in shown if name in kinds)])
    if isinstance(rule, Unique):
        keys = ", ".join(map(quoted, rule.over))
        most = f"{_repeated(rule)} ORDER BY {_N} DESC, {keys} LIMIT {SHOWN}"
        return (
            f"SELECT {picked} FROM {VIEW} JOIN ({most}) AS repeated USING ({keys}) WHERE {rule.where or 'true'} "
            f"ORDER BY {_N} DESC, {keys}, {_PLACE} LIMIT {SHOWN}"
        )
    if not breaks.when:
        return ""
    order = ", ".join(filter(None, [breaks.order, _PLACE]))
    return f"SELECT {picked} FROM {VIEW} WHERE {breaks.when} ORDER BY {order} LIMIT {SHOWN}"


def every_row(rule: Rule, breaks: Breaks, kinds: Mapping[str, Kind], storable: Callable[[str], str]) -> str:
    """All rows at fault, whole, with where they stand; empty when the rule is not about single rows.

    `storable` gives the SQL for a column in a type that Parquet has.
    """
    picked = ", ".join([_PLACE, *(f"{storable(name)} AS {quoted(name)}" for name in kinds)])
    if isinstance(rule, Unique):
        keys = ", ".join(map(quoted, rule.over))
        return f"SELECT {picked} FROM {VIEW} JOIN ({_repeated(rule)}) AS repeated USING ({keys}) WHERE {rule.where or 'true'}"
    return f"SELECT {picked} FROM {VIEW} WHERE {breaks.when}" if breaks.when else ""


def _repeated(rule: Unique) -> str:
    keys = [quoted(name) for name in rule.over]
    there = " AND ".join([f"({rule.where})"] * bool(rule.where) + [f"{key} IS NOT NULL" for key in keys])
    listed = ", ".join(keys)
    return f"SELECT {listed}, count(*) AS {_N} FROM {VIEW} WHERE {there} GROUP BY {listed} HAVING count(*) > 1"


def _readable(name: str, kind: Kind) -> str:
    """A column in a type that Python has."""
    casts: dict[Kind, str] = {"time": "TIMESTAMPTZ", "naive": "TIMESTAMP", "other": "VARCHAR"}
    return f"{quoted(name)}::{casts[kind]} AS {quoted(name)}" if kind in casts else quoted(name)


def as_numbers(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The row of `newest` as numbers, whatever the engine gave."""
    return {name: as_number(value) for name, value in row.items()}
