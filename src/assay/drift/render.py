"""What moved, as people read it: in a terminal and in a notebook."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from assay.draw import Html, in_notebook, section, to_terminal
from assay.drift.page import moved_table
from assay.drift.report import DriftReport

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 20


@in_notebook.register(DriftReport)
def _parts(report: DriftReport) -> list[Html]:
    note = f"{report.judged} windows judged; {len(report.moved)} warnings"
    return [section(f"Drift of {report.name}", *[moved_table(report.moved[:SHOWN])] * bool(report.moved), note=note)]


@to_terminal.register(DriftReport)
def render(report: DriftReport, shown: "Console") -> None:
    """Print what moved, worst first."""
    if report.silent:
        windows = f"{len(report.windows)} whole window{'s' * (len(report.windows) != 1)}"
        shown.print(
            f"{report.name}: too few windows; there are {windows}, and drift is computed from the {report.needed + 1}th on."
        )
    else:
        _show_moved(shown, report)
    if beside := [one for one in report.beside_training if one.psi > max(0.1, one.noise)]:
        listed = ", ".join(f"{one.column} {one.psi:.2f}" for one in beside[:6])
        shown.print(Text(f"  newest window beside the training rows (PSI): {listed}", style="dim"))


def _show_moved(shown: "Console", report: DriftReport) -> None:
    moved = report.moved
    head = f"{report.name}  {report.judged} windows judged, the first on {report.windows[report.needed].start:%Y-%m-%d}"
    word = ("DRIFT", "bold yellow") if moved else ("NO DRIFT", "bold green")
    shown.print(Text.assemble(word, f"  {head}"))
    if moved:
        table = Table("window", "column", "what moved", "x limit", box=None, padding=(0, 2, 0, 2), header_style="dim")
        for one in moved[:SHOWN]:
            shift = one.shift
            table.add_row(f"{one.start:%Y-%m-%d}", shift.column or "(rows)", shift.sentence, f"{shift.severity:.1f}")
        shown.print(table)
    if len(moved) > SHOWN:
        shown.print(f"  ... and {len(moved) - SHOWN} more: --json has all", style="dim")
    if report.seasonal:
        shown.print(Text(f"  with the season: {', '.join(report.seasonal)}", style="dim"))
