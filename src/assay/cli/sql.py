"""`assay sql`."""

import click
from rich.table import Table

from assay.cli.command import command, console
from assay.store import Store

SHOWN_ROWS = 40


@command()
@click.argument("query")
def sql(store: Store, query: str, as_json: bool) -> None:
    r"""One SELECT over served.MODEL, trained.MODEL (dashes are underscores) and runs, metrics, ledger and so on.

    \b
    Example: assay sql "SELECT day, count(*) FROM served.flight_delay GROUP BY day"
    """
    from assay.contract.decode import to_json
    from assay.predictions import open_sql

    rows = open_sql(store, query)
    if as_json:
        for row in rows.to_pylist():
            click.echo(to_json(row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows.column_names:
        table.add_column(name, overflow="fold")
    for row in rows.slice(0, SHOWN_ROWS).to_pylist():
        table.add_row(*(_shown(value) for value in row.values()))
    shown = console()
    shown.print(table)
    if len(rows) > SHOWN_ROWS:
        shown.print(f"... {len(rows) - SHOWN_ROWS:,} more rows; --json prints all", style="dim")


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
