"""Rows of a table that a server would refuse, with the reason: what the contract of the input says, column by column."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assay.contract import Field, Record, fields
from assay.contract.columns import Array
from assay.contract.formats.arrow import cast
from assay.errors import shown

Why = Callable[[int], str]


def misfits(rows: pa.Table, contract: type[Record]) -> tuple[Array, Why]:
    """A mask of shape (n,), true for rows that break the contract, and what is wrong with such a row, in words.

    Raises `BadInput` for a column that is missing or of another type: then no row can be said to fit.
    """
    wrong = np.zeros(len(rows), dtype=bool)
    looked: list[tuple[Field, pa.ChunkedArray, Array]] = []
    for field in fields(contract):
        column = cast(rows, field)
        broken = ~_fits(column, field)
        if broken.any():
            looked.append((field, column, broken))
            wrong |= broken

    def why(row: int) -> str:
        field, column = next((field, column) for field, column, broken in looked if broken[row])
        value: Any = column[row].as_py()
        return f"{field.name}: {'missing' if value is None else shown(value)}, expected {field.rule}"

    return wrong, why


def _fits(column: pa.ChunkedArray, field: Field) -> Array:
    missing = _mask(column.is_null(nan_is_null=True))
    if field.categories is not None:
        known = _asked("is_in", column, options=pc.SetLookupOptions(pa.array(field.categories, column.type)))
        return known | (missing & field.nullable)
    if field.type in (float, int):
        low, high = field.bounds
        inside = ~missing
        if low is not None:
            inside &= _asked("greater_equal", column, low)
        if high is not None:
            inside &= _asked("less_equal", column, high)
        if field.type is float:
            inside &= _asked("is_finite", column)
        return inside | (missing & field.nullable)
    return ~missing | (missing & field.nullable)


def _asked(function: str, *values: Any, options: Any = None) -> Array:
    return _mask(pc.call_function(function, list(values), options))


def _mask(found: pa.ChunkedArray) -> Array:
    return pc.fill_null(found, False).to_numpy()
