"""`assay skew`."""

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from assay.cli.command import command, console, print_json
from assay.store import Store

if TYPE_CHECKING:
    from assay.skew import SkewReport

SHOWN_EXAMPLES = 3
WHAT = {
    "input": "served input, against the table's row of the same key",
    "feature": "served feature, against the training code on the served input",
    "prediction": "served prediction, against the model on the served features",
}


@command()
@click.argument("model")
@click.option("--since", default="1d", show_default=True, help="Rows served since: 2h, 7d, yesterday, ISO 8601.")
@click.option("--against", "table", help="The table to compare inputs with; the model's own when omitted.")
@click.option("--exact", is_flag=True, help="Rounding to float32 is a finding too.")
def skew(store: Store, model: str, since: str, table: str | None, exact: bool, as_json: bool) -> int:
    r"""Compare what MODEL served with training, row by row, and name the differences.

    \b
    Example: assay skew flight-delay --since 2h
    Exit code 1 when a row differs; a moved distribution alone only warns.
    """
    from assay.skew import find_skew
    from assay.skew.compare import FLOAT32
    from assay.times import instant

    report = find_skew(store, model, since=instant(since), table=table, tolerance=0.0 if exact else FLOAT32)
    if as_json:
        print_json(report)
    else:
        _show(console(), report)
    return 0 if report.clean else 1


def _show(shown: Console, report: "SkewReport") -> None:
    versions = ", ".join(map(str, report.versions))
    head = f"{report.model}  {report.rows:,} served rows, version {versions}"
    known = (
        f"{report.rows - report.unknown_keys:,} of them in {report.table}"
        if report.table
        else "no table to compare with"
    )
    if report.clean:
        shown.print(Text.assemble(("NO SKEW", "bold green"), f"  {head}, {known}"))
        shown.print(f"  {_same(report)}", style="dim")
    else:
        shown.print(Text.assemble(("SKEW", "bold red"), f"  {head}, {known}"))
    for finding in report.findings:
        shown.print(
            Text.assemble("  ", (finding.column, "bold"), f": {finding.rows:,} of {finding.compared:,} rows differ")
        )
        shown.print(Text(f"    {WHAT[finding.place]}", style="dim"))
        for shape in finding.shapes:
            shown.print(Text.assemble(f"    {shape.rows:,} rows: ", (shape.sentence, "bold yellow")))
        if finding.unnamed:
            shown.print(f"    {finding.unnamed:,} rows: no common shape")
        for example in finding.examples[:SHOWN_EXAMPLES]:
            where = f"{example.key}  request {example.request_id}" + (f" row {example.row}" if example.row else "")
            shown.print(
                Text(
                    f"      {where}: expected {_value(example.expected)}, served {_value(example.served)}", style="dim"
                )
            )
    if report.shifts:
        moved = ", ".join(f"{shift.feature} {shift.psi:.2f}" for shift in report.shifts[:6])
        shown.print(Text(f"  the world moved (PSI, warns only): {moved}", style="dim"))


def _same(report: "SkewReport") -> str:
    """What was compared and is equal."""
    if report.table is None or report.unknown_keys == report.rows:
        why = "there is no table" if report.table is None else f"no row has its key in {report.table}"
        return f"features and predictions are what training code gives; inputs were not compared: {why}"
    return "inputs, features and predictions are what training code and table give"


def _value(value: object) -> str:
    return "nothing" if value is None else f"{value:.7g}" if isinstance(value, float) else str(value)
