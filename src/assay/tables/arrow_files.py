"""Arrow IPC files and streams, which Feather is: batch by batch, each with the place of its rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from assay.errors import BadInput
from assay.tables.bounds import check_arrow_depth
from assay.tables.column_names import refuse_alike
from assay.tables.view import FILE, ROW

_PLACE = [pa.field(FILE, pa.string()), pa.field(ROW, pa.int64())]


class ArrowRows(NamedTuple):
    """The rows of some files, with their file and their number in it."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def arrow_rows(name: str, files: Sequence[Path]) -> ArrowRows:
    """The rows of all files, as they are asked for.

    Raises `BadInput` when the files can't agree on a column's type, `pyarrow.ArrowException` or `OSError` for one that
    is not whole.
    """
    schemas = [_plain(_schema(file)) for file in files]
    try:
        known = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise BadInput(f"the files of {name} disagree: {error}", do="Write each column with one type.") from None
    check_arrow_depth(name, known)
    refuse_alike(name, known.names)
    return ArrowRows(pa.schema([*known, *_PLACE]), _batches(files, known))


def _batches(files: Sequence[Path], known: pa.Schema) -> Iterator[pa.RecordBatch]:
    for file in files:
        row = 0
        for batch in _of(file):
            batch.validate(full=True)  # what a file says of its own buffers may be false
            columns = [
                _cast(batch.column(field.name), field.type)
                if field.name in batch.schema.names
                else pa.nulls(len(batch), field.type)
                for field in known
            ]
            places = [pa.repeat(pa.scalar(str(file)), len(batch)), pa.array(np.arange(row, row + len(batch)))]
            row += len(batch)
            yield pa.record_batch([*columns, *places], schema=pa.schema([*known, *_PLACE]))


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column in another type; pyarrow itself has no way out of categories as polars writes them."""
    if isinstance(column, pa.DictionaryArray) and pa.types.is_string_view(column.dictionary.type):
        column = column.dictionary.cast(pa.large_string()).take(column.indices)
    return column.cast(kind)


def _of(file: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(file)) as source:
        if _is_stream(file):
            yield from pa.ipc.open_stream(source)
            return
        opened = pa.ipc.open_file(source)
        for i in range(opened.num_record_batches):
            yield opened.get_batch(i)


def _schema(file: Path) -> pa.Schema:
    with pa.memory_map(str(file)) as source:
        return (pa.ipc.open_stream if _is_stream(file) else pa.ipc.open_file)(source).schema


def _is_stream(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(6) != b"ARROW1"


def _plain(schema: pa.Schema) -> pa.Schema:
    """Without dictionaries, which differ from batch to batch, and half precision, which DuckDB does not know."""
    known = [one.with_type(_plain_type(one.type)) for one in schema]
    return pa.schema([one for one in known if not one.name.startswith("__index_level_")])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    return pa.float32() if pa.types.is_float16(kind) else kind
