"""A Parquet or CSV file, a folder or a glob of them, or an Arrow table, as views of DuckDB."""

import math
import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from assay.checks import plan
from assay.checks.facts import Facts, Wanted, scan, scanned
from assay.checks.rules import IsIn
from assay.checks.tables import files
from assay.checks.tables.footers import read_footers
from assay.checks.tables.table import CantAsk
from assay.checks.view import FILE, ROW, VIEW, Kind, other
from assay.contract.formats.sql import literal, quoted
from assay.errors import BadInput, Unavailable
from assay.store.duck import connect

#: The table as it is, with NaN.
RAW = "raw"
#: Of smaller files on average, another look at each costs more than footers save.
LARGE_BYTES = 1 << 20
FLOATS = ("FLOAT", "DOUBLE")
#: A Parquet footer's statistics leave NaN out, and by them DuckDB takes isnan(x) to be false without reading x, and
#: passes over groups of rows when it filters by x.
_ALWAYS_OFF, _OFF_FOR_NAN = "statistics_propagation", "filter_pushdown"
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
#: What DuckDB raises when the question, not the table, is at fault.
_ASKED_WRONG = (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, duckdb.ParserException)


@dataclass(frozen=True)
class DuckTable:
    """A table that DuckDB reads."""

    connection: duckdb.DuckDBPyConnection
    #: As it was given.
    name: str
    #: Column to its type in DuckDB, in the table's order.
    types: Mapping[str, str]
    files: tuple[Path, ...] = ()
    #: The columns for which the footers of Parquet files are worth asking.
    footed: frozenset[str] = frozenset()
    _seen: tuple[tuple[int, int], ...] = field(default=())

    @property
    def kinds(self) -> dict[str, Kind]:
        """Column to its kind, in the table's order."""
        return {name: _kind(type_name) for name, type_name in self.types.items()}

    @property
    def changed(self) -> bool:
        """True when a file is not the one that was opened."""
        return bool(self._seen) and self._seen != tuple(map(_stamp, self.files))

    def close(self) -> None:
        """Let go of it."""
        self.connection.close()

    def refer(self, name: str) -> dict[str, Kind]:
        """Make the view over the files of another table; its columns and their kinds. Raises as `open_files` does."""
        kind, found = files.find(name)
        with reading(name):
            source = f"read_{kind}({_options(found, [])})"
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {other(name)} AS SELECT * FROM {source}")
            return {column: _kind(type_name) for column, type_name in _types(self.connection, source).items()}

    def facts(self, wanted: Wanted) -> Facts:
        """What is wanted: from footers and dictionaries where these tell, the rest from one scan."""
        if wanted.where or not self.footed:  # each look at many small files costs more than it saves
            return self._scan(wanted)
        with reading(self.name):
            told = read_footers(self.files, self.footed.intersection(wanted.columns))
        told = told.without_nan(self._finite(plan.lacking(wanted.judged, told.columns), told))
        lacking = plan.lacking(wanted.judged, told.columns)
        # A set of known values is looked up in dictionaries, by a query of its own.
        counted = {key: one for key, one in wanted.counted.items() if not isinstance(one[0], IsIn)}
        if not lacking and not counted:
            return told
        rest = Wanted(tuple((rule, name) for rule, name in wanted.judged if name in lacking), counted)
        found = self._scan(rest) if counted else self._scan_raw(rest)
        return Facts(found.rows, {**told.columns, **found.columns}, found.failing)

    def _scan(self, wanted: Wanted) -> Facts:
        return scanned(self.rows(scan(wanted, self.kinds, self.micros))[0], wanted)

    def _scan_raw(self, wanted: Wanted) -> Facts:
        """The same without turning NaN to null, which takes a third of the time: as the greatest, NaN shows itself."""
        found = scanned(self.rows(scan(wanted, self.kinds, self.micros, RAW))[0], wanted)
        with_nan = {name for name, known in found.columns.items() if known.high is not None and math.isnan(known.high)}
        if not with_nan:
            return found
        again = self._scan(Wanted(tuple((rule, name) for rule, name in wanted.judged if name in with_nan)))
        return Facts(found.rows, {**found.columns, **again.columns})

    def _finite(self, names: set[str], told: Facts) -> list[str]:
        """Those of these columns that hold neither NaN nor an infinity, where a look at their dictionaries tells."""
        asked = [name for name in names & told.columns.keys() if told.columns[name].may_hold_nan]
        asked = [name for name in asked if not told.columns[name].one_value]
        if not asked:
            return []
        # Not isnan(): DuckDB answers that by the footers, which leave NaN out. And of a dictionary of values this reads
        # only the dictionary, which takes a tenth of the time of reading the column.
        counts = [f"(SELECT count(*) FROM {RAW} WHERE NOT isfinite({quoted(one)})) AS {quoted(one)}" for one in asked]
        with self._pushing():
            found = self._fetch(f"SELECT {', '.join(counts)}")[0]
        return [name for name, count in found.items() if not count]

    def rows(self, query: str, filtered: Collection[str] | None = None) -> list[dict[str, Any]]:
        """What the query gives. Raises `CantAsk` when it does not run, `Unavailable` when the table can't be read.

        Where `filtered` names all columns that its filter reads, and none holds NaN, groups of rows are passed over.
        """
        if filtered and all(self.types.get(name) not in FLOATS for name in filtered):
            with self._pushing():
                return self._fetch(query)
        return self._fetch(query)

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """What the query gives, in parts."""
        with reading(self.name):
            yield from self.connection.sql(query).to_arrow_reader()

    def micros(self, time: str) -> str:
        """The SQL for the microseconds since 1970 of a time."""
        return f"epoch_us({time})"

    def _fetch(self, query: str) -> list[dict[str, Any]]:
        with reading(self.name, in_memory=not self.files):
            return self.connection.sql(query).to_arrow_table().to_pylist()

    @contextmanager
    def _pushing(self) -> Generator[None]:
        self.connection.execute(f"SET disabled_optimizers = '{_ALWAYS_OFF}'")
        try:
            yield
        finally:
            self.connection.execute(f"SET disabled_optimizers = '{_ALWAYS_OFF}, {_OFF_FOR_NAN}'")


def open_files(name: str, found: Sequence[Path], kind: files.Format, texts: Sequence[str]) -> DuckTable:
    """Open files as one table; `texts` are the columns that hold text, even if CSV shows nothing but digits in them.

    NaN becomes null. Raises `BadInput` for what is no table, `Unavailable` for a damaged file.
    """
    connection = _connect()
    try:
        with reading(name):
            seen = tuple(map(_stamp, found))
            types = _parquet(connection, found, texts) if kind == "parquet" else _csv(connection, name, found, texts)
    except BaseException:
        connection.close()
        raise
    large = kind == "parquet" and sum(size for _, size in seen) >= LARGE_BYTES * len(found)
    return DuckTable(
        connection, name, types, tuple(found), frozenset(types) - _hive(found) if large else frozenset(), seen
    )


def open_arrow(name: str, table: pa.Table) -> DuckTable:
    """Open an Arrow table."""
    # The index of pandas, where it has no name, says nothing.
    table = table.select([name for name in table.column_names if not name.startswith("__index_level_")])
    # DuckDB knows no half precision.
    known = [each.with_type(pa.float32()) if pa.types.is_float16(each.type) else each for each in table.schema]
    table = table.cast(pa.schema(known)).append_column(ROW, pa.array(np.arange(table.num_rows)))
    connection = _connect()
    connection.register("frame", table)
    with reading(name):
        return DuckTable(connection, name, _view(connection, "frame", file="NULL::VARCHAR", row=quoted(ROW)))


@contextmanager
def reading(name: str, *, in_memory: bool = False) -> Generator[None]:
    """Turn what DuckDB says into our errors: `CantAsk` when the question is wrong, `Unavailable` for a damaged table."""
    try:
        yield
    except duckdb.InvalidInputException as error:
        raise CantAsk(_said(error)) if in_memory else _damaged(name, error) from None
    except _ASKED_WRONG as error:
        raise CantAsk(_said(error)) from None
    except (duckdb.Error, pa.ArrowInvalid, OSError) as error:
        raise _damaged(name, error) from None


def _damaged(name: str, error: Exception) -> Unavailable:
    do = "Write it again: it is damaged or only half written."
    return Unavailable(f"{name} can't be read", first_line(error), do=do)


def first_line(error: Exception) -> str:
    """What an error of a library says first."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _said(error: duckdb.Error) -> str:
    """What the engine says, in one line: without the name of the error and the picture of the query."""
    said = re.split(r"LINE \d+:", str(error))[0].replace("Candidate bindings:", "there are")
    return " ".join(said.partition("Error: ")[2].split()) or type(error).__name__


def _connect() -> duckdb.DuckDBPyConnection:
    connection = connect()
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute(f"SET disabled_optimizers = '{_ALWAYS_OFF}, {_OFF_FOR_NAN}'")
    return connection


def _stamp(file: Path) -> tuple[int, int]:
    try:
        known = file.stat()
    except OSError:
        return (0, 0)
    return known.st_mtime_ns, known.st_size


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
        raise BadInput(f"{name} can't be read as CSV", first_line(error), do=do) from None
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
