"""`assay runs`."""

import click
from rich.table import Table

from assay.cli.command import command, console, print_json
from assay.store import Store


@command()
@click.option("--name", help="Only runs of this model or pipeline.")
@click.option("--since", help="Started at or after: ISO 8601, a date, or 2h, 7d, yesterday.")
@click.option("--until", help="Started before.")
@click.option("--limit", default=20, show_default=True, help="At most so many, newest first.")
def runs(store: Store, name: str | None, since: str | None, until: str | None, limit: int, as_json: bool) -> None:
    r"""Find runs, newest first.

    \b
    Example: assay runs --name flight-delay --since 2h
    """
    from assay.times import instant
    from assay.track import find_runs

    found = find_runs(
        store, name=name, since=instant(since) if since else None, until=instant(until) if until else None, limit=limit
    )
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("run", "status", "started", "parameters", "metrics"):
        table.add_column(title, overflow="fold")
    for row in found:
        params = " ".join(f"{key}={value}" for key, value in row.params.items())
        metrics = " ".join(f"{key}={value:.4g}" for key, value in row.metrics.items())
        status = row.status if row.error is None else f"{row.status}: {row.error.splitlines()[0]}"
        table.add_row(row.id, status, f"{row.started_at.astimezone():%m-%d %H:%M:%S}", params, metrics)
    console().print(table if found else "no runs")
