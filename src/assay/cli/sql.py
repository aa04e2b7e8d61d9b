"""`assay sql`."""

import csv
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from assay.cli.command import command, console, safe_json
from assay.errors import BadInput, printable
from assay.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_ROWS = 40
#: Of rows that are wider than the terminal, about so many lines.
SHOWN_LINES = 200
#: A column of longer texts can be this narrow and is still read.
LEAST_WIDTH = 24
#: Longer texts are cut on the terminal.
SHOWN_CHARACTERS = 1_000


@command()
@click.argument("query")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all rows to FILE.parquet or FILE.csv."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows as CSV.")
def sql(store: Store, query: str, out: Path | None, as_csv: bool, as_json: bool) -> None:
    r"""Run one SELECT over served.MODEL, trained.MODEL (with underscores for dashes) and the metadata tables.

    The terminal shows the first 40 rows, or one block a row where they are wider than the terminal; --json, --csv and
    --out write all rows in batches.

    \b
    Examples:
      assay sql "SHOW TABLES"
      assay sql "SELECT day, count(*) FROM served.flight_delay GROUP BY 1"
    """
    from assay.predictions import stream_sql

    if sum((out is not None, as_csv, as_json)) > 1:
        raise click.UsageError("give one of --out, --csv and --json")
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise BadInput(f"{str(out)!r} ends neither in .parquet nor in .csv", do="Choose one of these endings.")
    with stream_sql(store, query) as answer:
        if out is not None:
            click.echo(f"{_write(answer, out):,} rows written to {out}", err=as_json)
        elif as_csv:
            _print_csv(answer)
        elif as_json:
            _print_lines(answer)
        else:
            _show(answer)


def _write(answer: "pa.RecordBatchReader", out: Path) -> int:
    """Write the rows to a file, which is there only once all are in it; returns how many."""
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as pq

    from assay.store.parts import Part

    rows = 0
    with Part(out.parent, str(out)) as part:
        # CSV has no nested values and Parquet no empty structs: what a writer can't hold is the query's matter.
        try:
            made = arrow_csv.CSVWriter if out.suffix == ".csv" else pq.ParquetWriter
            with made(part.path, answer.schema) as writer:
                for batch in answer:
                    writer.write_batch(batch)
                    rows += batch.num_rows
        except (NotImplementedError, ValueError, TypeError) as error:
            raise BadInput(f"{out} can't hold the answer: {error}", do="Cast the column to text.") from None
        part.keep(out)
    return rows


def _print_lines(answer: "pa.RecordBatchReader") -> None:
    from assay.contract.decode import to_json

    for batch in answer:
        for row in batch.to_pylist():
            click.echo(safe_json(to_json(row).decode()))


def _print_csv(answer: "pa.RecordBatchReader") -> None:
    lines = csv.writer(_Out())
    lines.writerow(answer.schema.names)
    for batch in answer:
        lines.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))


class _Out:
    """Stdout; what acts on a terminal is escaped where it is one."""

    def write(self, text: str) -> None:
        click.echo(printable(text) if sys.stdout.isatty() else text, nl=False)


def _show(answer: "pa.RecordBatchReader") -> None:
    rows = list(islice((row for batch in answer for row in batch.to_pylist()), SHOWN_ROWS + 1))
    names, texts = answer.schema.names, [[_shown(value) for value in row.values()] for row in rows]
    out = console()
    widths = [min(max(map(len, column)), LEAST_WIDTH) for column in zip(names, *texts, strict=True)]
    as_table = sum(widths) + 2 * len(widths) <= out.width
    most = SHOWN_ROWS if as_table else max(1, SHOWN_LINES // max(len(names), 1))
    out.print(_table(names, texts[:most]) if as_table else _records(names, texts[:most]))
    if len(rows) > most:
        out.print(f"... more rows than {most}; --json and --csv print all, --out writes them to a file", style="dim")


def _table(names: list[str], rows: list[list[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(_shown(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _records(names: list[str], rows: list[list[str]]) -> Table:
    """Each row as a block of lines, one a column, for rows that are wider than the terminal."""
    blocks = Table(box=None, pad_edge=False, show_header=False)
    blocks.add_column(overflow="fold", style="bold")
    blocks.add_column(overflow="fold")
    for place, row in enumerate(rows, 1):
        blocks.add_row(Text(f"row {place}", style="dim"), "")
        for name, value in zip(names, row, strict=True):
            blocks.add_row(Text(f"  {_shown(name)}"), Text(value))
    return blocks


def _shown(value: object) -> str:
    r"""A value for the terminal: on one line, without what a terminal obeys.

    >>> _shown("two\nlines \x1b[31m")
    'two\\nlines \\x1b[31m'
    """
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    plain = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:SHOWN_CHARACTERS])
    return printable(plain) + "..." * (len(text) > SHOWN_CHARACTERS)
