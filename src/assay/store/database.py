"""The gate to the metadata database: transactions, what their errors mean, and their repetition after a conflict.

Queries live with the part that asks them. A writer decides inside of its transaction, by rows that it holds
(`assay.store.locks`) or by what an insert says of itself (`insert_new`), never by what it read before.
"""

import functools
import importlib
import itertools
import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

from sqlalchemy import Connection, Engine, ExceptionContext, Table, event
from sqlalchemy.exc import TimeoutError as PoolTimeout

from assay.errors import AssayError, BadInput, Conflict, Unavailable
from assay.store import migrate
from assay.store.connect import BUSY_TIMEOUT_S, WRITES, connect, connect_to_nothing
from assay.store.durable import make_folder, open_writable
from assay.store.failures import meaning
from assay.store.locks import forget
from assay.store.read_only import file_of, is_read_only
from assay.store.schema import metadata
from assay.store.sealed import Sealed, take
from assay.store.together import Together

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
#: So often, and so long, work is done again after a conflict.
ATTEMPTS, RETRY_FOR_S = 10, 60
_LONGEST_PAUSE_S = 1.0


class Database:
    """One metadata database: an SQLite file, or PostgreSQL by URL."""

    def __init__(self, url: str, sealed: Callable[[Sequence[Sealed]], None] = lambda _: None) -> None:
        """Connect; nothing is made or changed by it. `sealed` is told the lines of the ledger that were committed.

        Raises `BadInput` for a bad URL and for a schema of a newer Assay, `Unavailable` when nothing answers there.
        """
        self.engine = connect(url)
        self._sealed = sealed
        self._file = file_of(self.engine.url)
        #: Whether this process can't write it.
        self.read_only = self._file is not None and is_read_only(self._file)
        self._on_sqlite = on_sqlite = self.engine.dialect.name == "sqlite"
        self._writer = self.engine.execution_options(**{WRITES: True})
        self._reader = self.engine if on_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        self._empty = connect_to_nothing()
        self._make_locks()
        for engine in (self.engine, self._empty):
            event.listen(engine, "handle_error", self._meaning)
        try:
            self._is_current = self.schema() == migrate.head()
        except AssayError:
            self.dispose()
            raise
        _open.add(self)

    def _make_locks(self) -> None:
        self._upgrading, self._turn = Lock(), Lock()
        self._together = Together(self.begin)

    def schema(self) -> str | None:
        """The revision of the schema, None before the first write. Raises `BadInput` for one of a newer Assay."""
        if self._file and not self._file.exists():
            return None
        found = migrate.version(self.engine)
        migrate.check_known(found)
        return found

    def upgrade(self) -> str | None:
        """Bring the schema to that of this Assay, as every writer does; returns which one it was at.

        Of several processes at once, one does it. Raises `Unavailable` when the database can't be written.
        """
        if self._is_current:
            return migrate.head()
        with self._upgrading:
            found = self.schema()
            if found != migrate.head():
                self.check_writable()
                if found:
                    log.warning(
                        "the database %s is upgraded from schema %s to %s: restart processes of an older Assay",
                        self.where,
                        found,
                        migrate.head(),
                    )
                if self._file:
                    _make(self._file)
                retried(migrate.upgrade)(self._writer)
            self._is_current = True
        return found

    @property
    def where(self) -> str:
        """Its address, without password and driver."""
        url = self.engine.url
        return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)

    def is_outdated(self) -> bool:
        """Whether it is at the schema of an older Assay, which only `upgrade` changes."""
        return not self._is_current and self.schema() not in (None, migrate.head())

    def check_writable(self) -> None:
        """Raise `Unavailable` for a database that this process can only read."""
        if self.read_only:
            raise Unavailable(
                f"the database {self.where} can't be written: it is read-only",
                do="Make the file and its folder writable.",
            )

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """A transaction that writes: committed at the end, rolled back on an error. The first one upgrades the schema.

        Raises `Conflict` when others changed the same rows at once: the function around it is `retried`. Raises
        `Taken` for a name that is in use, `Unavailable` when the database is away.
        """
        self.check_writable()
        if not self._is_current:
            self.upgrade()
        with self._its_turn(), self._connected(self._writer) as connection:
            take(connection)  # of a transaction that was rolled back
            with connection.begin():
                forget(connection)
                yield connection
            lines = take(connection)
        if lines:
            self._sealed(lines)

    @contextmanager
    def _its_turn(self) -> Generator[None]:
        """SQLite has one writer: its own way of waiting looks again after up to 0.1 s, and many that wait starve."""
        if not self._on_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=BUSY_TIMEOUT_S):
            raise Conflict(f"the database {self.where} is locked by another thread", do="Try again in a moment.")
        try:
            yield
        finally:
            self._turn.release()

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` gives in a transaction of its own, which is done again after a `Conflict`."""

        @retried
        def once() -> T:
            with self.begin() as connection:
                return work(connection)

        return once()

    def write_together(self, work: Callable[[Connection], T]) -> T:
        """What `work`, which is small, gives in a transaction; on SQLite one with others that come at the same time.

        It is committed when this returns. Raises as `begin` does: the function around it is `retried`.
        """
        if self._on_sqlite:
            return self._together.write(work)
        with self.begin() as connection:
            return work(connection)

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A look at one consistent state; it changes nothing and never waits for a writer.

        A database that is not made yet is empty. Raises `BadInput` for one at the schema of an older Assay,
        `Unavailable` when it is away.
        """
        if not self._is_current and not self._look():
            with self._empty.connect() as connection:
                metadata.create_all(connection, checkfirst=False)
                yield connection
            return
        with self._connected(self._reader) as connection:
            yield connection

    def _look(self) -> bool:
        """Whether there is something to read by now."""
        found = self.schema()
        if found and found != migrate.head():
            raise BadInput(
                f"the database {self.where} is at schema {found}, this Assay needs {migrate.head()}",
                do="Copy it to a folder that you can write, and run there: assay upgrade"
                if self.read_only
                else "Run: assay upgrade (processes of an older Assay must be restarted after it)",
            )
        self._is_current = found is not None
        return self._is_current

    @contextmanager
    def _connected(self, engine: Engine) -> Generator[Connection]:
        try:
            with engine.connect() as connection:
                yield connection
        except PoolTimeout:
            raise Unavailable("every connection to the database is in use", do="Try again in a moment.") from None
        except sqlite3.Error as error:  # of a statement that went straight to the driver
            raise self.meaning(error) or error from None

    def _meaning(self, context: ExceptionContext) -> AssayError | None:
        """What SQLAlchemy raises instead of the error of a driver."""
        asking = context.connection and context.connection.get_execution_options().get(migrate.ASKS_VERSION)
        return meaning(context.original_exception, self.where, (lambda: None) if asking else self._newer)

    def meaning(self, error: Exception) -> AssayError | None:
        """The error of ours for one that a driver raised when it was asked past SQLAlchemy; None for a mistake of ours."""
        return meaning(error, self.where, self._newer)

    def _newer(self) -> AssayError | None:
        """The error for a table or a column that is missing because the schema is another one than at the start."""
        found = migrate.version(self.engine)
        if found == migrate.head():
            return None
        return Unavailable(
            f"the database is at schema {found or 'none'} now, this process works with {migrate.head()}",
            do="Another process upgraded it: upgrade Assay here too, and restart.",
        )

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def begin_in_child(self) -> None:
        """Leave the connections to the parent of a fork: two processes on one would mix up their answers."""
        self.engine.dispose(close=False)
        self._make_locks()  # another thread may have held one


def _make(file: Path) -> None:
    """Make the file of a database before SQLite does: it has no mode for a group, and gives those beside it the same.

    One that is there is not opened, because its closing would drop the locks that SQLite holds in this process.
    """
    try:
        make_folder(file.parent)
        os.close(open_writable(file, os.O_RDWR | os.O_EXCL))
    except FileExistsError:
        return
    except OSError as error:
        raise Unavailable(
            f"can't make the database {file}: {error.strerror}", do="Correct the path or its permissions."
        ) from None


_open: WeakSet[Database] = WeakSet()


def _begin_in_child() -> None:
    for database in list(_open):
        database.begin_in_child()


os.register_at_fork(after_in_child=_begin_in_child)


def retried(work: Callable[P, T]) -> Callable[P, T]:
    """A function that is done again, whole, after a `Conflict`: a deadlock, or rows that others changed at once.

    Whatever it does beside its transactions happens again too, so it must be harmless twice.
    """

    @functools.wraps(work)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        until = time.monotonic() + RETRY_FOR_S
        for attempt in itertools.count(1):
            try:
                return work(*args, **kwargs)
            except Conflict as conflict:
                if attempt >= ATTEMPTS or time.monotonic() > until:
                    raise Unavailable(f"{conflict.what}, {attempt} times", *conflict.values, do=conflict.do) from None
                log.info("done again after a conflict: %s", conflict)
                longest = min(_LONGEST_PAUSE_S, 0.005 * 2**attempt)
                time.sleep(random.uniform(0, longest))  # noqa: S311 (nothing is hidden by it)
        raise AssertionError

    return again


def upsert(
    connection: Connection,
    table: Table,
    rows: list[dict[str, Any]],
    *,
    change: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
) -> None:
    """Insert rows; where one of the same primary key stands, change that: to the new row, or by `change` only."""
    made = dialect_of(connection).insert(table)
    keys = [column.name for column in table.primary_key]
    new = {name: made.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(
        made.on_conflict_do_update(index_elements=keys, set_=change or new),
        _ordered(rows, keys),
        execution_options=options,
    )


def insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]], *, on: list[str]) -> int:
    """Insert the rows of which none has the same values in the columns `on`; the others stay as they are.

    Returns how many are new. Of two transactions that insert the same at once the second waits for the first, and is
    told that its row is not new: no look before is needed, and none would do.
    """
    made = dialect_of(connection).insert(table).on_conflict_do_nothing(index_elements=on)
    return connection.execute(made, _ordered(rows, on), execution_options={"preserve_rowcount": True}).rowcount


def dialect_of(connection: Connection) -> Any:
    """The module of SQLAlchemy that has the `insert` of a database; that of PostgreSQL takes 2 MB, so who has SQLite never loads it."""
    return importlib.import_module(f"sqlalchemy.dialects.{connection.dialect.name}")


def _ordered(rows: list[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Rows in the order of their keys, so that two transactions never wait for each other."""
    return rows if len(rows) < 2 else sorted(rows, key=lambda row: tuple(row[key] for key in keys))
