"""The tables of the metadata database as DuckDB reads them: only those that a query names, batch by batch."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    cast,
    func,
    select,
)

from assay.errors import AssayError
from assay.store import Store
from assay.store.schema import Moment, metadata
from assay.store.schema import tokens as _tokens

#: Rows that are in memory at a time.
BATCH = 20_000
#: What no query sees: hashes of secrets.
HIDDEN = frozenset({_tokens.name})
_KINDS: tuple[tuple[type, pa.DataType], ...] = (
    (Moment, pa.timestamp("us", tz="UTC")),
    (Boolean, pa.bool_()),
    (BigInteger, pa.int64()),
    (Integer, pa.int64()),
    (Float, pa.float64()),
    (LargeBinary, pa.binary()),
)
_WORD = re.compile(r'"(?:[^"]|"")*"|[A-Za-z_]\w*|\S')
_COUNT = re.compile(r"\bcount\s*\(\s*\*\s*\)", re.IGNORECASE)
_TEXT = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)


class MetadataTable:
    """One table, asked when DuckDB scans it; each scan asks again. What fails meanwhile is in `error`."""

    def __init__(self, store: Store, table: Table, columns: list[str]) -> None:
        self._store, self._table = store, table
        self._columns: list[Column[Any]] = [table.c[name] for name in columns]
        # A table of which only the number of rows matters still needs a column.
        self._schema = pa.schema([(c.name, _arrow(c)) for c in self._columns] or [("rows", pa.null())])
        self.error: AssayError | None = None

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: a new stream over all rows."""
        batches = self._batches() if self._columns else self._counted()
        return pa.RecordBatchReader.from_batches(self._schema, self._told(batches)).__arrow_c_stream__(requested_schema)

    def _told(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # DuckDB makes a text of what is raised here.
        try:
            yield from batches
        except AssayError as error:
            self.error = error
            raise
        except Exception as error:
            self.error = self._store.database.meaning(error)
            raise

    def _batches(self) -> Iterator[pa.RecordBatch]:
        texts = [cast(column, Text) if isinstance(column.type, JSON) else column for column in self._columns]
        with self._store.database.read() as connection:
            for rows in _some(connection, select(*texts)):
                columns = zip(zip(*rows, strict=True), self._schema, strict=True)
                yield pa.record_batch([_array(values, field.type) for values, field in columns], schema=self._schema)

    def _counted(self) -> Iterator[pa.RecordBatch]:
        with self._store.database.read() as connection:
            left: int = connection.execute(select(func.count()).select_from(self._table)).scalar_one()
        while left > 0:
            yield pa.record_batch([pa.nulls(min(left, 1 << 20))], schema=self._schema)
            left -= 1 << 20


def _some(connection: Connection, asked: Select[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in bounded numbers as the driver gives them, from a cursor of the server where there is one."""
    driver: Any = connection.connection
    cursor: Any = driver.cursor("assay_sql") if connection.dialect.name == "postgresql" else driver.cursor()
    with closing(cursor):
        cursor.execute(str(asked.compile(dialect=connection.dialect)))
        while rows := cursor.fetchmany(BATCH):
            yield rows


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """What a driver gave as a column: SQLite has neither times nor truth values."""
    first = next((value for value in values if value is not None), None)
    if pa.types.is_timestamp(kind) and isinstance(first, str):
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(kind)
    if pa.types.is_boolean(kind) and type(first) is int:
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, kind)


def _arrow(column: Column[Any]) -> pa.DataType:
    return next((kind for ours, kind in _KINDS if isinstance(column.type, ours)), pa.string())


def metadata_tables(store: Store, query: str) -> dict[str, MetadataTable]:
    """Every table that a query may name, with the columns that it needs."""
    return {
        table.name: MetadataTable(store, table, needed_columns(query, table.name, [c.name for c in table.columns]))
        for table in metadata.sorted_tables
        if table.name not in HIDDEN
    }


def needed_columns(query: str, table: str, columns: list[str]) -> list[str]:
    """The columns of a table that a query may need: all of them, unless it is plain which.

    It is plain in a query of one SELECT and one FROM that names the table once, without `*` and the like.

    >>> needed_columns("select count(*) from points", "points", ["step", "value"])
    []
    >>> needed_columns("select max(p.value) from points p", "points", ["step", "value"])
    ['value']
    >>> needed_columns("from points", "points", ["step", "value"])
    ['step', 'value']
    """
    words = [word.strip('"').lower() for word in _WORD.findall(_COUNT.sub(" ", _TEXT.sub(" '' ", query)))]
    if not (words.count("select") == words.count("from") == words.count(table) == 1) or "*" in words:
        return columns
    at = words.index(table)
    alias = words[at + 2] if words[at + 1 : at + 2] == ["as"] else "".join(words[at + 1 : at + 2])
    odd = {"columns", "natural", "positional", "pivot", "unpivot", "exclude", "lateral", "summarize", "describe"}
    whole_row = any(
        word == alias and words[i + 1 : i + 2] != ["."] for i, word in enumerate(words) if i > at + 2 or i < at
    )
    if words[at - 1] not in ("from", "join", ",") or odd & set(words) or whole_row or "(" in words[at + 1 : at + 4]:
        return columns
    return [name for name in columns if name in words]
