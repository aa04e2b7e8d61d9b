"""Writes the rows at fault, whole, to a Parquet file."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from os import PathLike
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.checks import worst
from assay.checks.predicates import Asked
from assay.errors import Unavailable
from assay.tables import Table
from assay.tables.view import FILE, ROW

#: Which rule a row breaks, like "between wind".
RULE = "assay:rule"
_PLACES = {RULE: pa.string(), FILE: pa.string(), ROW: pa.int64()}


def write_failing(table: Table, broken: Mapping[str, Asked], path: str | PathLike[str]) -> int:
    """Write every row that breaks a rule, with the rule's name, its file and place; returns how many.

    A row that breaks several rules stands there several times. The file is written whole or not at all.
    Raises `Unavailable` when it can't be written.
    """
    done = Path(path)
    half = done.with_name(f".{done.name}.half")
    written = 0
    try:
        with ExitStack() as opened:
            writer: pq.ParquetWriter | None = None
            for name, asked in broken.items():
                for part in _rows(table, asked, name):
                    if writer is None:
                        writer = opened.enter_context(pq.ParquetWriter(half, part.schema, compression="zstd"))
                    writer.write_table(part.cast(writer.schema, safe=False))
                    written += len(part)
        if written:
            half.replace(done)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise Unavailable(
            f"can't write {path}", error.strerror or str(error), do="Correct the path or its permissions."
        ) from None
    return written


def _rows(table: Table, asked: Asked, name: str) -> Iterator[pa.Table]:
    query = worst.every_row(asked.rule, asked.breaks, table.kinds, table.storable)
    if not query:
        return
    for batch in table.batches(query):
        part = pa.Table.from_batches([batch])
        places = {RULE: pa.array([name] * len(part)), **{each: part[each] for each in (FILE, ROW)}}
        told = [places[each].cast(kind) for each, kind in _PLACES.items()]
        columns = [part[each] for each in table.kinds]
        yield pa.table([*told, *columns], names=[*_PLACES, *table.kinds])
