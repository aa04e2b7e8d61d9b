"""`assay quality`."""

from pathlib import Path

import click

from assay.cli.command import command, console, print_json
from assay.store import Store


@command(begins=True)
@click.argument("target")
@click.option("--label", help="The column that a model shall predict: what leaks it is called out.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with plots to this file.")
def quality(store: Store, target: str, label: str | None, html: Path | None, as_json: bool) -> int:  # noqa: ARG001
    r"""Say what is odd about TARGET, worst first: leaks of the label, missing, constant, alike and far values.

    TARGET is a Parquet or CSV file, a folder or glob of them, or a table of a database by URL.

    \b
    Example: assay quality data/flights --label late
    Exit code 0: a summary is no verdict.
    """
    from assay.quality import quality as look
    from assay.quality import quality_page, render
    from assay.store.artifacts import write_whole

    found = look(target, label)
    if html:
        write_whole(html, quality_page(found).encode())
    if as_json:
        print_json(found)
    else:
        render(found, console())
    return 0
