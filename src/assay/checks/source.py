"""Rules as the Python that declares them. No I/O."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from assay.checks.freshness import Calendar
from assay.checks.likeness import Like
from assay.checks.rules import (
    Between,
    ColumnRule,
    Fresh,
    HasType,
    IsIn,
    Length,
    Matches,
    Nulls,
    Refers,
    Rows,
    Rule,
    Sql,
    Unique,
)
from assay.checks.words import age

_INDENT = " " * 4


def source(rules: Iterable[Rule], *, context: Sequence[str] = ()) -> str:
    """The expression that declares these rules, in the same order.

    Types, which a contract brings, and references, which are tables, have no text here.

    >>> print(source([Rows(min=5), Between("wind", 0, 100), Nulls("wind", 0.1, severity="warn")]))
    Checks(
        rows(min=5),
        col("wind").between(0, 100).nulls(max=0.1, severity="warn"),
    )
    """
    own = [rule for rule in rules if not isinstance(rule, HasType | Like)]
    lines: list[str] = []
    for column, together in groupby(own, _column):
        if column:
            lines.append(f"col({_value(column)})" + "".join(f".{_call(rule)}" for rule in together))
        else:
            lines += [_call(rule) for rule in together]
    lines += [f"context={_value(list(context))}"] * bool(context)
    return "Checks(\n" + "".join(f"{_INDENT}{line},\n" for line in lines) + ")"


def _column(rule: Rule) -> str:
    return rule.column if isinstance(rule, ColumnRule) and not isinstance(rule, Fresh) else ""


def _call(rule: Rule) -> str:
    first, named = _arguments(rule)
    shared = {"where": rule.where, "tolerance": rule.tolerance, "severity": rule.severity}
    defaults = {"where": "", "tolerance": 0.0, "severity": "error"}
    named |= {name: value for name, value in shared.items() if value != defaults[name]}
    written = [*map(_value, first), *(f"{name}={_value(value)}" for name, value in named.items())]
    return f"{rule.name}({', '.join(written)})"


def _arguments(rule: Rule) -> tuple[Sequence[Any], dict[str, Any]]:
    """What stands in the brackets: by place, and by name."""
    match rule:
        case Rows() | Length():
            return (), _given(min=rule.min, max=rule.max)
        case Nulls():
            return (), _given(max=rule.max or None)
        case Between():
            return (rule.low, rule.high), _given(unit=rule.unit)
        case IsIn():
            return rule.values, {}
        case Matches():
            return (rule.pattern,), {}
        case Refers():
            return (rule.to, rule.key), {}
        case Unique():
            return rule.over, {}
        case Sql():
            return (rule.predicate,), _given(title=rule.title or None)
        case Fresh():
            return (rule.column,), _given(
                warn=rule.warn,
                error=rule.error,
                zone=rule.zone or None,
                unit=rule.unit or None,
                format=rule.format or None,
                calendar=rule.calendar,
            )
        case _:
            raise TypeError(rule)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _value(value: Any) -> str:
    if isinstance(value, timedelta):
        whole = value.total_seconds() % 60 == 0
        return f'"{age(value)}"' if whole else f'"{value.total_seconds():g}s"'
    if isinstance(value, date):
        return json.dumps(value.isoformat())
    if isinstance(value, Calendar):
        known = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        return f"Calendar({', '.join(f'{name}={_value(one)}' for name, one in known.items() if one)})"
    if isinstance(value, frozenset | tuple | list):
        return f"[{', '.join(map(_value, sorted(map(str, value)) if isinstance(value, frozenset) else value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
