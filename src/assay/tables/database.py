"""A table of a database, by URL: PostgreSQL, and whatever else SQLAlchemy reaches and sqlglot can write for."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from sqlalchemy import URL, Connection, Engine, TableClause, create_engine, inspect, make_url, types
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    NoSuchModuleError,
    NoSuchTableError,
    OperationalError,
    PendingRollbackError,
)

from assay.contract.formats.sql import quoted
from assay.errors import BadInput, NotFound, Unavailable, near_miss
from assay.tables import sqlite
from assay.tables.dialect import translated, view
from assay.tables.facts import Aggregates, Wanted, scan, scanned
from assay.tables.infinity import read_infinity
from assay.tables.table import CantAsk
from assay.tables.view import VIEW, Digits, Kind, other

CONNECT_TIMEOUT_S = 10
_BATCH = 10_000
#: Drivers that are installed with Assay, and what sqlglot calls a dialect that SQLAlchemy calls otherwise.
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
_DIALECTS = {"postgresql": "postgres", "mariadb": "mysql", "mssql": "tsql", "awsathena": "athena"}


@dataclass
class DatabaseTable:
    """A table of a database, seen as it is at one moment where the database can hold that still."""

    name: str
    kinds: Mapping[str, Kind]
    connection: Connection
    dialect: str
    views: dict[str, str]
    #: As SQLAlchemy knows it.
    known: TableClause
    resources: ExitStack
    files: tuple[Path, ...] = ()
    changed: bool = False

    def close(self) -> None:
        """Let go of it."""
        self.resources.close()

    def facts(self, wanted: Wanted) -> Aggregates:
        """What is wanted, from one scan."""
        return scanned(self.rows(scan(wanted, self.kinds, self.micros))[0], wanted)

    def rows(self, query: str, filtered: Collection[str] | None = None) -> list[dict[str, Any]]:  # noqa: ARG002
        """What the query gives. Raises `CantAsk` when it does not run, `Unavailable` when the database is gone."""
        sql = self._translated(query)
        try:
            with self.connection.begin_nested():  # a query that fails must not end the transaction of the others
                return [dict(row) for row in self.connection.exec_driver_sql(sql).mappings()]
        except DatabaseError as error:
            raise said(self.name, error) from None
        except PendingRollbackError:  # of a connection that was lost before
            raise Unavailable(f"{self.name} does not answer", "the connection was lost") from None

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """What the query gives, in parts."""
        sql = self._translated(query)
        try:
            # Of this query alone: an option of the connection would stay, and SAVEPOINT can't be streamed.
            with self.connection.exec_driver_sql(sql, execution_options={"stream_results": True}) as found:
                for part in found.mappings().partitions(_BATCH):
                    yield from pa.Table.from_pylist([dict(row) for row in part]).to_batches()
        except DatabaseError as error:
            raise said(self.name, error) from None

    def _translated(self, query: str) -> str:
        sql = translated(query, self.views, self.dialect)
        # These drivers look for parameters even if there are none.
        return sql.replace("%", "%%") if self.connection.dialect.paramstyle in ("format", "pyformat") else sql

    def micros(self, time: str) -> str:
        """The SQL for the microseconds since 1970 of a time; the time itself where there is no such function."""
        if self.dialect == "sqlite":
            return f"assay_micros({time})"
        return f"(EXTRACT(EPOCH FROM {time}) * 1000000)" if self.dialect == "postgres" else time

    @property
    def reads_times(self) -> bool:
        """Its engine does not read texts by a format of strftime."""
        return False

    @property
    def decimals(self) -> Mapping[str, Digits]:
        """The columns that are compared digit by digit."""
        if self.dialect != "postgres":
            return {}
        return {each.name: Digits() for each in self.known.columns if _decimal(each.type)}

    def storable(self, name: str) -> str:
        """The SQL for a column in a type that a Parquet file can hold."""
        return f"{quoted(name)}::VARCHAR" if self.kinds[name] == "other" else quoted(name)

    def refer(self, name: str) -> dict[str, Kind]:
        """Make the view over another table of this database."""
        kinds, floats, source, _ = _columns(self.connection, name, name)
        self.views[other(name)] = view(source, floats, kinds, self.dialect, hidden=False)
        return kinds


def open_sqlite(file: Path, table: str) -> DatabaseTable:
    """Open a table in a file of SQLite, for reading only. Raises as `open_database` does."""
    address = URL.create("sqlite", database=f"file:{quote(str(file.resolve()))}", query={"mode": "ro", "uri": "true"})
    return _open(create_engine(address), str(file), table)


def open_database(url: str) -> DatabaseTable:
    """Open the table that stands after the # of a URL, as in `postgresql://user@host/shop#public.orders`.

    Raises `BadInput` when the URL can't be used or there is no such table, `Unavailable` when nothing answers.
    """
    address, _, table = url.partition("#")
    return _open(_engine(address), without_secrets(address), table)


def _open(engine: Engine, shown: str, table: str) -> DatabaseTable:
    resources = ExitStack()
    resources.callback(engine.dispose)
    try:
        with resources:
            connection = resources.enter_context(_connected(engine))
            table = table or _only(connection, shown)
            name = f"{shown}#{table}"
            kinds, floats, source, known = _columns(connection, table, name)
            dialect = _DIALECTS.get(engine.dialect.name, engine.dialect.name)
            views = {VIEW: view(source, floats, kinds, dialect)}
            return DatabaseTable(name, kinds, connection, dialect, views, known, resources.pop_all())
    except OperationalError as error:
        raise _gone(shown, error) from None
    except DatabaseError as error:  # of SQLite: a file that only begins as one
        raise Unavailable(f"{shown} can't be read", _first_line(error), do="It may be damaged.") from None


def without_secrets(url: str) -> str:
    """The URL of a database, or of a table in one, as it may be shown: without password and options."""
    address, sign, table = url.partition("#")
    scheme = address.partition("://")[0]
    known = make_url(address).set(query={}, drivername=scheme)
    return known.render_as_string(hide_password=True) + sign + table


def is_database(name: str) -> bool:
    """True for the URL of a database that SQLAlchemy may reach, not for one of files."""
    scheme, sign, _ = name.partition("://")
    return bool(sign) and scheme.partition("+")[0] not in (
        "s3",
        "gs",
        "gcs",
        "az",
        "abfs",
        "http",
        "https",
        "file",
        "hdfs",
    )


def _engine(address: str) -> Engine:
    try:
        url = make_url(address)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        if url.get_backend_name() == "sqlite" and not _is_there(url):
            raise NotFound(f"{url.database} does not exist", do="Name a file of SQLite: an empty one is not made here.")
        patient = url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query
        return create_engine(url, connect_args={"connect_timeout": CONNECT_TIMEOUT_S} if patient else {})
    except NoSuchModuleError as error:
        scheme = address.partition("://")[0]
        do = "Install the SQLAlchemy dialect of that database; PostgreSQL and SQLite need none."
        raise BadInput(f"no driver is installed for {scheme}://", str(error), do=do) from None
    except ModuleNotFoundError as error:
        do = (
            'Run: pip install "assay[postgres]"' if address.startswith("postgres") else f"Run: pip install {error.name}"
        )
        raise BadInput(f"the driver {error.name} is not installed", do=do) from None
    except (ArgumentError, ValueError) as error:
        raise BadInput(
            f"this is not the URL of a database: {error}", do="Write postgresql://USER@HOST/DATABASE#TABLE."
        ) from None


def _is_there(url: URL) -> bool:
    return url.database in (None, "", ":memory:") or "uri" in url.query or Path(url.database or "").is_file()


def _connected(engine: Engine) -> Connection:
    connection = engine.connect()
    if engine.dialect.name == "postgresql":  # every query sees the table of one moment
        connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        read_infinity(connection.connection.driver_connection)
    if engine.dialect.name == "sqlite":
        sqlite.prepare(connection.connection.driver_connection)
    return connection


def _held(connection: Connection, kinds: Mapping[str, Kind], source: str) -> dict[str, Kind]:
    """The kinds of the columns of SQLite by what they hold, not by what they declare."""
    question = sqlite.question(kinds, source)
    counted = dict(connection.exec_driver_sql(question).mappings().one()) if question else {}
    return sqlite.really(kinds, {str(name): count for name, count in counted.items()})


def _columns(connection: Connection, table: str, name: str) -> tuple[dict[str, Kind], dict[str, str], str, TableClause]:
    """The kinds of a table's columns, which of them may hold NaN, the table's name in SQL, and for SQLAlchemy."""
    *schemas, bare = table.split(".")
    schema = ".".join(schemas) or None
    try:
        found = inspect(connection).get_columns(bare, schema)
    except NoSuchTableError:
        found = []
    if not found:
        known = _tables(connection, schema)
        raise NotFound(
            f"{name} does not exist",
            *[near_miss(bare, known)] * bool(near_miss(bare, known)),
            do="It may have been dropped or renamed; name a table after #.",
        )
    kinds: dict[str, Kind] = {column["name"]: _kind(column["type"]) for column in found}
    if connection.dialect.name == "sqlite":
        kinds = _held(connection, kinds, ".".join(map(quoted, [*schemas, bare])))
    floats = {column["name"]: "DOUBLE" for column in found if isinstance(column["type"], types.Float)}
    if connection.dialect.name == "postgresql":  # its decimals hold NaN too
        decimals = (column["name"] for column in found if isinstance(column["type"], types.Numeric))
        floats = {**dict.fromkeys(decimals, "DECIMAL"), **floats}
    known = sql_table(bare, *(sql_column(column["name"], column["type"]) for column in found), schema=schema)
    return kinds, floats, ".".join(map(quoted, [*schemas, bare])), known


def _tables(connection: Connection, schema: str | None) -> list[str]:
    known = inspect(connection)
    return [*known.get_table_names(schema), *known.get_view_names(schema)]


def _only(connection: Connection, shown: str) -> str:
    """The table of a database that has one."""
    known = sorted(_tables(connection, None))
    if len(known) == 1:
        return known[0]
    what = f"it has {', '.join(known) or 'none in its first schema'}"
    example = known[0] if known else "public.orders"
    place = shown if "@" not in shown else "..."
    raise BadInput(f"{shown} names no table", what, do=f"Name one after #, like {place}#{example}")


def _kind(known: Any) -> Kind:
    for one, kind in _KINDS:
        if isinstance(known, one):
            return kind
    if isinstance(known, types.DateTime):
        return "time" if known.timezone else "naive"
    return "other"


#: The first that fits counts.
_KINDS: tuple[tuple[type, Kind], ...] = (
    (types.Boolean, "truth"),
    (types.Integer, "whole"),
    (types.Numeric, "number"),
    (types.Float, "number"),
    (types.Enum, "text"),
    (types.String, "text"),
    (types.Date, "date"),
)


def _decimal(known: Any) -> bool:
    return isinstance(known, types.Numeric) and not isinstance(known, types.Float)


def said(name: str, error: DBAPIError) -> Exception:
    """Our error for what a database says."""
    if error.connection_invalidated or isinstance(error, OperationalError):
        return _gone(name, error)
    return CantAsk(_first_line(error))


def _gone(name: str, error: DBAPIError) -> Unavailable:
    return Unavailable(f"{name} does not answer", _first_line(error), do="Start the database, and run the check again.")


def _first_line(error: DBAPIError) -> str:
    return next(iter(str(error.orig).strip().splitlines()), type(error.orig).__name__)
