"""A contract as an Arrow schema, and Arrow tables as its columns."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assay.contract.columns import TEXT, Array, Columns, dtype_of
from assay.contract.fields import Field, Scalar
from assay.contract.record import Record, fields
from assay.errors import BadInput, first_few, near_miss

R = TypeVar("R", bound=Record)
_TYPES: dict[Scalar, pa.DataType] = {
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    str: pa.string(),
    datetime: pa.timestamp("us", tz="UTC"),
    date: pa.date32(),
}


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of a field."""
    return _TYPES[field.type]


def schema(record: type[Record]) -> pa.Schema:
    """The Arrow schema of a contract; unit and role stand in each field's metadata."""
    return pa.schema([_arrow_field(field) for field in fields(record)])


def _arrow_field(field: Field) -> pa.Field:
    facts = {"unit": field.unit, "role": field.role, "rule": field.rule}
    metadata = {f"assay.{name}": value for name, value in facts.items() if value}
    return pa.field(field.name, arrow_type(field), nullable=field.nullable, metadata=metadata)


def table(rows: Sequence[Record], record: type[Record]) -> pa.Table:
    """Records as an Arrow table of the contract's schema."""
    arrays = [pa.array([getattr(row, f.name) for row in rows], arrow_type(f)) for f in fields(record)]
    return pa.table(arrays, schema=schema(record))


def columns(data: pa.Table, record: type[R]) -> Columns[R]:
    """The columns of a table, each of shape (n,), in the very form that `columns.from_rows` gives.

    Raises `BadInput`, all faults at once, for a missing column, a wrong type, and nulls where none are allowed; NaN
    counts as null, as it does in checks.
    """
    faults: list[str] = []
    arrays: dict[str, Array] = {}
    for field in fields(record):
        try:
            arrays[field.name] = _column(data, field)
        except BadInput as fault:
            faults.append(str(fault))
    if faults:
        raise BadInput(
            f"the table does not fit {record.__name__}",
            *first_few(faults, len(faults)),
            do="Mend the table or the contract; `assay check` shows the rows.",
        )
    return Columns(arrays)


def _column(data: pa.Table, field: Field) -> Array:
    if field.name not in data.column_names:
        raise BadInput(f"column {field.name} is missing. {near_miss(field.name, data.column_names)}".strip())
    if data.column_names.count(field.name) > 1:
        raise BadInput(f"column {field.name} is in the table more than once")
    column = data.column(field.name)
    if pa.types.is_timestamp(column.type) and column.type.tz is None and field.type is datetime:
        raise BadInput(
            f"column {field.name} has no time zone: say which zone its times are in, like "
            f'pc.assume_timezone(table["{field.name}"], "America/New_York")'
        )
    column = _cast(column, field)
    missing = int(column.is_null(nan_is_null=True).to_numpy().sum())
    if missing and not field.nullable:
        raise BadInput(f"column {field.name} has {missing:,} nulls of {len(column):,}, the contract allows none")
    return to_numpy(_held_exactly(column, field), dtype_of(field))


def _held_exactly(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    if field.type is not int or not field.nullable:
        return column
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise BadInput(f"column {field.name} may be missing, so it is kept as float64: {error}") from None


def _cast(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    target = arrow_type(field)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kinds = (
        pa.types.is_floating,
        pa.types.is_integer,
        pa.types.is_boolean,
        _is_text,
        pa.types.is_timestamp,
        pa.types.is_date,
    )
    same_kind = any(kind(column.type) and kind(target) for kind in kinds)
    number_for_float = pa.types.is_integer(column.type) and pa.types.is_floating(target)
    if not (same_kind or number_for_float or pa.types.is_null(column.type)):
        raise BadInput(f"column {field.name} is {column.type}, the contract says {field.rule}")
    try:
        return column.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"column {field.name} can't become {target}: {error}") from None


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def to_numpy(column: pa.ChunkedArray, dtype: np.dtype[Any]) -> Array:
    """An Arrow column as numpy, missing values as NaN or NaT."""
    if dtype == TEXT:
        values = column.combine_chunks().to_numpy(zero_copy_only=False)
        if column.null_count:
            values[column.is_null().to_numpy()] = np.nan
        return values.astype(TEXT)
    if dtype.kind == "M":
        unit = "us" if dtype == np.dtype("datetime64[us]") else "D"
        return column.cast(pa.timestamp("us") if unit == "us" else pa.date32()).to_numpy().astype(dtype)
    if column.null_count:
        column = pc.fill_null(column.cast(pa.float64()), float("nan"))
    return np.ascontiguousarray(column.to_numpy().astype(dtype, copy=False))
