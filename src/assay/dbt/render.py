"""A report as people read it in a terminal."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from functools import partial
from textwrap import wrap as _wrap
from typing import TYPE_CHECKING

from assay.checks.words import cell, moment, number
from assay.dbt.report import DbtReport, DbtResult

if TYPE_CHECKING:
    from rich.console import Console

_fold = partial(_wrap, break_on_hyphens=False, break_long_words=False)
_INDENT = " " * 6
_STYLES = {"ERROR": "bold red", "FAIL": "bold red", "WARN": "bold yellow"}
_NAME = 28
_STATUSES = (("error", "not asked"), ("fail", "failed"), ("warn", "warned"), ("pass", "passed"))
#: Reasons for not reading that are told one by one; of more, only their count.
_REASONS = 8
_HINTS = 2


def render(report: DbtReport, console: "Console") -> None:
    """Print the report, in colour where the console has it."""
    from rich.text import Text

    for line in lines(report, width=min(console.width, 100)):
        text = Text(line)
        if style := _STYLES.get(line[:5].rstrip()):
            text.stylize(style, 0, 5)
        console.print(text, soft_wrap=True)


def lines(report: DbtReport, width: int = 100) -> list[str]:
    """The report as lines of text: the worst first, beneath each what fails; what passed is only counted."""
    gone = {each.subject for each in report.of("table") if each.status == "fail"}
    # Of a table that is gone all else says only that.
    told = [each for each in report.results if each.status != "error" or each.subject not in gone]
    hidden = len(report.results) - len(told)
    shown = [each for each in told if each.status != "pass" or each.notes]
    name_width = min(max((len(each.subject) for each in shown), default=0), _NAME)
    found = [line for each in shown for line in _broken(each, name_width, width)]
    if hidden:
        found.append(f"ERROR {_many(hidden, 'question')} about tables that are not there")
    return [*_head(report, width), *found, *_not_read(report, width)]


def _head(report: DbtReport, width: int) -> list[str]:
    tables = report.of("table")
    rows = sum(each.rows or 0 for each in tables)
    asked = [each for each in report.results if each.kind != "table" or each.status != "pass"]
    counts = [(sum(each.status == status for each in asked), word) for status, word in _STATUSES]
    told = ", ".join(f"{number(n)} {word}" for n, word in counts if n)
    checks = _many(len(asked), "check")
    verdict = f"{checks} passed" if counts[-1][0] == len(asked) else f"{checks}: {told}"
    if report.empty:
        verdict = "nothing was read"
    read = f"{number(report.tests_read)} of {_many(report.tests, 'test')} read"
    size = f"{_many(len(tables), 'table')}, {_many(rows, 'row')}"
    where = f"{report.project} ({report.target}: {report.warehouse})"
    line = f"{where}   {read}   {size}   {verdict}"
    head = [line] if len(line) <= width else [f"{where}   {read}", f"{_INDENT}{size}   {verdict}"]
    return [*head, *_compiled(report)]


def _compiled(report: DbtReport) -> list[str]:
    if report.compiled_at is None:
        return []
    made = moment(report.compiled_at.astimezone(UTC).replace(microsecond=0))
    return [f"{_INDENT}{_many(report.tests_compiled, 'test')} asked by the SQL that dbt compiled at {made}"]


def _broken(result: DbtResult, name_width: int, width: int) -> Iterator[str]:
    label = "NOTE" if result.status == "pass" else result.status.upper()
    said = result.message if result.status != "pass" else ""
    text = "; ".join(part for part in (said, *result.notes) if part)
    yield from _fold(f"{label:<5} {result.subject:<{name_width}}   {text}", width, subsequent_indent=_INDENT)
    for row in result.worst:
        values = "  ".join(f"{name}={cell(value)}" for name, value in row.items())
        yield from _fold(values, width, initial_indent=_INDENT, subsequent_indent=_INDENT + "  ")


def _not_read(report: DbtReport, width: int) -> list[str]:
    if not report.not_read:
        return []
    reasons = Counter(each.why for each in report.not_read)
    first = [f"not read: {_many(len(report.not_read), 'declaration')}"]
    shown = [f"{count} x {why}" for why, count in reasons.most_common(_REASONS)]
    rest = len(reasons) - len(shown)
    tail = [f"and {rest} more reasons; --json lists all"] if rest else []
    hints = Counter(each.hint for each in report.not_read if each.hint)
    do = [f"dbt's own SQL: {hint}" for hint, _ in hints.most_common(_HINTS)]
    return [
        *first,
        *(
            line
            for each in [*shown, *tail, *do]
            for line in _fold(each, width, initial_indent=_INDENT, subsequent_indent=_INDENT + "  ")
        ),
    ]


def _many(count: int, noun: str) -> str:
    return f"{number(count)} {noun}" + "s" * (count != 1)
