"""Says whether a table keeps its rules: nulls, ranges, categories, uniqueness, freshness; shows the rows at fault."""

from assay.checks.evaluate import check
from assay.checks.render import render
from assay.checks.report import Report, Result
from assay.checks.rules import Checks, col, fresh, from_contract, rows, sql, unique

__all__ = ["Checks", "Report", "Result", "check", "col", "fresh", "from_contract", "render", "rows", "sql", "unique"]
