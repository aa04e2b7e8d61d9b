"""`assay doctor`."""

import click
from rich.table import Table
from rich.text import Text

from assay.cli.command import command, console, print_json
from assay.store import Store


@command(begins=True)
@click.pass_context
def doctor(context: click.Context, store: Store, as_json: bool) -> None:
    r"""Report what is installed and reachable, what waits, what is damaged, and sizes.

    Exit codes: 0 all is well, 1 something needs attention, 3 the database or the artifact store does not answer.

    \b
    Example:
      assay doctor --json
    """
    from assay.doctor import examine

    findings = examine(store)
    if as_json:
        print_json(findings)
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for one in findings:
            sign, colour = {"good": ("✓", "green"), "look": ("!", "yellow"), "away": ("✗", "red"), "fact": (" ", "")}[
                one.state
            ]
            table.add_row(Text(sign, style=colour), one.what, one.said, Text(one.do, style="dim"))
        console().print(table)
    states = {one.state for one in findings}
    context.exit(3 if "away" in states else 1 if "look" in states else 0)
