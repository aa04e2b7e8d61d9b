"""How Assay speaks with PostgreSQL: in few round trips, and never waiting for a server that has gone silent.

A database may be 20 ms away, so each turn counts: nothing is asked when a connection opens, `BEGIN` travels with the
first statement of a transaction, so does with the next one what nobody needs the answer to, and an idle connection is looked
at, not asked, before it is used again.
"""

import select
from collections.abc import Generator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.waiting import Wait
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DisconnectionError

T = TypeVar("T")
#: Where nobody says another in the URL: how long a connection may take, and how long nothing may come before the
#: server is asked, on another connection, whether it is there.
CONNECT_TIMEOUT_S = 10
#: What TCP does itself about a machine that went away: 25 s until an idle line is known to be dead.
_TCP = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}


class Connection(psycopg.Connection[Any]):
    """A connection whose statements may take long while its server is there, and end when it is not.

    For psycopg it is in autocommit mode: psycopg would wait for the answer to each `BEGIN`.
    """

    #: What begins a transaction; None: none is begun.
    begins: LiteralString | None = "BEGIN ISOLATION LEVEL READ COMMITTED"
    _unread = False
    #: What was sent in it is answered at its end.
    _pipeline_of_ours: Any = None

    def cursor(self, name: str = "", **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A cursor; one of the server, which has a name, needs a transaction around it."""
        self.settle()
        if name and self.begins and self.info.transaction_status == TransactionStatus.IDLE:
            self.execute(self.begins)
        return super().cursor(name, **options) if name else super().cursor(**options)

    def roll_back(self) -> None:
        """End a transaction for nothing, without waiting for the answer: nobody needs it."""
        with suppress(psycopg.Error):  # of statements that are rolled back
            self.answer()
        if self.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            self.pgconn.send_query(b"ROLLBACK")
            self.pgconn.flush()
            self._unread = True

    def commit(self) -> None:
        """End a transaction, which may have had no statement yet."""
        self.settle()
        if self._pipeline_of_ours is None:
            super().commit()
        else:  # psycopg would wait once for what was sent before, and once more for this
            self.execute("COMMIT")
            self.answer()

    def begin(self) -> None:
        """Begin a transaction unless there is one; what is sent from here on is answered by `answer`."""
        idle = self.begins is not None and self.info.transaction_status == TransactionStatus.IDLE
        if self._pipeline_of_ours is None:
            self._pipeline_of_ours = self.pipeline()
            self._pipeline_of_ours.__enter__()
        if idle and self.begins:
            self.execute(self.begins)

    def answer(self) -> None:
        """Wait for the answers to what was sent. Raises the first error among them."""
        if self._pipeline_of_ours is not None:
            ended, self._pipeline_of_ours = self._pipeline_of_ours, None
            ended.__exit__(None, None, None)

    @property
    def needs_answer(self) -> bool:
        """Whether something was sent that is not answered."""
        return self._pipeline_of_ours is not None

    def settle(self) -> None:
        """Read the answer that nobody waited for."""
        if self._unread:
            self._unread = False
            self.wait(self._answer())

    def _answer(self) -> Generator[Any, Any, None]:
        while True:
            while self.pgconn.is_busy():
                yield Wait.R
                self.pgconn.consume_input()
            if self.pgconn.get_result() is None:
                return

    def __del__(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Without psycopg's warning: who lets go of a pool lets go of its connections, and their sockets are closed."""

    def is_open(self) -> bool:
        """Whether its server has not closed it while it was idle: what a server sends then can be read here."""
        if self.closed:
            return False
        if self._unread:
            self.pgconn.consume_input()
            if self.pgconn.is_busy():
                return True  # its answer is on the way
            self.settle()
        return not _has_news(self.fileno())

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Wait for an answer; `OperationalError` when the server has gone silent."""
        return super().wait(self._watched(gen), *args, **options)

    def _watched(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        patience = float(self.info.get_parameters().get("connect_timeout") or CONNECT_TIMEOUT_S)
        try:
            wants, until = next(gen), monotonic() + patience
            while True:
                ready = yield wants
                if not ready and monotonic() > until:
                    self._ask_whether_it_is_there()
                    until = monotonic() + patience
                elif ready:
                    until = monotonic() + patience
                wants = gen.send(ready)
        except StopIteration as done:
            return done.value

    def _ask_whether_it_is_there(self) -> None:
        try:
            psycopg.connect(self.info.dsn, password=self.info.password or None).close()
        except psycopg.OperationalError as error:
            self.close()
            raise psycopg.OperationalError(f"the server stopped answering: {error}") from None


class Dialect(PGDialect_psycopg):
    """SQLAlchemy's dialect, which takes what the server says when a connection opens and asks nothing more."""

    supports_statement_cache = True

    def __init__(self, **options: Any) -> None:
        super().__init__(use_native_hstore=False, **options)

    def connect(self, *args: Any, **options: Any) -> Any:
        """A connection that does not wait for ever."""
        return Connection.connect(*args, **_TCP | options | {"autocommit": True})

    def _get_server_version_info(self, connection: Any) -> tuple[int, int]:
        return divmod(_info(connection).server_version, 10_000)

    def _get_default_schema_name(self, connection: Any) -> None:  # noqa: ARG002  # pyright: ignore[reportIncompatibleMethodOverride]
        return None

    def _set_backslash_escapes(self, connection: Any) -> None:
        self._backslash_escapes = _info(connection).parameter_status("standard_conforming_strings") == "off"

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:  # noqa: ARG002
        """What a connection is set back to."""
        return "READ COMMITTED"

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """How the next transaction begins; nothing is sent."""
        dbapi_connection.begins = None if level == "AUTOCOMMIT" else f"BEGIN ISOLATION LEVEL {level}"

    def detect_autocommit_setting(self, dbapi_connection: Any) -> bool:
        """Whether no transaction is begun for what is executed."""
        return dbapi_connection.begins is None

    def do_rollback(self, dbapi_connection: Any) -> None:
        """End a transaction for nothing."""
        dbapi_connection.roll_back()

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        """Execute a statement; the first of a transaction travels together with its `BEGIN`."""
        unanswered = context is not None and context.execution_options.get("assay_unanswered", False)
        with _begun(cursor, unanswered=unanswered):
            super().do_execute(cursor, statement, parameters, context)

    def do_execute_no_params(self, cursor: Any, statement: Any, context: Any = None) -> None:
        """The same without parameters."""
        with _begun(cursor):
            super().do_execute_no_params(cursor, statement, context)

    def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        """The same with many."""
        with _begun(cursor):
            super().do_executemany(cursor, statement, parameters, context)


@contextmanager
def _begun(cursor: Any, *, unanswered: bool = False) -> Generator[None]:
    connection: Connection = cursor.connection
    idle = connection.begins is not None and connection.info.transaction_status == TransactionStatus.IDLE
    if isinstance(cursor, psycopg.ServerCursor):  # which no pipeline takes
        connection.answer()
        if idle and connection.begins:
            connection.execute(connection.begins)
        yield
    elif idle or unanswered or connection.needs_answer:
        connection.begin()
        try:
            yield
        except psycopg.Error:
            with suppress(psycopg.Error):  # of what came after the error
                connection.answer()
            raise
        if not unanswered:
            connection.answer()
    else:
        yield


def look_at_idle(raw: Any, _record: object, _proxy: object) -> None:
    """Refuse an idle connection that its server has closed; the pool opens another."""
    try:
        if raw.is_open():
            return
    except psycopg.OperationalError:
        pass
    raise DisconnectionError


def _has_news(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(0))


def _info(connection: Any) -> psycopg.ConnectionInfo:
    return connection.connection.driver_connection.info
