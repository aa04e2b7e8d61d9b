"""Rows of a database's table by event time: one query, and so one snapshot, read in batches."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlalchemy import Select, select, types
from sqlalchemy.exc import DBAPIError

from assay.contract import Record
from assay.contract.record import need_event_time
from assay.errors import BadInput, shown
from assay.tables.database import DatabaseTable, said
from assay.tables.gather import Span, gather, need_time

_BATCH = 10_000
#: A whole number of so many digits fits into int64.
_DIGITS = 18


def database_rows(table: DatabaseTable, contract: type[Record], span: Span) -> pa.Table:
    """The rows of `span` with all columns; what Arrow has no type for becomes text.

    Raises `BadInput` for a cell that is not of its column's type, `Unavailable` when the database goes away.
    """
    schema = pa.schema([(column.name, _arrow_type(column.type)) for column in table.known.columns])
    asked = need_time(schema, contract, table.name, span)
    return gather(table.name, _batches(table, _query(table, contract, asked), schema), schema)


def _query(table: DatabaseTable, contract: type[Record], span: Span) -> Select[Any]:
    time = table.known.columns[need_event_time(contract)]
    query = select(table.known)
    if span.start is not None:
        query = query.where(time >= span.start)
    return query if span.end is None else query.where(time < span.end)


def _batches(table: DatabaseTable, query: Select[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    streaming = {"stream_results": True, "max_row_buffer": _BATCH}  # of this query alone
    try:
        with closing(table.connection.execute(query, execution_options=streaming)) as found:
            for part in found.partitions(_BATCH):
                yield _batch(table.name, part, schema)
    except DBAPIError as error:
        raise said(table.name, error) from None
    except ValueError as error:  # of SQLAlchemy: a text in SQLite that is no time
        raise BadInput(f"{table.name} can't be read", str(error), do="Correct that cell.") from None


def _batch(name: str, part: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = [_column(name, field, values) for field, values in zip(schema, zip(*part, strict=True), strict=True)]
    return pa.record_batch(columns, schema=schema)


def _column(name: str, field: pa.Field, values: Sequence[Any]) -> pa.Array:
    as_held = _CASTS.get(field.type)
    held = values if as_held is None else [None if value is None else as_held(value) for value in values]
    try:
        return pa.array(held, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError) as error:
        odd = next((value for value in held if not _fits(value, field.type)), None)
        what = f"{name}: {field.name} holds {shown(repr(odd))}, {field.type} expected"
        raise BadInput(what, *[] if odd is not None else [str(error)], do="Correct that cell.") from None


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.array([value], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError):
        return False
    return True


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal | int) else value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) else value


def _moment(value: Any) -> Any:
    return value if not isinstance(value, datetime) or value.tzinfo else value.replace(tzinfo=UTC)


_MOMENT = pa.timestamp("us", tz="UTC")
_CASTS: dict[pa.DataType, Callable[[Any], Any]] = {
    pa.float64(): _number,
    pa.int64(): _whole,
    pa.string(): str,
    _MOMENT: _moment,
}


def _arrow_type(known: Any) -> pa.DataType:
    match known:
        case types.Boolean():
            return pa.bool_()
        case types.Integer():
            return pa.int64()
        case types.Numeric() if not isinstance(known, types.Float) and _is_whole(known):
            return pa.int64()
        case types.Numeric() | types.Float():
            return pa.float64()
        case types.DateTime():
            return _MOMENT if known.timezone else pa.timestamp("us")
        case types.Date():
            return pa.date32()
        case _:
            return pa.string()


def _is_whole(known: Any) -> bool:
    return known.scale == 0 and known.precision is not None and known.precision <= _DIGITS
