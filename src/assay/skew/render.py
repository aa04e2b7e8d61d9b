"""What differs between serving and training, as people read it: in a terminal and in a notebook."""

from typing import TYPE_CHECKING

from rich.text import Text

from assay.draw import Html, badge, in_notebook, section, table, to_terminal
from assay.errors import shown
from assay.skew.report import SkewReport

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_EXAMPLES = 3
LONGEST_SENTENCE = 200
WHAT = {
    "input": "served input, against the table's row of the same key",
    "feature": "served feature, against the training code on the served input",
    "prediction": "served prediction, against the model on the served features",
}


@in_notebook.register(SkewReport)
def _parts(report: SkewReport) -> list[Html]:
    word = (
        badge("no skew", "good")
        if report.clean and report.complete
        else badge("no skew found, not all compared", "warn")
    )
    rows = [
        (one.place, one.column, f"{one.rows:,} of {one.compared:,}", "; ".join(shape.sentence for shape in one.shapes))
        for one in report.findings
    ]
    found = table(("place", "column", "rows", "what differs"), rows) if rows else word
    versions = ", ".join(map(str, report.versions))
    return [section(f"Skew of {report.model}", found, note=f"{report.rows:,} served rows, version {versions}")]


@to_terminal.register(SkewReport)
def render(report: SkewReport, out: "Console") -> None:
    """Print what differs, and what was not compared."""
    versions = ", ".join(map(str, report.versions))
    head = f"{report.model}  {report.rows:,} served rows, version {versions}"
    known = (
        f"{report.rows - report.unknown_keys:,} of them in {report.table}"
        if report.table
        else "no table to compare with"
    )
    if report.clean:
        word = ("NO SKEW", "bold green") if report.complete else ("NO SKEW FOUND, NOT ALL COMPARED", "bold yellow")
        out.print(Text.assemble(word, f"  {head}, {known}"))
        out.print(f"  {_same(report)}", style="dim")
    else:
        out.print(Text.assemble(("SKEW", "bold red"), f"  {head}, {known}"))
    for finding in report.findings:
        out.print(
            Text.assemble("  ", (finding.column, "bold"), f": {finding.rows:,} of {finding.compared:,} rows differ")
        )
        out.print(Text(f"    {WHAT[finding.place]}", style="dim"))
        for shape in finding.shapes:
            out.print(
                Text.assemble(f"    {shape.rows:,} rows: ", (shown(shape.sentence, LONGEST_SENTENCE), "bold yellow"))
            )
        if finding.unnamed:
            out.print(f"    {finding.unnamed:,} rows: no common shape")
        for example in finding.examples[:SHOWN_EXAMPLES]:
            where = f"{shown(example.key)}  request {example.request_id}" + (
                f" row {example.row}" if example.row else ""
            )
            where += f" ({example.record})" if example.repeated else ""
            out.print(
                Text(
                    f"      {where}: expected {_value(example.expected)}, served {_value(example.served)}", style="dim"
                )
            )
    for one in report.skipped:
        out.print(Text(f"  {one.place} not compared: {one.why}", style="yellow" if one.absent else "dim"))
    if report.shifts:
        moved = ", ".join(f"{shift.feature} {shift.psi:.2f}" for shift in report.shifts[:6])
        out.print(Text(f"  distributions moved (PSI, a warning only): {moved}", style="dim"))


def _same(report: SkewReport) -> str:
    """What was compared and is equal."""
    if report.table is None or report.unknown_keys == report.rows:
        why = "there is no table" if report.table is None else f"no row has its key in {report.table}"
        return f"features and predictions equal those of the training code; inputs were not compared: {why}"
    return "inputs equal those of the table, features and predictions those of the training code"


def _value(value: object) -> str:
    return "nothing" if value is None else f"{value:.7g}" if isinstance(value, float) else shown(value)
