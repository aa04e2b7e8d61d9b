"""Opens what is to be checked, a file, a folder, a glob or a frame, as one DuckDB view."""

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from glob import escape
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import duckdb
import numpy as np
import pyarrow as pa

from assay.checks import files
from assay.contract.formats.sql import literal, quoted
from assay.errors import BadInput, Unavailable

#: The table with NaN as null, and as it is.
VIEW, RAW = "checked", "raw"
#: Of smaller files on average, another look at each costs more than footers save.
LARGE_BYTES = 1 << 20
FLOATS = ("FLOAT", "DOUBLE")
#: Hidden columns of the view: where a row came from.
FILE, ROW = "assay:file", "assay:row"
Kind = Literal["text", "number", "whole", "truth", "time", "naive", "date", "other"]
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("VARCHAR", "ENUM"), "text"),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), "number"),
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "whole"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "whole"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "naive"),
    **dict.fromkeys(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"), "time"),
    "BOOLEAN": "truth",
    "DATE": "date",
}
#: What stands for a missing value in a CSV file; R writes NA.
_MISSING = ("", "NA")


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


def other(name: str) -> str:
    """The view over another table, to which references are looked up."""
    return quoted(f"other:{name}")


Target = str | os.PathLike[str] | ArrowFrame | LazyFrame


@dataclass(frozen=True)
class Opened:
    """A target as the view `VIEW`."""

    #: As it was given, or the kind of frame.
    name: str
    #: Column to its type in DuckDB, in the table's order.
    types: dict[str, str]
    files: tuple[Path, ...] = ()
    #: The columns for which the footers of Parquet files are worth asking.
    footed: frozenset[str] = frozenset()

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Column to its kind, in the table's order."""
        return {name: _kind(type_name) for name, type_name in self.types.items()}


def open_target(connection: duckdb.DuckDBPyConnection, target: Target, texts: Sequence[str]) -> Opened:
    """Make the view; `texts` are the columns that hold text, even if a CSV file shows nothing but digits in them.

    NaN becomes null in it. Raises `BadInput` for what is absent or no table, `Unavailable` for a damaged file.
    """
    if not isinstance(target, str | os.PathLike):
        return _open_frame(connection, target)
    name = os.fspath(target)
    kind, found = files.find(name)
    with reading(name):
        types = _parquet(connection, found, texts) if kind == "parquet" else _csv(connection, name, found, texts)
    large = kind == "parquet" and sum(file.stat().st_size for file in found) >= LARGE_BYTES * len(found)
    return Opened(name, types, found, frozenset(types) - _hive(found) if large else frozenset())


def open_other(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, Kind]:
    """Make the view over the files of another table; its columns and their kinds. Raises as `open_target` does."""
    kind, found = files.find(name)
    with reading(name):
        source = f"read_{kind}({_options(found, [])})"
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {other(name)} AS SELECT * FROM {source}")
        return {column: _kind(type_name) for column, type_name in _types(connection, source).items()}


@contextmanager
def reading(name: str) -> Generator[None]:
    """Turn what DuckDB says of a damaged table into our error, which names the table."""
    try:
        yield
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
        raise  # our own SQL is wrong
    except (duckdb.Error, pa.ArrowInvalid) as error:
        do = "Write it again: it is damaged or only half written."
        raise Unavailable(f"{name} can't be read", _first_line(error), do=do) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _open_frame(connection: duckdb.DuckDBPyConnection, target: object) -> Opened:
    name = f"{type(target).__module__.split('.')[0]}.{type(target).__name__}"
    frame = target.collect() if isinstance(target, LazyFrame) else target
    if not isinstance(frame, ArrowFrame):
        raise BadInput(f"{name} is no table", do="Give a path, or a frame of pyarrow, polars or pandas.")
    try:
        table = pa.table(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BadInput(
            f"{name} can't become an Arrow table", _first_line(error), do="Give each column one type."
        ) from None
    # The index of pandas, where it has no name, says nothing.
    table = table.select([name for name in table.column_names if not name.startswith("__index_level_")])
    # DuckDB knows no half precision.
    known = [each.with_type(pa.float32()) if pa.types.is_float16(each.type) else each for each in table.schema]
    table = table.cast(pa.schema(known)).append_column(ROW, pa.array(np.arange(table.num_rows)))
    connection.register("frame", table)
    with reading(name):
        return Opened(name, _view(connection, "frame", file="NULL", row=quoted(ROW)))


def _parquet(connection: duckdb.DuckDBPyConnection, found: Sequence[Path], texts: Sequence[str]) -> dict[str, str]:
    return _view(connection, f"read_parquet({_options(found, texts)})", file=quoted(FILE), row="file_row_number")


def _csv(
    connection: duckdb.DuckDBPyConnection, name: str, found: Sequence[Path], texts: Sequence[str]
) -> dict[str, str]:
    """Read once into memory: parsing is slow, and the place in this table tells the place in the file."""
    missing = ", ".join(map(literal, _MISSING))
    read = f"{_options(found, texts)}, header = true, sample_size = -1, nullstr = [{missing}]"
    try:
        known = _types(connection, f"read_csv({read})").keys() - _hive(found)
        read += _as_text("types", known.intersection(texts))
        connection.execute(f"CREATE TEMP TABLE csv AS SELECT * FROM read_csv({read})")
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        do = "Give it a header, and as many values in each line."
        raise BadInput(f"{name} can't be read as CSV", _first_line(error), do=do) from None
    return _view(connection, "csv", file=quoted(FILE), row=f"rowid - min(rowid) OVER (PARTITION BY {quoted(FILE)})")


def _options(found: Sequence[Path], texts: Sequence[str]) -> str:
    listed = ", ".join(literal(escape(str(path))) for path in found)
    options = f"[{listed}], union_by_name = true, filename = {literal(FILE)}"
    hive = _hive(found)
    if not hive:
        return f"{options}, hive_partitioning = false"
    return f"{options}, hive_partitioning = true" + _as_text("hive_types", hive.intersection(texts))


def _hive(found: Sequence[Path]) -> set[str]:
    """The columns that stand in the folders' names, like day in `day=2013-01-01`."""
    keys = [{part.partition("=")[0] for part in path.parent.parts if "=" in part} for path in found]
    return set.intersection(*keys)


def _as_text(option: str, columns: Iterable[str]) -> str:
    types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in sorted(columns))
    return f", {option} = {{{types}}}" if types else ""


def _types(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    return {name: kind for name, kind, *_ in described if name not in (FILE, ROW)}


def _view(connection: duckdb.DuckDBPyConnection, source: str, *, file: str, row: str) -> dict[str, str]:
    """Make both views over `source` and say what their columns are."""
    types = _types(connection, source)
    # Few functions of DuckDB take nanoseconds with a zone.
    raw = [
        f"{quoted(name)}::TIMESTAMPTZ AS {quoted(name)}" if kind == "TIMESTAMPTZ_NS" else quoted(name)
        for name, kind in types.items()
    ]
    places = [f"{file} AS {quoted(FILE)}", f"{row} AS {quoted(ROW)}"]
    connection.execute(f"CREATE TEMP VIEW {RAW} AS SELECT {', '.join(raw + places)} FROM {source}")
    clean = [
        f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {name}" if kind in FLOATS else name
        for name, kind in zip(map(quoted, types), types.values(), strict=True)
    ]
    connection.execute(f"CREATE TEMP VIEW {VIEW} AS SELECT {', '.join([*clean, quoted(FILE), quoted(ROW)])} FROM {RAW}")
    return types


def _kind(type_name: str) -> Kind:
    return _KINDS.get(type_name.partition("(")[0], "other")
