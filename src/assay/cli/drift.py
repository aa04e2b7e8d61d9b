"""`assay drift`."""

from pathlib import Path

import click

from assay.cli.command import command, console, print_json
from assay.store import Store


@command(begins=True)
@click.argument("target", metavar="MODEL|TABLE")
@click.option("--time", help="The time column, when TARGET is a table.")
@click.option("--every", default="7d", show_default=True, help="The length of a window.")
@click.option("--since", help="Only windows since: 90d, yesterday, ISO 8601; all when omitted.")
@click.option("--seasonal", help="The seasonal columns, as a,b; detected when omitted.")
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
    r"""Report which columns moved, window by window, in a table or in the rows that a model served.

    Exit code 0: drift warns and never blocks.

    \b
    Examples:
      assay drift data/flights --time scheduled
      assay drift flight-delay --since 90d
    """
    from assay.drift import model_drift, table_drift
    from assay.drift.render import render
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
        shown = console()
        render(report, shown)
        if html:
            shown.print(f"  plots: {html}")
    return 0


def _need_model(target: str) -> None:
    if "/" in target or Path(target).suffix in (".parquet", ".csv") or Path(target).is_dir():
        raise click.UsageError(f"{target} is a table: give its time column with --time")
