"""A contract as an Arrow schema, and Arrow tables as its columns."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assay.contract.columns import TEXT, Array, Columns, Later, dtype_of, renamed
from assay.contract.fields import Field, Scalar
from assay.contract.record import Record, fields
from assay.errors import BadInput, first_few, near_miss

R = TypeVar("R", bound=Record)
#: The least number that int64 does not hold.
LARGEST_WHOLE = 2.0**63
#: A column of so many rows, of whose sample so few values are distinct, none longer than so many characters.
MANY, FEW, SHORT = 2_000, 100, 32
_TYPES: dict[Scalar, pa.DataType] = {
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    str: pa.string(),
    datetime: pa.timestamp("us", tz="UTC"),
    date: pa.date32(),
}


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of a field, or of each of its columns."""
    return _TYPES[field.type]


def schema(record: type[Record]) -> pa.Schema:
    """The Arrow schema of a contract; unit and role stand in each field's metadata.

    Probabilities and lists are a column for each part: `NAME_CLASS`, `NAME_0`.
    """
    return pa.schema([one for field in fields(record) for one in _arrow_fields(field)])


def _arrow_fields(field: Field) -> list[pa.Field]:
    facts = {"unit": field.unit, "role": field.role, "rule": field.rule}
    metadata = {f"assay.{name}": value for name, value in facts.items() if value}
    return [pa.field(name, arrow_type(field), nullable=field.nullable, metadata=metadata) for name in field.columns]


def table(rows: Sequence[Record], record: type[Record]) -> pa.Table:
    """Records as an Arrow table of the contract's schema."""
    arrays = [pa.array(values, arrow_type(f)) for f in fields(record) for values in _flat(rows, f)]
    return pa.table(arrays, schema=schema(record))


def _flat(rows: Sequence[Record], field: Field) -> list[list[Any]]:
    """The values of each column of a field."""
    values = [getattr(row, field.attribute) for row in rows]
    return [values] if field.parts is None else [[value[part] for value in values] for part in field.parts]


def columns(data: pa.Table, record: type[R]) -> Columns[R]:
    """The columns of a table, each of shape (n,), in the very form that `columns.from_rows` gives.

    Raises `BadInput`, all faults at once, for a missing column, a wrong type, and nulls where none are allowed; NaN
    counts as null, as it does in checks.
    """
    faults: list[str] = []
    arrays: dict[str, Array | Later] = {}
    for field in fields(record):
        try:
            arrays[field.name] = _column(data, field)
        except BadInput as fault:
            faults.append(str(fault))
    if faults:
        raise BadInput(
            f"the table does not fit {record.__name__}",
            *first_few(faults, len(faults)),
            do="Correct the table or the contract; `assay check` shows the rows.",
        )
    return Columns(arrays, renamed(record))


def cast(data: pa.Table, field: Field) -> pa.ChunkedArray:
    """The column of a field with the field's type. Raises `BadInput` when it is missing, or of a type that can't be this."""
    if field.name not in data.column_names:
        raise BadInput(f"column {field.name} is missing. {near_miss(field.name, data.column_names)}".strip())
    if data.column_names.count(field.name) > 1:
        raise BadInput(f"column {field.name} is in the table more than once")
    column = data.column(field.name)
    column = localized(column, field)
    if pa.types.is_timestamp(column.type) and column.type.tz is None and field.type is datetime:
        raise BadInput(
            f"column {field.name} has no time zone: say which zone its times are in, like "
            f'pc.assume_timezone(table["{field.name}"], "America/New_York")'
        )
    return _cast(column, field)


def _column(data: pa.Table, field: Field) -> Array | Later:
    column = cast(data, field)
    missing = int(column.is_null(nan_is_null=True).to_numpy().sum())
    if missing and not field.nullable:
        raise BadInput(f"column {field.name} has {missing:,} nulls of {len(column):,}, the contract allows none")
    if field.type is str:
        return Later(len(column), partial(to_numpy, column, TEXT))
    return to_numpy(_held_exactly(column, field), dtype_of(field))


def localized(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    """Times without a zone in the zone that their field declares, as UTC; other columns as they are.

    What a clock shows twice when summer ends is taken for the later. Raises `BadInput` for a time that it never shows.
    """
    if field.zone is None or not pa.types.is_timestamp(column.type) or column.type.tz is not None:
        return column
    try:
        compute: Any = pc
        zoned = compute.assume_timezone(column, field.zone, ambiguous="latest")
        return zoned.cast(pa.timestamp(column.type.unit, "UTC"))
    except pa.ArrowInvalid as error:
        said = str(error).split(". ")[0]
        raise BadInput(f"column {field.name}: {said}", do=f"A clock in {field.zone} never shows it.") from None


def _held_exactly(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    if field.type is not int or not field.nullable:
        return column
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise BadInput(f"column {field.name} may be missing, so it is stored as float64: {error}") from None


def _cast(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    target = arrow_type(field)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type) and field.type is int:
        return _whole(column, field)
    kinds = (
        pa.types.is_floating,
        pa.types.is_integer,
        pa.types.is_boolean,
        is_text,
        pa.types.is_timestamp,
        pa.types.is_date,
    )
    same_kind = any(kind(column.type) and kind(target) for kind in kinds)
    a_number = pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)
    number_for_float = a_number and pa.types.is_floating(target)
    empty = column.null_count == len(column)  # then its type says nothing
    if empty:
        return pa.chunked_array([pa.nulls(len(column), target)])
    large = pa.types.is_decimal(column.type) and column.type.scale == 0 and field.type is int
    if not (same_kind or number_for_float or large):
        raise BadInput(f"column {field.name} is {column.type}, the contract declares {field.rule}")
    try:
        return column.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"column {field.name} can't become {target}: {error}") from None


def _whole(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    """Whole numbers that are kept as floats, as pandas does where one is missing, with NaN for it."""
    values = column.cast(pa.float64()).to_numpy()  # null as NaN
    whole = np.isnan(values) | (np.isfinite(values) & (np.floor(values) == values) & (np.abs(values) < LARGEST_WHOLE))
    if not whole.all():
        raise BadInput(f"column {field.name} holds numbers that are not whole, like {values[~whole][0]:.10g}")
    return pa.chunked_array([pa.array(np.nan_to_num(values).astype(np.int64), mask=np.isnan(values))])


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _texts(column: pa.Array) -> Array:
    missing = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    if _is_of_few(column):
        coded: Any = column.dictionary_encode()
        known = coded.dictionary.to_pylist()
        if known and not any(value.endswith("\0") for value in known):  # what numpy pads fixed texts with
            kind = "S" if all(map(str.isascii, known)) else "U"
            values = np.array(known, dtype=kind)[pc.fill_null(coded.indices, 0).to_numpy()].astype(TEXT)
            if missing is not None:
                values[missing] = np.nan
            return values
    objects = column.to_numpy(zero_copy_only=False)
    if missing is not None:
        objects[missing] = np.nan
    return objects.astype(TEXT)


def _is_of_few(column: pa.Array) -> bool:
    """Whether a long column seems to have few values, each of them short: then they are looked up, in a quarter of the time."""
    if len(column) < MANY:
        return False
    some = column.take(pa.array(np.linspace(0, len(column) - 1, 200).astype(np.int64))).unique()
    return len(some) <= FEW and all(len(value or "") <= SHORT for value in some.to_pylist())


def to_numpy(column: pa.ChunkedArray, dtype: np.dtype[Any]) -> Array:
    """An Arrow column as numpy, missing values as NaN or NaT."""
    if dtype == TEXT:
        return _texts(column.combine_chunks())
    if dtype.kind == "M":
        unit = "us" if dtype == np.dtype("datetime64[us]") else "D"
        return column.cast(pa.timestamp("us") if unit == "us" else pa.date32()).to_numpy().astype(dtype)
    if column.null_count:
        column = pc.fill_null(column.cast(pa.float64()), float("nan"))
    return np.ascontiguousarray(column.to_numpy().astype(dtype, copy=False))
