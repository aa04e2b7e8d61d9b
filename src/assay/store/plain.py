"""Statements of the hot paths: they go straight to the driver of SQLite.

SQLAlchemy takes some 40 µs for a statement that it has compiled before, the driver 4, and nearly all of what a metric
costs the server is such statements (`benchmarks/tracking.py`). They are part of the transaction of their connection like
all others, and `Database` tells what their errors mean. On PostgreSQL a statement costs a round trip, whoever sends it.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, Dialect, Row, Select
from sqlalchemy.engine import result_tuple


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The driver's connection of a transaction on SQLite, which is begun when it is not."""
    if not connection.in_transaction():
        connection.begin()
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def plain_rows(connection: Connection, sql: str, keys: Sequence[str]) -> Sequence[Any]:
    """The rows of a query that has `IN :keys`, as the driver gives them: in half the time, and no type is converted."""
    times = sql.count("IN :keys")
    if connection.dialect.name == "sqlite":
        asked = sql.replace("IN :keys", "IN (SELECT value FROM json_each(?))")
        return driver_of(connection).execute(asked, (msgspec.json.encode(keys).decode(),) * times).fetchall()
    return connection.exec_driver_sql(sql.replace("IN :keys", "= ANY(%s)"), (list(keys),) * times).all()


class Prepared:
    """A query with parameters, compiled for SQLite once."""

    def __init__(self, asked: Select[Any]) -> None:
        """The values of the parameters must be such as the driver takes: texts and numbers."""
        self._asked = asked
        self._plain: _Plain | None = None

    def rows(self, connection: Connection, **values: str | int) -> Sequence[Row[Any]]:
        """The rows."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._asked, values).all()
        if self._plain is None:
            self._plain = _Plain(self._asked, connection.dialect)
        return self._plain.rows(driver_of(connection), values)


class _Plain:
    def __init__(self, asked: Select[Any], dialect: Dialect) -> None:
        compiled = asked.compile(dialect=dialect)
        columns = asked.selected_columns
        self._sql, self._order = str(compiled), compiled.positiontup or []
        self._row = result_tuple([column.key or "" for column in columns])
        read = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._read = [(at, one) for at, one in enumerate(read) if one]

    def rows(self, driver: sqlite3.Connection, values: dict[str, Any]) -> list[Row[Any]]:
        found = driver.execute(self._sql, [values[name] for name in self._order]).fetchall()
        return [self._row(self._converted(row)) for row in found]

    def _converted(self, row: Sequence[Any]) -> Sequence[Any]:
        if not self._read:
            return row
        values = list(row)
        for at, read in self._read:
            values[at] = read(values[at])
        return values
