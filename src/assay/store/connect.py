"""Makes the engine of a database URL, with the settings that each connection needs."""

import sqlite3
from functools import partial
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from assay.errors import BadInput, Unavailable
from assay.store.durable import sync_folder
from assay.store.mounts import check_local
from assay.store.read_only import connect_file, file_of, is_read_only

BUSY_TIMEOUT_S = 30
#: Pages that a connection keeps: a search of 100,000 runs reads more than SQLite's own 2 MB, and each page several times.
CACHE_KIB = 8192
#: Of a connection to SQLite that writes: it takes the write lock when its transaction begins.
WRITES = "assay_writes"
#: Of a statement to which nobody needs the answer: PostgreSQL gets it together with the next one, or with the commit,
#: which then raises what is wrong with it.
UNANSWERED = {"assay_unanswered": True}
registry.register("postgresql.assay", "assay.store.postgres", "Dialect")


def connect(url: str) -> Engine:
    """The engine of a URL; one that only reads for a file that can't be written.

    Raises `BadInput` for what is no URL, and for a file on a network file system.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+assay")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ArgumentError(f"{parsed.get_backend_name()} is not supported")
        if parsed.get_backend_name() == "postgresql":
            return _to_postgres(parsed)
        engine = _to_sqlite(parsed)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise BadInput(
            f"ASSAY_DATABASE can't be used: {error}", do="Write sqlite:///PATH or postgresql://USER@HOST/DATABASE."
        ) from None
    except ModuleNotFoundError:
        raise BadInput("the PostgreSQL driver is not installed", do='Run: pip install "assay[postgres]"') from None
    _prepare_sqlite(engine)
    return engine


def _to_sqlite(url: URL) -> Engine:
    file = file_of(url)
    if file and is_read_only(file):  # a new connection each time: who may write beside the file is looked at anew
        return create_engine(url, creator=partial(connect_file, file), poolclass=NullPool)
    if file:
        check_local(file)
    # The connection that was used last knows most of the pages.
    return create_engine(url, pool_use_lifo=True)


def _to_postgres(url: URL) -> Engine:
    from assay.store.postgres import CONNECT_TIMEOUT_S, look_at_idle

    patience = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_engine(url, connect_args=patience)
    event.listen(engine, "checkout", look_at_idle)
    return engine


def connect_to_nothing() -> Engine:
    """An engine of which each connection is a new database in memory: what stands in for one that is not made yet."""
    engine = create_engine("sqlite://", poolclass=NullPool)
    _prepare_sqlite(engine)
    return engine


def _sync_names(file: Path) -> None:
    """Put the name of a new write-ahead log on the disk, and that of a new database.

    SQLite syncs the folder as well, but takes no notice when that fails: the log that holds all commits could be lost.
    Raises `Unavailable` when it does.
    """
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and log.stat().st_size:
        return
    try:
        sync_folder(file.parent)
    except OSError as error:
        what = f"the disk of the database {file} has an error: {error.strerror}"
        raise Unavailable(what, do="Check the disk; nothing was changed.") from None


def _prepare_sqlite(engine: Engine) -> None:
    file = file_of(engine.url)
    read_only = file is None or is_read_only(file)

    def connected(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # transactions are begun below, not by the driver
        try:
            raw.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
            if not read_only and raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                raw.execute("PRAGMA journal_mode = WAL")
            # Each commit is on the disk: what was answered, or removed from a spool, outlives a power cut.
            raw.execute("PRAGMA synchronous = FULL")
            raw.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("PRAGMA case_sensitive_like = ON")  # as in PostgreSQL
            if file and not read_only:
                _sync_names(file)
        except (sqlite3.Error, OSError, Unavailable):
            raw.close()  # the last one to close removes the empty log too, so that the next one makes its name anew
            raise

    def begun(connection: Connection) -> None:
        # Writers lock at once: a reader that becomes a writer would get "database is locked" without waiting.
        writes = connection.get_execution_options().get(WRITES)
        raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        raw.execute("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
