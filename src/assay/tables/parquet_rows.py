"""Rows of Parquet files by event time: of folders split by day, only the days asked for are opened."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assay.contract import Record, fields
from assay.contract.formats.arrow import schema
from assay.contract.record import need_event_time
from assay.errors import BadInput
from assay.store.memory import free_bytes
from assay.tables.bounds import check_arrow_depth
from assay.tables.files import hive_keys
from assay.tables.gather import Span, between, full, gather, least_bytes, need_time, sorted_bytes, too_large
from assay.tables.reading import reading

DAY = timedelta(days=1)
#: The rows that are decoded ahead. pyarrow's own 2 million take 2 GB where a text has 1 KB.
_IN_FLIGHT: dict[str, Any] = {"batch_size": 1 << 16, "batch_readahead": 4, "fragment_readahead": 2}


def parquet_rows(name: str, found: Sequence[Path], contract: type[Record], span: Span) -> pa.Table:
    """The rows of `span`. A folder's name like `day=2013-01-01` gives a column where the contract declares it.

    Raises `BadInput` for files that can't agree on a column's type, `Unavailable` for a damaged one.
    """
    with reading(name):
        try:
            return _rows(name, found, contract, span)
        except MemoryError:
            raise full(name) from None


def _rows(name: str, found: Sequence[Path], contract: type[Record], span: Span) -> pa.Table:
    import pyarrow.dataset as ds  # where pandas is installed it is loaded too, which takes half a second

    keys = sorted(hive_keys(found))
    folders = ds.partitioning(pa.schema([(key, pa.string()) for key in keys]), flavor="hive") if keys else None
    options: dict[str, Any] = {"format": "parquet", "partitioning": folders, "partition_base_dir": "/"}
    files = [str(file.resolve()) for file in found]
    data = ds.dataset(files, **options)
    check_arrow_depth(name, data.schema)
    asked = need_time(data.schema, contract, name, span)
    if span.whole:
        _need_room(data, name)
    _need_room_for_groups(data, name)
    wanted = between(need_event_time(contract), asked)
    if "day" in keys and wanted is not None and (days := _of_days(span)) is not None:
        wanted = days & wanted
    rows = None
    if _tells_all(data.schema, contract):
        try:
            rows = gather(name, _batches(data, wanted), data.schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            rows = None
    if rows is None:  # the schema is the first file's; others have more columns, or other types
        widest = _of_all_files(data, contract, name)
        again = ds.dataset(files, schema=widest, **options)
        try:
            rows = gather(name, _batches(again, wanted), widest)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            if not _disagree(data):
                raise
            raise _disagreeing(name, error) from None
    declared = {field.name for field in fields(contract)}
    return rows.drop_columns([key for key in keys if key not in declared])


def _batches(data: Any, wanted: pc.Expression | None) -> Iterator[pa.RecordBatch]:
    yield from data.scanner(filter=wanted, **_IN_FLIGHT).to_batches()


def _need_room(data: Any, name: str) -> None:
    """A few bytes of Parquet can stand for very many equal rows: those of a table that is read whole are counted first."""
    rows, room = data.count_rows(), free_bytes()
    needed = sorted_bytes(int(rows * sum(least_bytes(kind) for kind in data.schema.types)), rows)
    if needed > room:
        raise too_large(name, f"its {rows:,} rows take at least", needed, room)


def _need_room_for_groups(data: Any, name: str) -> None:
    """Of each group of rows, the pages of all columns are decoded at once; the footer says how large they are."""
    room = free_bytes()
    for fragment in data.get_fragments():
        for group in fragment.row_groups:
            if group.total_byte_size > room:
                raise too_large(name, f"{group.num_rows:,} rows of one group take", group.total_byte_size, room)


def _tells_all(schema: pa.Schema, contract: type[Record]) -> bool:
    """Whether a schema has every column of the contract, each of a type."""
    types = {name: schema.field(name).type for name in schema.names}
    return all(field.name in types and not pa.types.is_null(types[field.name]) for field in fields(contract))


def _disagree(data: Any) -> bool:
    """Whether a column has one type in one file, and another in another."""
    columns = {(column.name, column.type) for one in data.get_fragments() for column in one.physical_schema}
    return len(columns) > len({name for name, _ in columns})


def _disagreeing(name: str, error: Exception) -> BadInput:
    return BadInput(f"the files of {name} disagree: {error}", do="Write each column with one type.")


def _of_all_files(data: Any, contract: type[Record], name: str) -> pa.Schema:
    """The columns of every file; those of the contract with its types."""
    schemas = [data.schema, *(fragment.physical_schema for fragment in data.get_fragments())]
    there = {column for one in schemas for column in one.names}
    declared = [column.with_nullable(True) for column in schema(contract) if column.name in there]
    names = {column.name for column in declared}
    others = [pa.schema([column for column in one if column.name not in names]) for one in schemas]
    try:
        return pa.schema([*declared, *pa.unify_schemas(others, promote_options="permissive")])
    except pa.ArrowTypeError as error:
        raise _disagreeing(name, error) from None


def _of_days(span: Span) -> pc.Expression | None:
    """Folders may be named by the days of another zone, so one more on either side is opened."""
    found: list[pc.Expression] = []
    if span.start is not None:
        found.append(pc.field("day") >= (span.start - DAY).date().isoformat())
    if span.end is not None:
        found.append(pc.field("day") <= (span.end + DAY).date().isoformat())
    return reduce(and_, found) if found else None
