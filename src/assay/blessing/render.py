"""A verdict as people read it: in a terminal and in a notebook."""

from datetime import timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from assay.blessing.verdict import Verdict
from assay.draw import Html, badge, in_notebook, section, table, to_terminal
from assay.times import span

if TYPE_CHECKING:
    from rich.console import Console


@in_notebook.register(Verdict)
def _parts(verdict: Verdict) -> list[Html]:
    word = badge("blessed", "good") if verdict.blessed else badge("refused", "bad")
    reasons = table(
        ("", "why"), [(word, reason) for reason in verdict.reasons[:1]] + [("", one) for one in verdict.reasons[1:]]
    )
    scores = table(("metric", "on the holdout"), [(name, f"{value:.6g}") for name, value in verdict.scores.items()])
    where = f"{verdict.rows:,} rows, {verdict.holdout_from[:10]} to {verdict.holdout_until[:10]}"
    if verdict.parity.row_us is not None:
        where += f"; features: {verdict.parity.cost()}"
    notes = [table(("note",), [(warning,) for warning in verdict.warnings])] * bool(verdict.warnings)
    return [section(f"Verdict on {verdict.model}", reasons, scores, *notes, note=where)]


@to_terminal.register(Verdict)
def render(verdict: Verdict, console: "Console") -> None:
    """A verdict with the numbers that decided it."""
    word, colour = ("BLESSED", "green") if verdict.blessed else ("REFUSED", "red")
    where = f"{verdict.rows:,} rows, {verdict.holdout_from[:10]} to {verdict.holdout_until[:10]}"
    console.print(
        Text.assemble((word, f"bold {colour}"), f"  {verdict.model}  {verdict.metric} {verdict.score:.4f} on {where}")
    )
    for reason in verdict.reasons:
        console.print(f"  {reason}")
    if verdict.comparison:
        age = timedelta(seconds=verdict.comparison.incumbent_age_s)
        against = f"against {verdict.comparison.incumbent}, {verdict.metric} {verdict.comparison.incumbent_score:.4f}"
        old = f"it is {span(age)} old" if age > timedelta() else "it was trained on newer data"
        console.print(f"  {against} on the same rows; {old}")
    parity = verdict.parity
    console.print(
        f"  parity: {parity.rows} rows computed one by one {'equal' if parity.holds else 'DIFFER FROM'} the batch"
    )
    if parity.row_us is not None:
        console.print(f"  features: {parity.cost()}")
    for warning in verdict.warnings:
        console.print(Text(f"  note: {warning}", style="dim"))
