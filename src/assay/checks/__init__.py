"""Says whether a table keeps its rules: nulls, ranges, categories, uniqueness, freshness; shows the rows at fault."""

from assay.checks.declare import Checks, col, fresh, from_contract, like, rows, sql, unique
from assay.checks.evaluate import check
from assay.checks.freshness import Calendar
from assay.checks.render import render
from assay.checks.report import Report, Result
from assay.checks.report_rows import keep_report, past_reports

__all__ = [
    "Calendar",
    "Checks",
    "Report",
    "Result",
    "check",
    "col",
    "fresh",
    "from_contract",
    "keep_report",
    "like",
    "past_reports",
    "render",
    "rows",
    "sql",
    "unique",
]
