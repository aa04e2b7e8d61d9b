"""A frame of polars, pandas or pyarrow: its facts are asked in its own engine, its rows at fault through Arrow."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import narwhals as nw
import pyarrow as pa

from assay.checks.facts import Facts, Known, Wanted, as_number
from assay.checks.rules import IsIn
from assay.checks.tables.duck import DuckTable, first_line, open_arrow
from assay.checks.view import RANGED, Kind
from assay.errors import BadInput

#: The first that fits counts.
_KINDS: tuple[tuple[Any, Kind], ...] = (
    (nw.Boolean, "truth"),
    (nw.String, "text"),
    (nw.Date, "date"),
)


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


@dataclass
class FrameTable:
    """A frame, and the same as DuckDB sees it once rows have to be shown."""

    name: str
    frame: ArrowFrame | LazyFrame
    lazy: nw.LazyFrame[Any]
    kinds: Mapping[str, Kind]
    #: The columns that may hold NaN.
    floats: frozenset[str]
    files: tuple[Path, ...] = ()
    changed: bool = False

    @cached_property
    def _arrow(self) -> DuckTable:
        return open_arrow(self.name, as_arrow(self.name, self.frame))

    def close(self) -> None:
        """Let go of it."""
        if "_arrow" in self.__dict__:
            self._arrow.close()

    def facts(self, wanted: Wanted) -> Facts:
        """What is wanted, in one pass of the frame's own engine; conditions in SQL are left to DuckDB."""
        if wanted.where:
            return self._arrow.facts(wanted)
        sets = {key: rule for key, (rule, _) in wanted.counted.items() if isinstance(rule, IsIn)}
        told = [nw.len().alias("rows"), *self._ends(wanted.columns)]
        told += [self._unknown(rule).alias(f"failing.{key}") for key, rule in sets.items()]
        try:
            row = self.lazy.select(*told).collect().rows(named=True)[0]
        except (nw.exceptions.NarwhalsError, pa.ArrowException, TypeError, ValueError):
            return self._arrow.facts(wanted)  # a type for which its engine lacks a function
        columns = {name: _fact(row, name) for name in wanted.columns}
        rest = {key: one for key, one in wanted.counted.items() if key not in sets}
        more = self._arrow.facts(Wanted(counted=rest)).failing if rest else {}
        return Facts(row["rows"], columns, {**{key: row[f"failing.{key}"] or 0 for key in sets}, **more})

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

    def _unknown(self, rule: IsIn) -> nw.Expr:
        column = nw.col(rule.column)
        # polars compares floats with floats only.
        known = [float(value) if rule.column in self.floats else value for value in rule.values]
        return (~column.is_in(known) & ~column.is_null()).sum()

    def rows(self, query: str, filtered: Collection[str] | None = None) -> list[dict[str, Any]]:
        """What the query gives; DuckDB runs it."""
        return self._arrow.rows(query, filtered)

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """What the query gives, in parts."""
        return self._arrow.batches(query)

    def micros(self, time: str) -> str:
        """The SQL for the microseconds since 1970 of a time."""
        return self._arrow.micros(time)

    def refer(self, name: str) -> Mapping[str, Kind]:
        """Make the view over the files of another table."""
        return self._arrow.refer(name)


def open_frame(frame: object) -> FrameTable | DuckTable:
    """Open a frame. Raises `BadInput` for what is none, for columns that mix types, and for a query that fails."""
    name = f"{type(frame).__module__.split('.')[0]}.{type(frame).__name__}"
    if not isinstance(frame, ArrowFrame | LazyFrame):
        do = "Give a path, the URL of a table, or a frame of pyarrow, polars, pandas or Spark."
        raise BadInput(f"{name} is no table", do=do)
    if any(getattr(getattr(frame, "index", None), "names", ())):  # of pandas: an index with a name is a column
        return open_arrow(name, as_arrow(name, frame))
    try:
        lazy: nw.LazyFrame[Any] = nw.from_native(cast("Any", frame)).lazy()
        schema = lazy.collect_schema()
    except TypeError:  # a stream of Arrow of another library
        return open_arrow(name, as_arrow(name, frame))
    except nw.exceptions.NarwhalsError as error:
        said = " ".join(str(error).partition("\n\n")[0].split())
        raise BadInput(f"{name} can't be read", said, do="Mend its columns, or the query.") from None
    kinds: dict[str, Kind] = {column: _kind(dtype) for column, dtype in schema.items()}
    if "other" in kinds.values():  # as in pandas a column of anything
        return open_arrow(name, as_arrow(name, frame))
    floats = frozenset(column for column, dtype in schema.items() if dtype.is_float())
    return FrameTable(name, frame, lazy, kinds, floats)


def as_arrow(name: str, frame: ArrowFrame | LazyFrame) -> pa.Table:
    """A frame as an Arrow table. Raises `BadInput` when a column mixes types, or a lazy query fails."""
    try:
        return pa.table(frame if isinstance(frame, ArrowFrame) else frame.collect())
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BadInput(
            f"{name} can't become an Arrow table", first_line(error), do="Give each column one type."
        ) from None
    except Exception as error:
        raise BadInput(f"{name} can't be read", first_line(error), do="Mend the query.") from error


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
    low, high = (as_number(row.get(f"{end}.{name}")) for end in ("low", "high"))
    return Known(row["rows"] - values, values, low if values else None, high if values else None)
