"""A frame of polars, pandas or pyarrow: its facts are asked in its own engine, its rows at fault through Arrow."""

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import narwhals as nw
import pyarrow as pa

from assay.errors import BadInput
from assay.tables.bounds import check_arrow_depth, check_depth
from assay.tables.column_names import refuse_alike
from assay.tables.duck import DuckTable, open_arrow
from assay.tables.facts import Aggregates, Counted, Known, Wanted, as_number
from assay.tables.reading import first_line
from assay.tables.reserved import with_names
from assay.tables.spark import is_spark, spark_rows
from assay.tables.view import RANGED, Digits, Kind

#: The first that fits counts.
_KINDS: tuple[tuple[Any, Kind], ...] = (
    (nw.Boolean, "truth"),
    (nw.String, "text"),
    (nw.Date, "date"),
)

#: The kinds whose values are counted by the frame's own engine.
_COUNTED: tuple[Kind, ...] = ("text", "whole")


@runtime_checkable
class ArrowFrame(Protocol):
    """A table in memory that Arrow reads without knowing its library: pyarrow, polars, pandas."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface."""
        ...


@runtime_checkable
class LazyFrame(Protocol):
    """A query of polars that has not run yet."""

    def collect(self) -> ArrowFrame:
        """Run it."""
        ...


Frame = ArrowFrame | LazyFrame


@dataclass
class FrameTable:
    """A frame, and the same as DuckDB sees it once rows have to be shown."""

    name: str
    frame: ArrowFrame | LazyFrame
    lazy: nw.LazyFrame[Any]
    kinds: Mapping[str, Kind]
    #: The columns that may hold NaN.
    floats: frozenset[str]
    has_decimals: bool = False
    files: tuple[Path, ...] = ()
    changed: bool = False

    @cached_property
    def _arrow(self) -> DuckTable:
        return open_arrow(self.name, as_arrow(self.name, self.frame))

    def close(self) -> None:
        """Let go of it."""
        if "_arrow" in self.__dict__:
            self._arrow.close()

    def facts(self, wanted: Wanted) -> Aggregates:
        """What is wanted, in one pass of the frame's own engine; conditions in SQL are left to DuckDB."""
        if wanted.where:
            return self._arrow.facts(wanted)
        # Of floats and decimals an engine and DuckDB may differ in what is missing or equal: one counts and shows them.
        sets = {key: one for key, one in wanted.counted.items() if one.known and self.kinds[one.column] in _COUNTED}
        told = [nw.len().alias("rows"), *self._ends(wanted.columns)]
        told += [self._unknown(one).alias(f"failing.{key}") for key, one in sets.items()]
        try:
            row = self.lazy.select(*told).collect().rows(named=True)[0]
        except (nw.exceptions.NarwhalsError, pa.ArrowException, TypeError, ValueError):
            return self._arrow.facts(wanted)  # a type for which its engine lacks a function
        columns = {name: _fact(row, name) for name in wanted.columns}
        rest = {key: one for key, one in wanted.counted.items() if key not in sets}
        more = self._arrow.facts(Wanted(counted=rest)).failing if rest else {}
        return Aggregates(row["rows"], columns, {**{key: row[f"failing.{key}"] or 0 for key in sets}, **more})

    def _ends(self, names: Sequence[str]) -> Iterator[nw.Expr]:
        nan_is_null = self.lazy.implementation.is_pandas_like()
        for name in names:
            column = nw.col(name)
            there = column.count()
            if name in self.floats:
                there = (~column.is_nan()).sum() if nan_is_null else there - column.is_nan().sum()
            yield there.alias(f"values.{name}")
            if self.kinds[name] in RANGED:
                yield column.min().alias(f"low.{name}")
                yield column.max().alias(f"high.{name}")

    def _unknown(self, one: Counted) -> nw.Expr:
        column = nw.col(one.column)
        return (~column.is_in(list(one.known)) & ~column.is_null()).sum()

    def rows(self, query: str, filtered: Collection[str] | None = None) -> list[dict[str, Any]]:
        """What the query gives; DuckDB runs it."""
        return self._arrow.rows(query, filtered)

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """What the query gives, in parts."""
        return self._arrow.batches(query)

    def micros(self, time: str) -> str:
        """The SQL for the microseconds since 1970 of a time."""
        return self._arrow.micros(time)

    @property
    def reads_times(self) -> bool:
        """DuckDB reads texts as times by a format."""
        return True

    @property
    def decimals(self) -> Mapping[str, Digits]:
        """Those of DuckDB, which counts rows at fault; its own engine is not asked for what it has none of."""
        return self._arrow.decimals if self.has_decimals else {}

    def storable(self, name: str) -> str:
        """The SQL for a column in a type that a Parquet file can hold."""
        return self._arrow.storable(name)

    def refer(self, name: str) -> Mapping[str, Kind]:
        """Make the view over the files of another table."""
        return self._arrow.refer(name)


def open_frame(frame: object) -> FrameTable | DuckTable:
    """Open a frame. Raises `BadInput` for what is none, for columns that mix types, and for a query that fails."""
    name = name_of(frame)
    frame = _known(name, with_names(frame))
    _check_depth(name, frame)
    if any(getattr(getattr(frame, "index", None), "names", ())):  # of pandas: an index with a name is a column
        return open_arrow(name, as_arrow(name, frame))
    try:
        lazy: nw.LazyFrame[Any] = nw.from_native(cast("Any", frame)).lazy()
        schema = lazy.collect_schema()
    except TypeError:  # a stream of Arrow of another library
        return open_arrow(name, as_arrow(name, frame))
    except nw.exceptions.NarwhalsError as error:
        said = " ".join(str(error).partition("\n\n")[0].split())
        raise BadInput(f"{name} can't be read", said, do="Correct its columns or the query.") from None
    check_depth(name, schema, _inside)
    refuse_alike(name, map(str, schema))
    kinds: dict[str, Kind] = {column: _kind(dtype) for column, dtype in schema.items()}
    if "other" in kinds.values():  # as in pandas a column of anything
        return open_arrow(name, as_arrow(name, frame))
    floats = frozenset(column for column, dtype in schema.items() if dtype.is_float())
    return FrameTable(name, frame, lazy, kinds, floats, any(dtype.is_decimal() for dtype in schema.values()))


def as_table(frame: Frame) -> pa.Table:
    """A frame as an Arrow table; the index of pandas is a column where it has a name. Raises `BadInput` for what is none."""
    name = name_of(frame)
    _check_depth(name, frame)
    if isinstance(frame, pa.Table):
        return frame
    if is_spark(frame):
        return spark_rows(frame)
    table = as_arrow(name, _known(name, frame))
    check_arrow_depth(name, table.schema)
    table = table.select([column for column in table.column_names if not column.startswith("__index_level_")])
    return pa.table({name: _usual_texts(table[name]) for name in table.column_names})


def _usual_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Arrow computes little with the texts of polars."""
    if pa.types.is_string_view(column.type):
        return column.cast(pa.large_string())
    if not pa.types.is_dictionary(column.type) or not pa.types.is_string_view(column.type.value_type):
        return column
    parts = [pa.DictionaryArray.from_arrays(one.indices, one.dictionary.cast(pa.string())) for one in column.chunks]
    return pa.chunked_array(parts, pa.dictionary(column.type.index_type, pa.string()))


def as_arrow(name: str, frame: ArrowFrame | LazyFrame) -> pa.Table:
    """A frame as an Arrow table. Raises `BadInput` when a column mixes types, or a lazy query fails."""
    try:
        return pa.table(frame if isinstance(frame, ArrowFrame) else frame.collect())
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BadInput(
            f"{name} can't become an Arrow table", first_line(error), do="Give each column one type."
        ) from None
    except Exception as error:
        raise BadInput(f"{name} can't be read", first_line(error), do="Correct the query.") from error


def name_of(table: object) -> str:
    """The name of a table as it was given: its path, or the class of a frame."""
    if isinstance(table, str | os.PathLike):
        return os.fspath(table)
    return f"{type(table).__module__.split('.')[0]}.{type(table).__name__}"


def _known(name: str, frame: object) -> Frame:
    if not isinstance(frame, ArrowFrame | LazyFrame):
        do = "Give a path, the URL of a table, or a frame of pyarrow, polars, pandas or Spark."
        raise BadInput(f"{name} is not a table", do=do)
    return frame


def _check_depth(name: str, frame: Any) -> None:
    """Before narwhals looks at it, which ends in a RecursionError."""
    if isinstance(frame, pa.Table):
        check_arrow_depth(name, frame.schema)


def _inside(dtype: Any) -> list[Any]:
    """The types that a type of narwhals is made of."""
    if isinstance(dtype, nw.List | nw.Array):
        return [dtype.inner]
    return [each.dtype for each in dtype.fields] if isinstance(dtype, nw.Struct) else []


def _kind(dtype: Any) -> Kind:
    if dtype.is_integer():
        return "whole"
    if dtype.is_float() or dtype.is_decimal():
        return "number"
    if isinstance(dtype, nw.Datetime):
        return "time" if dtype.time_zone else "naive"
    for one, kind in _KINDS:
        if dtype == one:
            return kind
    return "other"


def _fact(row: Mapping[str, Any], name: str) -> Known:
    values = row[f"values.{name}"]
    low, high = as_number(row.get(f"low.{name}"), -math.inf), as_number(row.get(f"high.{name}"), math.inf)
    return Known(row["rows"] - values, values, low if values else None, high if values else None)
