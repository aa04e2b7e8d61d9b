"""A Parquet or CSV file, a folder or a glob of them, or an Arrow table, as views of DuckDB."""

import math
import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.contract.formats.sql import literal, quoted
from assay.errors import BadInput, Unavailable
from assay.store.duck import connect
from assay.tables import bounds, csv_files, files, json_files
from assay.tables.arrow_files import arrow_rows
from assay.tables.column_names import refuse_alike
from assay.tables.csv_files import Csv
from assay.tables.facts import Aggregates, Counted, Wanted, scan, scanned
from assay.tables.footers import read_footers
from assay.tables.reading import BROKEN, WRITE_AGAIN, first_line, reading
from assay.tables.view import FILE, ROW, VIEW, Digits, Kind, other

#: The table as it is, with NaN.
RAW = "raw"
#: With more values than this, a chain of comparisons is no faster than IN.
LISTED = 200
#: Of smaller files on average, another look at each costs more than footers save.
LARGE_BYTES = 1 << 20
FLOATS = ("FLOAT", "DOUBLE")
#: A Parquet footer's statistics leave NaN out, and by them DuckDB takes isnan(x) to be false without reading x, and
#: passes over groups of rows when it filters by x.
_ALWAYS_OFF, _OFF_FOR_NAN = "statistics_propagation", "filter_pushdown"
#: A decimal, with its digits and those after the point.
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
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
#: The place of a row in its file, where all files were read into one table.
_PLACE = f"rowid - min(rowid) OVER (PARTITION BY {quoted(FILE)})"
#: Types of DuckDB that Parquet lacks, alone or in lists and structs.
_NOT_IN_PARQUET = ("INTERVAL", "UNION", "BIT", "VARINT", "BIGNUM", "HUGEINT", "TIME WITH TIME ZONE", "TIMETZ")


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
            return {column: _kind(type_name) for column, type_name in _types(self.connection, name, source).items()}

    def facts(self, wanted: Wanted) -> Aggregates:
        """What is wanted: from footers and dictionaries where these tell, the rest from one scan."""
        if wanted.where or not self.footed:  # each look at many small files costs more than it saves
            return self._scan(wanted)
        with reading(self.name):
            told = read_footers(self.files, self.footed.intersection(wanted.columns))
        sets = {key: one for key, one in wanted.counted.items() if self._listable(one)}
        told = self._look_up(wanted.lacking(told.columns), sets, told)
        lacking = wanted.lacking(told.columns)
        counted = {key: one for key, one in wanted.counted.items() if key not in sets}
        if not lacking and not counted:
            return told
        rest = wanted.of(lacking, counted)
        found = self._scan(rest) if counted else self._scan_raw(rest)
        return Aggregates(found.rows, {**told.columns, **found.columns}, {**told.failing, **found.failing})

    def _scan(self, wanted: Wanted) -> Aggregates:
        return scanned(self.rows(scan(wanted, self.kinds, self.micros))[0], wanted)

    def _scan_raw(self, wanted: Wanted) -> Aggregates:
        """The same without turning NaN to null, which takes a third of the time: as the greatest, NaN shows itself."""
        found = scanned(self.rows(scan(wanted, self.kinds, self.micros, RAW))[0], wanted)
        with_nan = {name for name, known in found.columns.items() if known.high is not None and math.isnan(known.high)}
        if not with_nan:
            return found
        again = self._scan(wanted.of(with_nan))
        return Aggregates(found.rows, {**found.columns, **again.columns})

    def _look_up(self, names: set[str], sets: Mapping[int, Counted], told: Aggregates) -> Aggregates:
        """The same, with what the dictionaries of columns tell: which of `names` are finite, and what is in no set.

        To filter by a dictionary of values, DuckDB reads the dictionary and not the rows, which takes a tenth of the
        time. That holds for isfinite() but not for isnan(), which it answers by the footers, and these leave NaN out;
        and for a chain of comparisons but not for a long IN, of which it makes a join.
        """
        unsure = [name for name in names & told.columns.keys() if told.columns[name].may_hold_nan]
        unsure = [name for name in unsure if not told.columns[name].one_value]
        asked = {f"finite.{name}": f"NOT isfinite({quoted(name)})" for name in unsure}
        asked |= {f"failing.{key}": f"NOT ({_equals_any(one)})" for key, one in sets.items()}
        if not asked:
            return told
        counts = [f"(SELECT count(*) FROM {RAW} WHERE {when}) AS {quoted(one)}" for one, when in asked.items()]
        with self._pushing():
            found = self._fetch(f"SELECT {', '.join(counts)}")[0]
        known = told.without_nan([name for name in unsure if not found[f"finite.{name}"]])
        return replace(known, failing={key: found[f"failing.{key}"] for key in sets})

    def _listable(self, one: Counted) -> bool:
        return 0 < len(one.known) <= LISTED and self.types.get(one.column) not in FLOATS

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

    @property
    def reads_times(self) -> bool:
        """DuckDB reads texts as times by a format."""
        return True

    @property
    def decimals(self) -> Mapping[str, Digits]:
        """The columns of decimals."""
        found = {name: _DECIMAL.fullmatch(kind) for name, kind in self.types.items()}
        return {name: Digits(int(one[1]) - int(one[2]), int(one[2])) for name, one in found.items() if one}

    def storable(self, name: str) -> str:
        """The SQL for a column in a type that a Parquet file can hold."""
        unknown = any(word in self.types[name] for word in _NOT_IN_PARQUET)
        return f"{quoted(name)}::VARCHAR" if unknown else quoted(name)

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


def _equals_any(one: Counted) -> str:
    return " OR ".join(f"{quoted(one.column)} = {literal(value)}" for value in one.known)


def open_files(
    name: str, found: Sequence[Path], kind: files.Format, texts: Sequence[str], source: Csv | None = None
) -> DuckTable:
    """Open files as one table; `texts` are the columns that hold text, even if CSV shows nothing but digits in them.

    `source` says how CSV files are read where their header line does not tell.

    NaN becomes null. Raises `BadInput` for what is no table, `Unavailable` for a damaged file.
    """
    connection = connected()
    try:
        with reading(name):
            seen = tuple(map(_stamp, found))
            types = _opened(connection, name, found, kind, texts, source or Csv(name))
    except BaseException:
        connection.close()
        raise
    large = kind == "parquet" and sum(size for _, size in seen) >= LARGE_BYTES * len(found)
    return DuckTable(
        connection, name, types, tuple(found), frozenset(types) - files.hive_keys(found) if large else frozenset(), seen
    )


def open_arrow(name: str, table: pa.Table) -> DuckTable:
    """Open an Arrow table. Raises `BadInput` for one that is too wide, or nested too deep."""
    bounds.check_arrow_depth(name, table.schema)
    # The index of pandas, where it has no name, says nothing.
    table = table.select([name for name in table.column_names if not name.startswith("__index_level_")])
    # DuckDB knows no half precision.
    known = [each.with_type(pa.float32()) if pa.types.is_float16(each.type) else each for each in table.schema]
    table = table.cast(pa.schema(known)).append_column(ROW, pa.array(np.arange(table.num_rows)))
    connection = connected()
    connection.register("frame", table)
    with reading(name):
        return DuckTable(connection, name, view_over(connection, name, "frame", file="NULL::VARCHAR", row=quoted(ROW)))


def connected() -> duckdb.DuckDBPyConnection:
    """A DuckDB that takes NaN for what it is."""
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


def _parquet(
    connection: duckdb.DuckDBPyConnection, name: str, found: Sequence[Path], texts: Sequence[str]
) -> dict[str, str]:
    for file in found[:1]:  # the widest of many is refused when all are described, which costs more
        with suppress(*BROKEN):  # DuckDB says what is wrong with it
            footer = pq.read_metadata(file)
            bounds.check_width(str(file), footer.num_columns)
            refuse_alike(str(file), footer.schema.to_arrow_schema().names)
    return view_over(
        connection, name, f"read_parquet({_options(found, texts)})", file=quoted(FILE), row="file_row_number"
    )


def _opened(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    found: Sequence[Path],
    kind: files.Format,
    texts: Sequence[str],
    source: Csv,
) -> dict[str, str]:
    match kind:
        case "parquet":
            return _parquet(connection, name, found, texts)
        case "csv":
            return _csv(connection, name, found, texts, source)
        case "json":
            return _json(connection, name, found, texts)
        case "arrow":
            load(connection, *arrow_rows(name, found))
            return view_over(connection, name, "loaded", file=quoted(FILE), row=quoted(ROW))


def _json(
    connection: duckdb.DuckDBPyConnection, name: str, found: Sequence[Path], texts: Sequence[str]
) -> dict[str, str]:
    for file in found:
        json_files.refuse_other(file)
    try:
        read = f"{_options(found, texts)}, {json_files.how(found)}"
        types = _types(connection, name, f"read_json({read})")
        keys = files.hive_keys(found)
        known = {one: "VARCHAR" if one in texts else kind for one, kind in types.items() if one not in keys}
        columns = ", ".join(f"{literal(one)}: {literal(kind)}" for one, kind in known.items())
        connection.execute(f"CREATE TEMP TABLE loaded AS SELECT * FROM read_json({read}, columns = {{{columns}}})")
    except duckdb.Error:
        for file in found:
            if fault := json_files.fault(file):
                raise fault from None
        raise
    return view_over(connection, name, "loaded", file=quoted(FILE), row=_PLACE)


def load(connection: duckdb.DuckDBPyConnection, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Keep the rows as the table `loaded`; what fails in `batches` is raised as it is."""
    connection.register("part", schema.empty_table())
    connection.execute("CREATE TEMP TABLE loaded AS SELECT * FROM part")
    for batch in batches:
        connection.register("part", pa.Table.from_batches([batch]))
        connection.execute("INSERT INTO loaded SELECT * FROM part")


def _csv(
    connection: duckdb.DuckDBPyConnection, name: str, found: Sequence[Path], texts: Sequence[str], source: Csv
) -> dict[str, str]:
    """Read once into memory: parsing is slow, and the place in this table tells the place in the file."""
    for file in found:
        bounds.check_header(file)
    known = csv_files.same_dialect(found, source)
    try:
        _read_csv(connection, name, found, texts, csv_files.options(known, source))
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        for file in found:
            if fault := csv_files.fault(file, source):
                raise fault from None
        try:  # each line has its values: what is left is how lines end
            _read_csv(connection, name, found, texts, csv_files.options(known, source, strict=False))
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            do = "Give it a header, and as many values in each line."
            raise BadInput(f"{name} can't be read as CSV", first_line(error), do=do) from None
    return view_over(connection, name, "loaded", file=quoted(FILE), row=_PLACE)


def _read_csv(
    connection: duckdb.DuckDBPyConnection, name: str, found: Sequence[Path], texts: Sequence[str], how: str
) -> None:
    read = f"{_options(found, texts)}, {how}"
    known = _types(connection, name, f"read_csv({read})").keys() - files.hive_keys(found)
    read += _as_text("types", known.intersection(texts))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE loaded AS SELECT * FROM read_csv({read})")


def _options(found: Sequence[Path], texts: Sequence[str]) -> str:
    listed = ", ".join(literal(escape(str(path))) for path in found)
    options = f"[{listed}], union_by_name = true, filename = {literal(FILE)}"
    hive = files.hive_keys(found)
    if not hive:
        return f"{options}, hive_partitioning = false"
    return f"{options}, hive_partitioning = true" + _as_text("hive_types", hive.intersection(texts))


def _as_text(option: str, columns: Iterable[str]) -> str:
    types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in sorted(columns))
    return f", {option} = {{{types}}}" if types else ""


def _types(connection: duckdb.DuckDBPyConnection, name: str, source: str) -> dict[str, str]:
    """The columns of `source` and their types. Raises `BadInput` when there are too many, or one is nested too deep."""
    try:
        told = connection.sql(f"SELECT * FROM {source}")
        columns = told.columns
    except RuntimeError:  # of the binding of DuckDB to Python
        raise Unavailable(f"{name} can't be read", "the name of a column is not UTF-8", do=WRITE_AGAIN) from None
    types = {column: kind for column, kind in zip(columns, told.types, strict=True) if column not in (FILE, ROW)}
    bounds.check_width(name, len(types))
    bounds.check_depth(name, types, bounds.inside_duckdb)
    return {column: str(kind) for column, kind in types.items()}


def view_over(connection: duckdb.DuckDBPyConnection, name: str, source: str, *, file: str, row: str) -> dict[str, str]:
    """Make both views over `source`, which is called `name`, and say what their columns are."""
    types = _types(connection, name, source)
    # Few functions of DuckDB take nanoseconds with a zone.
    raw = [
        f"{quoted(column)}::TIMESTAMPTZ AS {quoted(column)}" if kind == "TIMESTAMPTZ_NS" else quoted(column)
        for column, kind in types.items()
    ]
    places = [f"{file} AS {quoted(FILE)}", f"{row} AS {quoted(ROW)}"]
    connection.execute(f"CREATE TEMP VIEW {RAW} AS SELECT {', '.join(raw + places)} FROM {source}")
    clean = [
        f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END AS {column}" if kind in FLOATS else column
        for column, kind in zip(map(quoted, types), types.values(), strict=True)
    ]
    connection.execute(f"CREATE TEMP VIEW {VIEW} AS SELECT {', '.join([*clean, quoted(FILE), quoted(ROW)])} FROM {RAW}")
    return types


def _kind(type_name: str) -> Kind:
    return _KINDS.get(type_name.partition("(")[0], "other")
