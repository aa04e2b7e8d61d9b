"""`assay skew`."""

import click

from assay.cli.command import command, console, print_json
from assay.store import Store


@command()
@click.argument("model")
@click.option("--since", default="1d", show_default=True, help="Only rows served since: 2h, 7d, yesterday, ISO 8601.")
@click.option("--against", "table", help="The table to compare inputs with; the model's own when omitted.")
@click.option("--exact", is_flag=True, help="Also report differences of rounding to float32.")
def skew(store: Store, model: str, since: str, table: str | None, exact: bool, as_json: bool) -> int:
    r"""Compare what MODEL served with training, row by row, and name the differences.

    Exit code 1 when a row differs, 3 when there is nothing to compare with; a moved distribution only warns.

    \b
    Example:
      assay skew flight-delay --since 2h
    """
    from assay.skew import find_skew, render
    from assay.skew.compare import FLOAT32
    from assay.times import instant

    report = find_skew(store, model, since=instant(since), table=table, tolerance=0.0 if exact else FLOAT32)
    if as_json:
        print_json(report)
    else:
        render(report, console())
    return 1 if not report.clean else 0 if report.complete else 3
