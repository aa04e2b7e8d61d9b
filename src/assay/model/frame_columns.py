"""What `features` gives, by name: numpy columns, columns of pandas, polars or pyarrow, or a whole frame of these."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from assay.contract.columns import TEXT, Array
from assay.contract.formats.arrow import is_text, to_numpy
from assay.errors import BadInput
from assay.model.annotations import named
from assay.model.frames import LIBRARIES, library

_WHOLE = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")}


def named_columns(model: str, given: Any, rows: int) -> dict[str, Any]:
    """What `features()` gave, a mapping or a frame of any of the libraries, as columns by name.

    Raises `BadInput` for anything else, for a name that occurs twice, and for a pandas frame whose rows were put into
    another order.
    """
    if type(given) is dict or isinstance(given, Mapping):
        return {str(name): column for name, column in given.items()}
    package, kind = named(type(given))
    if package == "narwhals":
        return named_columns(model, given.to_native(), rows)
    if (package, kind) == ("polars", "LazyFrame"):
        return named_columns(model, given.collect(), rows)
    if (package, kind) not in _WHOLE:
        raise BadInput(f"{model}: features() gave a {kind}", do="Return a dict of numpy columns, or a frame.")
    names = [str(name) for name in (given.column_names if package == "pyarrow" else given.columns)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"{model}: features() gave two columns {twice[0]}", do="Give each feature a name of its own.")
    return {name: given[column] for name, column in zip(names, _keys(given, package, names), strict=True)}


def _keys(given: Any, package: str, names: list[str]) -> list[Any]:
    return list(given.columns) if package == "pandas" else names


def as_array(model: str, name: str, column: Any, rows: int) -> Any:
    """A column of a frame as float64 or text of shape (n,), missing values as NaN; what is no such column as it is.

    Raises `BadInput`, naming the feature, for a column of another type.
    """
    package, _ = named(type(column))
    if package not in LIBRARIES:
        return column
    if package == "narwhals":
        return as_array(model, name, column.to_native(), rows)
    if package == "polars":
        found = _from_polars(column)
    elif package == "pandas":
        _refuse_other_order(model, name, column, rows)
        found = _from_pandas(column)
    else:
        found = _from_arrow(column)
    if found is None:
        raise BadInput(
            f"{model}: feature {name} is {getattr(column, 'dtype', None) or column.type}",
            do="Give numbers or texts; take the hour or the weekday of times.",
        )
    return found


def _from_polars(column: Any) -> Array | None:
    pl, kind = library("polars"), column.dtype
    if kind == pl.Float64:
        return column.to_numpy()
    if kind.is_numeric() or kind == pl.Boolean or kind == pl.Null:
        return column.cast(pl.Float64).to_numpy()
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return _texts(column.cast(pl.String).to_list())
    return None


def _from_pandas(column: Any) -> Array | None:
    pd = library("pandas")
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        return column.to_numpy(np.float64)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
        return None
    values = [None if one is None or one is pd.NA or one != one else one for one in column.tolist()]
    return _texts(values) if all(one is None or isinstance(one, str) for one in values) else None


def _from_arrow(column: Any) -> Array | None:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    chunked = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    if is_text(column.type):
        return to_numpy(chunked, TEXT)
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null)
    if any(kind(column.type) for kind in numeric):
        return to_numpy(chunked.cast(pa.float64()), np.dtype(np.float64))
    return None


def _texts(values: list[Any]) -> Array:
    return np.array([np.nan if value is None else value for value in values], TEXT)


def _refuse_other_order(model: str, name: str, column: Any, rows: int) -> None:
    """A pandas column knows of which rows its values are: by its index, which `features` got as 0 to n - 1."""
    index = column.index
    if len(index) == rows and not index.equals(library("pandas").RangeIndex(rows)):
        raise BadInput(
            f"{model}: feature {name} has its rows in another order, or another index",
            do="Keep the index of the frame that features() gets: undo sort_values() and set_index().",
        )
