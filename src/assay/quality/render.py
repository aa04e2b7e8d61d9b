"""A quality summary as people read it: in a terminal, and as a page with plots."""

from itertools import islice
from textwrap import wrap
from typing import TYPE_CHECKING

from assay.checks.words import number, share
from assay.draw import Bar, Html, Mood, badge, bars, cards, in_notebook, page, section, table, to_terminal
from assay.quality.report import Finding, Quality, Severity

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: dict[Severity, str] = {"high": "bold red", "medium": "bold yellow", "low": "bold"}
_MOODS: dict[Severity, Mood] = {"high": "bad", "medium": "warn", "low": ""}
_INDENT = " " * 8
#: Findings and bars that people are shown.
SHOWN = 200


@to_terminal.register(Quality)
def render(found: Quality, console: "Console") -> None:
    """Print the summary, in colour where the console has it."""
    from rich.text import Text

    for line in lines(found, width=min(console.width, 100)):
        text = Text(line)
        if style := next((style for severity, style in _STYLES.items() if line.startswith(severity.upper())), ""):
            text.stylize(style, 0, 6)
        console.print(text, soft_wrap=True)


def lines(found: Quality, width: int = 100) -> list[str]:
    """The summary as lines of text, worst first."""
    head = f"{found.target}   {number(found.rows)} rows, {found.columns} columns   {_verdict(found)}"
    shown = [head]
    for one in found.findings[:SHOWN]:
        shown += wrap(f"{one.severity.upper():<6}  {one.sentence}", width, subsequent_indent=_INDENT)
        shown += wrap(one.do, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
    if len(found.findings) > SHOWN:
        shown.append(f"... and {len(found.findings) - SHOWN:,} more: --json has all.")
    if found.sampled < found.rows:
        shown.append(f"Correlations, outliers and leaks were seen in {number(found.sampled)} rows chosen by chance.")
    return shown


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
    findings = [_table(found.findings[:SHOWN])] if found.findings else []
    return [section(found.target, _cards(found), *findings, note=_verdict(found))]


def _cards(found: Quality) -> Html:
    figures: dict[str, tuple[str, Mood]] = {"rows": (number(found.rows), ""), "columns": (str(found.columns), "")}
    for severity, mood in _MOODS.items():
        count = sum(one.severity == severity for one in found.findings)
        figures[severity] = (str(count), mood if count else "")
    return cards(figures)


def _table(findings: tuple[Finding, ...]) -> Html:
    rows = [(badge(one.severity, _MOODS[one.severity]), one.kind, one.sentence, one.do) for one in findings]
    return table(("", "kind", "observed", "what to do"), rows)
