"""The SQL of the four generic tests, and the counts and verdicts of all tests, as dbt has them.

What each counts is that of the macros `default__test_*`; the verdict is that of dbt-core's `task/test.py`.
"""

import math
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from assay.checks.words import number, plain
from assay.dbt.declared import Settings, Test
from assay.dbt.report import Cell, DbtResult, Status
from assay.dbt.warehouse import AskError, Warehouse

SHOWN = 5
#: Of a whole row only the first columns are shown.
COLUMNS = 8
#: Texts that dbt takes for truths, as distutils once did.
_TRUTHS = {
    **dict.fromkeys(("y", "yes", "t", "true", "on", "1"), True),
    **dict.fromkeys(("n", "no", "f", "false", "off", "0"), False),
}


def failures_sql(test: Test) -> str:
    """One row for each failure: rows for not_null and relationships, groups for unique and accepted_values."""
    if test.compiled:
        return test.compiled
    column, table = test.column, str(test.relation)
    if test.settings.where:
        table = f"(select * from {table} where {test.settings.where}) dbt_subquery"
    if test.kind == "not_null":
        return f"select {column}\nfrom {table}\nwhere {column} is null"
    if test.kind == "unique":
        counted = f"select {column} as unique_field, count(*) as n_records\nfrom {table}"
        return f"{counted}\nwhere {column} is not null\ngroup by {column}\nhaving count(*) > 1"
    if test.kind == "accepted_values":
        counted = f"select {column} as value_field, count(*) as n_records from {table} group by {column}"
        values = ", ".join(test.values)
        return f"with all_values as ({counted})\nselect * from all_values\nwhere value_field not in ({values})"
    child = f"child as (select {column} as from_field from {table} where {column} is not null)"
    parent = f"parent as (select {test.to_field} as to_field from {test.to})"
    joined = "from child left join parent on child.from_field = parent.to_field"
    return f"with {child},\n{parent}\nselect from_field {joined}\nwhere parent.to_field is null"


def verdict(settings: Settings, *, should_warn: bool, should_error: bool) -> str:
    """What dbt calls a count: a test of severity "warn" never fails, one of severity "error" may also warn.

    >>> verdict(Settings(), should_warn=True, should_error=False)
    'warn'
    """
    if settings.severity == "error" and should_error:
        return "fail"
    return "warn" if should_warn else "pass"


def ask(warehouse: Warehouse, test: Test, declared: str) -> DbtResult:
    """The result of a test; one that the warehouse refuses is of status "error"."""
    blank = _blank(test, declared)
    try:
        failures, should_warn, should_error = _counted(warehouse, test.settings, blank.sql)
    except AskError as error:
        return replace(blank, message=f"{_what(test)}? {error}")
    word = verdict(test.settings, should_warn=should_warn, should_error=should_error)
    status: Status = "fail" if word == "fail" else "warn" if word == "warn" else "pass"
    if word == "pass":
        found = f"{number(failures)} found, allowed" if failures else "none found"
        return replace(blank, status=status, dbt_status=word, message=f"{_what(test)}: {found}")
    condition = test.settings.error_if if word == "fail" else test.settings.warn_if
    limits = "" if condition.replace(" ", "") == "!=0" else f", {word}s if {condition}"
    return replace(
        blank,
        status=status,
        dbt_status=word,
        failures=failures,
        message=f"{_what(test)}: {number(failures)} found{limits}",
        worst=_worst(warehouse, test),
    )


def _blank(test: Test, declared: str) -> DbtResult:
    return DbtResult(
        kind="test",
        unique_id=test.unique_id,
        name=test.name,
        subject=test.subject,
        status="error",
        dbt_status="error",
        message="",
        test=test.kind,
        column=test.column,
        severity=test.settings.severity,
        declared=declared,
        sql=failures_sql(test),
    )


def _counted(warehouse: Warehouse, settings: Settings, sql: str) -> tuple[int, bool, bool]:
    limited = sql if settings.limit is None else f"{sql}\nlimit {settings.limit}"
    calc = settings.fail_calc
    judged = f"{calc} as failures, {calc} {settings.warn_if} as should_warn, {calc} {settings.error_if} as should_error"
    _, rows = warehouse.ask(f"select {judged}\nfrom (\n{limited}\n) dbt_internal_test")
    failures, should_warn, should_error = rows[0]
    return _whole(failures, calc), _truth(should_warn), _truth(should_error)


def _whole(value: Any, calc: str) -> int:
    """A count as dbt takes it: a number without a fraction, of whatever type."""
    numeric = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if not numeric or not math.isfinite(value) or value != int(value):
        raise AskError(f"fail_calc {calc} gives {'NULL' if value is None else value}, a whole number is expected")
    return int(value)


def _truth(value: Any) -> bool:
    if isinstance(value, str):
        if value.lower() not in _TRUTHS:
            raise AskError(f"warn_if or error_if gives {value!r}, a truth is expected")
        return _TRUTHS[value.lower()]
    return bool(value)


def _what(test: Test) -> str:
    column = test.column.strip('"')
    if test.compiled:
        return f"{column}: {test.name}" if column else test.name
    return {
        "not_null": f"{column} is null",
        "unique": f"{column} is not unique",
        "accepted_values": f"{column} is none of the accepted values",
        "relationships": f"{column} is not in {test.to}.{test.to_field}",
    }[test.kind]


def _worst(warehouse: Warehouse, test: Test) -> tuple[dict[str, Cell], ...]:
    """A few failures, the most frequent first; whole rows where the failure is a missing value."""
    sql = failures_sql(test)
    if test.compiled:
        sql = f"select * from (\n{sql}\n) failures"
    elif test.kind == "not_null":
        sql = sql.replace(f"select {test.column}\n", "select *\n", 1)
    elif test.kind == "relationships":
        sql = f"select from_field, count(*) as n_records from (\n{sql}\n) failures group by 1 order by 2 desc, 1"
    else:
        sql += "\norder by 2 desc, 1"
    limit = SHOWN if test.settings.limit is None else min(SHOWN, test.settings.limit)
    try:
        names, rows = warehouse.ask(f"{sql}\nlimit {limit}")
    except AskError:
        return ()  # the count stands; to show rows is only help
    # The column at fault is shown, wherever it stands in a wide table.
    asked = test.column.strip('"').casefold()
    order = sorted(range(len(names)), key=lambda i: names[i].casefold() != asked)[:COLUMNS]
    return tuple({names[i]: plain(row[i]) for i in order} for row in rows)
