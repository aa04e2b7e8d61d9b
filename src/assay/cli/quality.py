"""`assay quality`."""

from pathlib import Path

import click

from assay.cli.command import command, console, print_json
from assay.store import Store


@command(begins=True)
@click.argument("target")
@click.option("--label", help="The column to predict; columns that leak it are reported.")
@click.option("--missing", multiple=True, metavar="MARK", help="A text of a CSV file that means missing, like '?'.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with plots to this file.")
@click.option("--all", "every", is_flag=True, help="Print each finding, not one line for each kind.")
def quality(
    store: Store,  # noqa: ARG001 - every command gets it first
    target: str,
    label: str | None,
    missing: tuple[str, ...],
    html: Path | None,
    every: bool,
    as_json: bool,
) -> int:
    r"""Report oddities of TARGET, the worst first: leaks of the label, missing and constant values, duplicates, outliers.

    TARGET is a Parquet or CSV file, a folder or glob of them, or a table of a database by URL.

    The exit code is 0, because a summary is not a verdict.

    \b
    Example:
      assay quality data/flights --label late
    """
    from assay.quality import quality as look
    from assay.quality import quality_page, render
    from assay.store.artifacts import write_whole
    from assay.tables.csv_files import with_missing

    found = look(with_missing(target, missing), label)
    if html:
        write_whole(html, quality_page(found).encode())
    if as_json:
        print_json(found)
    else:
        render(found, console(), every=every)
    return 0
