"""A quality summary as people read it: in a terminal, and as a page with plots."""

from collections.abc import Sequence
from itertools import islice
from textwrap import wrap
from typing import TYPE_CHECKING

from assay.checks.words import number, share
from assay.draw import Bar, Html, Mood, badge, bars, cards, in_notebook, page, section, table, to_terminal
from assay.quality.groups import Group, grouped
from assay.quality.report import Finding, Quality, Severity

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: dict[Severity, str] = {"high": "bold red", "medium": "bold yellow", "low": "bold"}
_MOODS: dict[Severity, Mood] = {"high": "bad", "medium": "warn", "low": ""}
_INDENT = " " * 8
#: Findings and bars that people are shown.
SHOWN = 200
#: Lines of a terminal that has room for the command and the next prompt, and the most lines of a sentence of several columns.
SCREEN, _LONGEST = 22, 3


@to_terminal.register(Quality)
def render(found: Quality, console: "Console", *, every: bool = False) -> None:
    """Print the summary, in colour where the console has it: at most a screen, or every finding."""
    from rich.text import Text

    width = min(console.width, 100)
    for line in every_finding(found, width) if every else lines(found, width):
        text = Text(line)
        if style := next((style for severity, style in _STYLES.items() if line.startswith(severity.upper())), ""):
            text.stylize(style, 0, 6)
        console.print(text, soft_wrap=True)


def lines(found: Quality, width: int = 100, height: int = SCREEN) -> list[str]:
    """The summary as lines of text: findings of a kind in one sentence, the worst first, at most a screen."""
    head, foot, groups = _head(found, width), _foot(found, width), grouped(found)
    room = height - len(head) - len(foot)
    parts = [_part(one.severity, one.sentence, one.do, width, short=True) for one in groups]
    if sum(map(len, parts)) > room:
        while parts and sum(map(len, parts)) > room - 1:
            parts.pop()
        left = sum(len(one.findings) for one in groups[len(parts) :])
        foot = [f"... and {left:,} {'finding' if left == 1 else 'findings'} more: --all prints each.", *foot]
    return [*head, *(line for part in parts for line in part), *foot]


def every_finding(found: Quality, width: int = 100) -> list[str]:
    """The summary with a sentence for each of the 200 worst findings."""
    shown = _head(found, width)
    for one in found.findings[:SHOWN]:
        shown += _part(one.severity, one.sentence, one.do, width)
    if len(found.findings) > SHOWN:
        shown.append(f"... and {len(found.findings) - SHOWN:,} more: --json has all.")
    return shown + _foot(found, width)


def _head(found: Quality, width: int) -> list[str]:
    columns = f"{found.columns} {'column' if found.columns == 1 else 'columns'}"
    rows = f"{number(found.rows)} {'row' if found.rows == 1 else 'rows'}"
    whole = f"{found.target}   {rows}, {columns}   {_verdict(found)}"
    return [whole] if len(whole) <= width else [found.target, f"{rows}, {columns}   {_verdict(found)}"]


def _foot(found: Quality, width: int) -> list[str]:
    if found.sampled >= found.rows:
        return []
    said = f"Correlations, outliers and leaks were seen in {number(found.sampled)} rows chosen by chance."
    return wrap(said, width)


def _part(severity: Severity, sentence: str, do: str, width: int, *, short: bool = False) -> list[str]:
    most = _LONGEST if short else None
    whole = f"{severity.upper():<6}  {sentence}"
    said = wrap(whole, width, subsequent_indent=_INDENT, max_lines=most, placeholder=" ...")
    return said + wrap(do, width, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _verdict(found: Quality) -> str:
    counts = {severity: sum(one.severity == severity for one in found.findings) for severity in _STYLES}
    said = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    return said or "nothing odd"


def quality_page(found: Quality) -> str:
    """The summary as a page that needs nothing else."""
    parts = [_cards(found), section("Findings, the worst first", _table(found.findings[:SHOWN]))]
    if found.alone:
        leaking = {name for one in found.findings if one.kind == "leakage" for name in one.columns}
        rows = [
            Bar(name, value, mood="bad" if name in leaking else "")
            for name, value in islice(found.alone.items(), SHOWN)
        ]
        note = f"AUC of each column alone against {found.label}; 50 % is chance"
        parts.append(section("Columns that predict the label", bars(rows), note=note))
    missing = sorted(((name, part) for name, part in found.missing.items() if part), key=lambda one: -one[1])
    if missing:
        parts.append(section("Missing values", bars([Bar(*one) for one in missing[:SHOWN]]), note="share of rows"))
    seen = (
        "all rows"
        if found.sampled >= found.rows
        else f"{share(found.sampled / found.rows)} of the rows, chosen by chance"
    )
    return page(f"Quality of {found.target}", *parts, under=f"correlations, outliers and leaks seen in {seen}")


@in_notebook.register(Quality)
def _parts(found: Quality) -> list[Html]:
    findings = [_table(grouped(found))] if found.findings else []
    return [section(found.target, _cards(found), *findings, note=_verdict(found))]


def _cards(found: Quality) -> Html:
    figures: dict[str, tuple[str, Mood]] = {"rows": (number(found.rows), ""), "columns": (str(found.columns), "")}
    for severity, mood in _MOODS.items():
        count = sum(one.severity == severity for one in found.findings)
        figures[severity] = (str(count), mood if count else "")
    return cards(figures)


def _table(findings: Sequence[Finding | Group]) -> Html:
    rows = [(badge(one.severity, _MOODS[one.severity]), one.kind, one.sentence, one.do) for one in findings]
    return table(("", "kind", "observed", "what to do"), rows)
