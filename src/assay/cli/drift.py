"""`assay drift`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assay.cli.command import command, console, print_json
from assay.store import Store

if TYPE_CHECKING:
    from assay.drift import DriftReport

SHOWN = 20


@command(begins=True)
@click.argument("target", metavar="MODEL|TABLE")
@click.option("--time", help="The column of times, when the target is a table.")
@click.option("--every", default="7d", show_default=True, help="The length of a window.")
@click.option("--since", help="Windows since: 90d, yesterday, ISO 8601; all when omitted.")
@click.option("--seasonal", help="Columns that go with the season, as a,b; recognised when omitted.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with plots to this file.")
def drift(
    store: Store,
    target: str,
    time: str | None,
    every: str,
    since: str | None,
    seasonal: str | None,
    html: Path | None,
    as_json: bool,
) -> int:
    r"""Say how the world moved, window by window: in a table, or in the rows that a model served.

    \b
    Example: assay drift data/flights --time scheduled
             assay drift flight-delay --since 90d
    Exit code 0: drift warns and never blocks.
    """
    from assay.drift import model_drift, table_drift
    from assay.times import instant

    start = instant(since) if since else None
    named = [name.strip() for name in seasonal.split(",") if name.strip()] if seasonal is not None else None
    if time:
        report, windows = table_drift(target, time, every=every, since=start, seasonal=named)
    else:
        _need_model(target)
        report, windows = model_drift(store, target, every=every, since=start, seasonal=named)
    if html:
        from assay.drift.page import drift_page
        from assay.store.artifacts import write_whole

        write_whole(html, drift_page(report, windows).encode())
    if as_json:
        print_json(report)
    else:
        show(console(), report, html)
    return 0


def _need_model(target: str) -> None:
    if "/" in target or Path(target).suffix in (".parquet", ".csv") or Path(target).is_dir():
        raise click.UsageError(f"{target} is a table: name its column of times with --time")


def show(shown: Console, report: "DriftReport", html: Path | None = None) -> None:
    """Print what moved, worst first."""
    if report.silent:
        windows = f"{len(report.windows)} whole window{'s' * (len(report.windows) != 1)}"
        shown.print(
            f"{report.name}: too early to say; there are {windows}, and drift is told from the {report.needed + 1}th on."
        )
    else:
        _show_moved(shown, report)
    if beside := [one for one in report.beside_training if one.psi > max(0.1, one.noise)]:
        listed = ", ".join(f"{one.column} {one.psi:.2f}" for one in beside[:6])
        shown.print(Text(f"  newest window beside the training rows (PSI): {listed}", style="dim"))
    if html:
        shown.print(f"  plots: {html}")


def _show_moved(shown: Console, report: "DriftReport") -> None:
    moved = report.moved
    head = f"{report.name}  {report.judged} windows judged, the first on {report.windows[report.needed].start:%Y-%m-%d}"
    word = ("DRIFT", "bold yellow") if moved else ("NO DRIFT", "bold green")
    shown.print(Text.assemble(word, f"  {head}"))
    if moved:
        table = Table("window", "column", "what moved", "x limit", box=None, padding=(0, 2, 0, 2), header_style="dim")
        for one in moved[:SHOWN]:
            shift = one.shift
            table.add_row(f"{one.start:%Y-%m-%d}", shift.column, shift.sentence, f"{shift.severity:.1f}")
        shown.print(table)
    if len(moved) > SHOWN:
        shown.print(f"  ... and {len(moved) - SHOWN} more: --json has all", style="dim")
    if report.seasonal:
        shown.print(Text(f"  with the season: {', '.join(report.seasonal)}", style="dim"))
