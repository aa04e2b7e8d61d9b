"""`assay score`."""

import sys
from pathlib import Path

import click

from assay.cli.command import command, console, print_json
from assay.store import Store


@command()
@click.argument("model")
@click.argument("table")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where the parts are written."
)
@click.option("--log", is_flag=True, help="Put the rows into served.MODEL too, as if a server had answered them.")
def score(store: Store, model: str, table: str, out: Path, log: bool, as_json: bool) -> int:
    r"""Score TABLE with MODEL into a folder of Parquet files, part by part. Repeat the command to go on after a kill.

    MODEL is a name for its champion, MODEL@ALIAS, or MODEL/VERSION. TABLE is whatever `assay check` takes. Each row gets its
    prediction, or in `error` the reason why a server would refuse it.

    Exit code 1 when rows have no prediction.

    \b
    Examples:
      assay score flight-delay data/flights --out scores
      assay score flight-delay/3 shop.duckdb#flights --out scores --log
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from assay.model.loaded import load_version
    from assay.scoring import score as score_table

    loaded = load_version(store, model)
    words = "[progress.description]{task.description}"
    columns = (TextColumn(words), BarColumn(pulse_style="bar.complete"), TimeElapsedColumn())
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("0 rows", total=None)
        done = 0

        def watch(rows: int) -> None:
            nonlocal done
            done += rows
            progress.update(task, description=f"{done:,} rows")

        scored = score_table(store, loaded, table, out, log=log, watch=watch)
    if as_json:
        print_json(
            {
                "model": loaded.version.model,
                "version": loaded.version.version,
                "folder": scored.folder,
                "rows": scored.rows,
                "refused": scored.refused,
                "kept": scored.kept,
            }
        )
    else:
        before = f", {scored.kept:,} of them before" if scored.kept else ""
        console().print(f"{scored.rows:,} rows scored by {loaded.version}{before}: {out}")
        if scored.refused:
            console().print(f"{scored.refused:,} rows have no prediction; the column error says why")
    return 1 if scored.refused else 0
