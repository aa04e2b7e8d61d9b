"""A report as people read it in a terminal."""

from collections.abc import Iterator
from functools import partial
from textwrap import wrap as _wrap
from typing import TYPE_CHECKING

from assay.checks.report import Report, Result, Status, distinct
from assay.checks.words import number
from assay.draw import Html, in_notebook, section, to_terminal

if TYPE_CHECKING:
    from rich.console import Console

wrap = partial(_wrap, break_on_hyphens=False)
_INDENT = " " * 6
_STYLES = {"ERROR": "bold red", "FAIL": "bold red", "WARN": "bold yellow"}
_NAME = 24


@to_terminal.register(Report)
def render(report: Report, console: "Console") -> None:
    """Print the report, in colour where the console has it."""
    from rich.text import Text

    for line in lines(report, width=min(console.width, 100)):
        text = Text(line)
        if style := _STYLES.get(line[:5].rstrip()):
            text.stylize(style, 0, 5)
        console.print(text, soft_wrap=True)


@in_notebook.register(Report)
def _parts(report: Report) -> list[Html]:
    from assay.checks.page import head, results

    return [section(report.target, head(report), results(report.results), note=report.advice)]


def lines(report: Report, width: int = 100) -> list[str]:
    """The report as lines of text: failures first, beneath each its worst rows; what passed is only counted."""
    shown = distinct([*report.having("error"), *report.having("fail"), *report.having("warn")])
    name_width = min(max((len(_name(result)) for result in shown), default=0), _NAME)
    found = [line for result in shown for line in _broken(result, name_width, width, name_file=report.files > 1)]
    return [*_head(report, width), *found, *wrap(report.advice, width)]


def _head(report: Report, width: int) -> list[str]:
    words: tuple[tuple[Status, str], ...] = (
        ("error", "not asked"),
        ("fail", "failed"),
        ("warn", "warned"),
        ("pass", "passed"),
    )
    counts = [(len(report.having(status)), word) for status, word in words]
    checks = _many(len(report.results), "check")
    verdict = (
        f"{checks} passed" if report.passed else f"{checks}: " + ", ".join(f"{n} {word}" for n, word in counts if n)
    )
    size = _many(report.rows, "row") + (f" in {_many(report.files, 'file')}" if report.files > 1 else "")
    line = f"{report.target}   {size}   {verdict}"
    return [line] if len(line) <= width else [report.target, f"{_INDENT}{size}   {verdict}"]


def _many(count: int, noun: str) -> str:
    return f"{number(count)} {noun}" + "s" * (count != 1)


def _name(result: Result) -> str:
    return result.column or result.rule


def _broken(result: Result, name_width: int, width: int, *, name_file: bool) -> Iterator[str]:
    line = f"{result.status.upper():<5} {_name(result):<{name_width}}   {result.message}"
    yield from wrap(line, width, subsequent_indent=_INDENT)
    # Of missing values no row is worse than another: one shows what such rows look like.
    shown = result.worst[:1] if result.rule == "nulls" else result.worst
    for row in shown:
        text = row.text(name_file=name_file)
        yield from wrap(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT + "  ")
    if shown and result.failing > len(shown) and result.rule != "nulls":
        yield f"{_INDENT}... and {number(result.failing - len(shown))} more"
