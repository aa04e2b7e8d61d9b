"""Writes the rows at fault, whole, to a Parquet file."""

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.checks import worst
from assay.checks.ask import Asked
from assay.checks.tables import Table
from assay.checks.view import FILE, ROW, Kind
from assay.errors import Unavailable

#: Which rule a row breaks, like "between wind".
RULE = "assay:rule"
_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "number": pa.float64(),
    "whole": pa.int64(),
    "truth": pa.bool_(),
    "time": pa.timestamp("us", "UTC"),
    "naive": pa.timestamp("us"),
    "date": pa.date32(),
    "other": pa.string(),
}


def write_failing(table: Table, broken: Mapping[str, Asked], path: str | PathLike[str]) -> int:
    """Write every row that breaks a rule, with the rule's name, its file and place; returns how many.

    A row that breaks several rules stands there several times. The file is written whole or not at all.
    Raises `Unavailable` when it can't be written.
    """
    schema = pa.schema(
        {RULE: pa.string(), FILE: pa.string(), ROW: pa.int64()} | {n: _TYPES[kind] for n, kind in table.kinds.items()}
    )
    done = Path(path)
    half = done.with_name(f".{done.name}.half")
    written = 0
    try:
        with pq.ParquetWriter(half, schema, compression="zstd") as writer:
            for name, asked in broken.items():
                for part in _rows(table, asked, schema):
                    writer.write_table(part.set_column(0, RULE, pa.array([name] * len(part))))
                    written += len(part)
        half.replace(done)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise Unavailable(
            f"can't write {path}", error.strerror or str(error), do="Mend the path or its rights."
        ) from None
    return written


def _rows(table: Table, asked: Asked, schema: pa.Schema) -> Iterator[pa.Table]:
    query = worst.every_row(asked.rule, asked.breaks, table.kinds)
    if not query:
        return
    for batch in table.batches(query):
        part = pa.Table.from_batches([batch])
        columns = [
            pa.nulls(len(part), each.type) if each.name == RULE else part[each.name].cast(each.type, safe=False)
            for each in schema
        ]
        yield pa.table(columns, schema=schema)
