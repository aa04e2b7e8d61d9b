"""Connects to the metadata database and brings its schema up to date. Queries live with the part that asks them."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    NoSuchModuleError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from assay.errors import AssayError, BadInput, Unavailable

HEAD = "0004"
_OLDER = ("0001", "0002", "0003")
BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
#: What SQLite says of a file that it can't read.
_DAMAGED = ("not a database", "malformed")


class Database:
    """One metadata database: an SQLite file, or PostgreSQL by URL."""

    def __init__(self, url: str) -> None:
        """Connect and migrate. Raises `BadInput` for a bad URL, `Unavailable` when nothing answers there."""
        self.engine = _engine(url)
        on_sqlite = self.engine.dialect.name == "sqlite"
        self._reads: dict[str, Any] = {"assay_reads": True} if on_sqlite else {"isolation_level": "REPEATABLE READ"}
        try:
            with self._errors():
                _migrate(self.engine)
        except AssayError:
            self.dispose()
            raise
        _open.add(self)

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """A transaction: committed at the end, rolled back on an error. `Unavailable` when the database is gone."""
        with self._errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A look at one consistent state; never waits for a writer. `Unavailable` when the database is gone."""
        with self._errors(), self.engine.connect().execution_options(**self._reads) as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except PoolTimeout:
            raise Unavailable("every connection to the database is in use", do="Ask again in a moment.") from None
        except DataError as error:
            raise BadInput("the database can't keep a value", _first_line(error)) from None
        except DatabaseError as error:
            if isinstance(error, OperationalError) or any(words in str(error.orig) for words in _DAMAGED):
                raise self._unavailable(error) from None
            raise
        except StatementError as error:
            if isinstance(error.orig, AssayError):  # of a column type
                raise error.orig from None
            raise

    def _unavailable(self, error: DatabaseError) -> Unavailable:
        where = self.engine.url.render_as_string(hide_password=True)
        return Unavailable(
            f"the database {where} does not answer",
            _first_line(error),
            do="Start it, or point ASSAY_DATABASE to another; nothing was changed.",
        )

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


_open: WeakSet[Database] = WeakSet()


def _begin_in_child() -> None:
    """Leave the connections to the parent of a fork: two processes on one would mix up their answers."""
    for database in list(_open):
        database.engine.dispose(close=False)


os.register_at_fork(after_in_child=_begin_in_child)


def upsert(
    connection: Connection, table: Table, rows: list[dict[str, Any]], *, change: dict[str, Any] | None = None
) -> None:
    """Insert rows; where one of the same primary key stands, change that: to the new row, or by `change` only."""
    made = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    keys = [column.name for column in table.primary_key]
    new = {name: made.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(made.on_conflict_do_update(index_elements=keys, set_=change or new), rows)


def insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]], *, on: list[str]) -> None:
    """Insert the rows of which none has the same values in the columns `on`; the others stay as they are."""
    made = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    connection.execute(made.on_conflict_do_nothing(index_elements=on), rows)


def _first_line(error: DatabaseError) -> str:
    return next(iter(str(error.orig).strip().splitlines()), type(error.orig).__name__)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ArgumentError(f"{parsed.get_backend_name()} is not supported")
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, **_options(parsed))
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise BadInput(
            f"ASSAY_DATABASE can't be used: {error}", do="Write sqlite:///PATH or postgresql://USER@HOST/DATABASE."
        ) from None
    except OSError as error:
        raise Unavailable(
            f"can't make the folder of {url}: {error.strerror}", do="Mend the path or its rights."
        ) from None
    except ModuleNotFoundError:
        raise BadInput("the PostgreSQL driver is not installed", do='Run: pip install "assay[postgres]"') from None
    if parsed.get_backend_name() == "sqlite":
        _prepare_sqlite(engine)
    return engine


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {}
    patience = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    return {"pool_pre_ping": True, "connect_args": patience}


def _prepare_sqlite(engine: Engine) -> None:
    def connected(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # transactions are begun below, not by the driver
        try:
            raw.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute("PRAGMA synchronous = NORMAL")
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("PRAGMA case_sensitive_like = ON")  # as in PostgreSQL
        except sqlite3.Error:
            raw.close()
            raise

    def begun(connection: Connection) -> None:
        # Writers lock at once: a reader that becomes a writer would get "database is locked" without waiting.
        reads = connection.get_execution_options().get("assay_reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        version = _version(connection)
    if version == HEAD:
        return
    if version and version not in _OLDER:
        raise BadInput(
            f"the database is at schema {version}, this Assay knows up to {HEAD}",
            do="Upgrade Assay; nothing was changed.",
        )
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={})
    config.set_main_option("script_location", "assay.store:migrations")
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(728141)"))
        if _version(connection) == HEAD:  # another process was faster
            return
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    row: Any = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return row[0] if row else None
