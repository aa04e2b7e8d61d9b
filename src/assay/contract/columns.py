"""Records as numpy columns: the one form that feature code sees, in training and in serving.

The same form always, whether the rows came from a request or from a table:

| declared         | column                                   | missing |
|------------------|------------------------------------------|---------|
| float            | float64                                  | NaN     |
| int              | int64; float64 when nullable             | NaN     |
| bool             | bool; float64 (0, 1) when nullable       | NaN     |
| str, category    | numpy StringDType; int64 for int category | NaN     |
| datetime         | datetime64[us], UTC                      | NaT     |
| date             | datetime64[D]                            | NaT     |
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.dtypes import StringDType

from assay.contract.fields import Field
from assay.contract.record import Record, fields
from assay.errors import BadInput, near_miss

R = TypeVar("R", bound=Record)
Array = np.ndarray[Any, np.dtype[Any]]
Maker = Callable[[Sequence[Any]], Array]

MISSING = np.nan
TEXT = StringDType(na_object=MISSING)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Columns(Generic[R]):
    """Columns of one record class, each of shape (n,), read as attributes: `d.distance`."""

    __slots__ = ("_arrays", "_size")

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)
        self._size = len(next(iter(arrays.values()))) if arrays else 0

    def __getattr__(self, name: str) -> Array:
        try:
            return self._arrays[name]
        except KeyError:
            raise BadInput(
                f"there is no column {name!r}", f"there are {', '.join(self._arrays)}", do=near_miss(name, self._arrays)
            ) from None

    def __getitem__(self, name: str) -> Array:
        return self.__getattr__(name)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def items(self) -> Iterator[tuple[str, Array]]:
        """Name and column, in declared order."""
        yield from self._arrays.items()

    def take(self, rows: Array) -> "Columns[R]":
        """The rows at the given positions."""
        return Columns({name: column[rows] for name, column in self._arrays.items()})


def dtype_of(field: Field) -> np.dtype[Any]:
    """The dtype of a field's column, as the table above says."""
    if field.type is str:
        return TEXT
    if field.type is datetime:
        return np.dtype("datetime64[us]")
    if field.type in (int, bool):
        return np.dtype(np.float64) if field.nullable else np.dtype(np.int64 if field.type is int else np.bool_)
    return np.dtype(np.float64 if field.type is float else "datetime64[D]")


def from_rows(rows: Sequence[R], record: type[R]) -> Columns[R]:
    """The columns of decoded records; 5 us for one row of eight fields (benchmarks/features.py)."""
    return Columns({name: make(list(map(get, rows))) for name, get, make in _plan(record)})


def column_of(values: Sequence[Any], field: Field) -> Array:
    """One column from Python values, None for missing."""
    return _maker(field)(values)


@lru_cache(maxsize=256)
def _plan(record: type[Record]) -> tuple[tuple[str, Callable[[Any], Any], Maker], ...]:
    # Worked out once for a record class, since a request has only some microseconds.
    return tuple((field.name, attrgetter(field.name), _maker(field)) for field in fields(record))


def _maker(field: Field) -> Maker:
    dtype, array = dtype_of(field), np.array
    if field.type is datetime:
        return lambda values: array([None if v is None else (v - _EPOCH) // _MICROSECOND for v in values], dtype)
    if field.type is str and field.nullable:
        return lambda values: array([MISSING if v is None else v for v in values], dtype)
    return lambda values: array(values, dtype)
