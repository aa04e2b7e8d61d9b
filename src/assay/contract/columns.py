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
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.dtypes import StringDType

from assay import times
from assay.contract.fields import Field
from assay.contract.record import Record, fields
from assay.errors import BadInput, near_miss

R = TypeVar("R", bound=Record)
Array = np.ndarray[Any, np.dtype[Any]]
Ready = Callable[[Sequence[Any]], Sequence[Any]]

MISSING = np.nan
TEXT = StringDType(na_object=MISSING)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class NoColumn(BadInput, AttributeError):
    """There is no column of that name; an `AttributeError` too, so that `hasattr` and `copy` work."""


@dataclass(frozen=True)
class Later:
    """A column that is made when it is first read: texts of a table take long, and of a key nobody reads them."""

    rows: int
    make: Callable[[], Array]

    def __len__(self) -> int:
        return self.rows


class Columns(Generic[R]):
    """Columns of one record class, each of shape (n,), read as attributes: `d.distance`.

    An attribute is the name of a field in Python; in brackets stands that of its column, as in `d["Body Mass (g)"]`. A field
    called `items` or `take`, as methods are, is read so too: `d["items"]`.
    """

    __slots__ = ("_arrays", "_renamed", "_size")

    def __init__(self, arrays: Mapping[str, Array | Later], renamed: Mapping[str, str] | None = None) -> None:
        """Make columns from arrays by name; `renamed` has the columns of fields that Python calls otherwise."""
        self._arrays: dict[str, Array | Later] = dict(arrays)
        self._renamed = renamed or {}
        self._size = len(next(iter(arrays.values()))) if arrays else 0

    def __getattr__(self, name: str) -> Array:
        if name in Columns.__slots__:  # not yet made: copy and pickle ask
            raise AttributeError(name)
        return self[self._renamed.get(name, name)]

    def __getitem__(self, name: str) -> Array:
        try:
            found = self._arrays[name]
        except KeyError:
            known = [*self._arrays, *self._renamed]
            do = f"Write d.{name}." if name in self._renamed else near_miss(name, known)
            raise NoColumn(f"there is no column {name!r}", f"there are {', '.join(self._arrays)}", do=do) from None
        if isinstance(found, Later):
            found = self._arrays[name] = found.make()
            found.flags.writeable = False
        return found

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def items(self) -> Iterator[tuple[str, Array]]:
        """Name and column, in declared order."""
        for name in self._arrays:
            yield name, self[name]

    def take(self, rows: Array) -> "Columns[R]":
        """The rows at the given positions."""
        return Columns({name: column[rows] for name, column in self.items()}, self._renamed)

    def protect(self) -> None:
        """Make the columns read-only, as those of texts of a table always are."""
        for column in self._arrays.values():
            if not isinstance(column, Later):
                column.flags.writeable = False


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
    """The columns of decoded records; 8 us for one row of eight fields (benchmarks/features.py)."""
    plan = _plan(record)
    columns: list[Sequence[Any]] = list(zip(*map(plan.values_of, rows))) or [()] * len(plan.names)  # noqa: B905 - 0.4 us
    for position, ready in plan.to_make_ready:
        columns[position] = ready(columns[position])
    return Columns(dict(zip(plan.names, map(np.array, columns, plan.dtypes), strict=True)), plan.renamed)


def column_of(values: Sequence[Any], field: Field) -> Array:
    """One column from Python values, None for missing."""
    ready = _ready(field)
    return np.array(ready(values) if ready else values, dtype_of(field))


@lru_cache(maxsize=256)
def renamed(record: type[Record]) -> Mapping[str, str]:
    """The column of each field that has another name in Python, by that name."""
    return {one.attribute: one.name for one in fields(record) if one.attribute != one.name}


class _Plan(NamedTuple):
    names: list[str]
    renamed: Mapping[str, str]
    values_of: Callable[[Any], Sequence[Any]]
    to_make_ready: list[tuple[int, Ready]]
    dtypes: list[np.dtype[Any]]


@lru_cache(maxsize=256)
def _plan(record: type[Record]) -> _Plan:
    # Worked out once for a record class: a request has only some microseconds.
    declared = fields(record)
    attributes = [field.attribute for field in declared]
    return _Plan(
        [field.name for field in declared],
        renamed(record),
        attrgetter(*attributes) if len(attributes) > 1 else lambda row: [getattr(row, name) for name in attributes],
        [(position, ready) for position, field in enumerate(declared) if (ready := _ready(field))],
        [dtype_of(field) for field in declared],
    )


def _localized(value: datetime, field: Field) -> datetime:
    """A time in the field's zone where it has none; as `formats.arrow.localized` takes it."""
    if value.tzinfo is not None:
        return value
    moment = value.replace(tzinfo=times.zone(field.zone or "UTC"), fold=1).astimezone(UTC)
    if moment.astimezone(times.zone(field.zone or "UTC")).replace(tzinfo=None) != value:
        raise BadInput(
            f"{field.name}: {value.isoformat()} does not exist", do=f"A clock in {field.zone} never shows it."
        )
    return moment


def _ready(field: Field) -> Ready | None:
    if field.type is datetime and field.zone:
        moment = partial(_localized, field=field)
        return lambda values: [None if value is None else (moment(value) - _EPOCH) // _MICROSECOND for value in values]
    if field.type is datetime:
        return lambda values: [None if value is None else (value - _EPOCH) // _MICROSECOND for value in values]
    if field.type is str and field.nullable:
        return lambda values: [MISSING if value is None else value for value in values]
    return None
