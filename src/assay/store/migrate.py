"""Which schema a database is at, and its way to the one of this Assay."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from assay.errors import BadInput

_VERSIONS = Path(__file__).parent / "migrations" / "versions"
_NUMBERED = re.compile(r"(\d{4})_\w+\.py")
#: Of a connection that asks for the version, so that an absent table is no fault.
ASKS_VERSION = "assay_asks_version"
#: One number for all processes that want to migrate one PostgreSQL database.
_ADVISORY_LOCK = 728141


@cache
def revisions() -> tuple[str, ...]:
    """The revisions that this Assay knows, oldest first, by the names of their files."""
    return tuple(sorted(match[1] for path in _VERSIONS.iterdir() if (match := _NUMBERED.fullmatch(path.name))))


def head() -> str:
    """The revision that this Assay works with."""
    return revisions()[-1]


def version(engine: Engine) -> str | None:
    """The revision that a database is at, None for an empty one. Never waits for a writer."""
    plain = engine.execution_options(isolation_level="AUTOCOMMIT", **{ASKS_VERSION: True})
    with plain.connect() as connection:
        return _version(connection)


def _version(connection: Connection) -> str | None:
    try:
        row: Any = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in str(error.orig):
            return None
        raise
    return row[0] if row else None


def check_known(found: str | None) -> None:
    """Raise `BadInput` for a revision of a newer Assay."""
    if found and found not in revisions():
        raise BadInput(
            f"the database is at schema {found}, this Assay supports up to {head()}",
            do="Upgrade Assay; nothing was changed.",
        )


def upgrade(engine: Engine) -> None:
    """Bring a database to the newest revision, in one transaction; of several processes at once, one does it."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={})
    config.set_main_option("script_location", "assay.store:migrations")
    with _without_foreign_keys(engine) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, head())  # nothing, when another process was faster


@contextmanager
def _without_foreign_keys(engine: Engine) -> Generator[Connection]:
    """A connection on which SQLite lets a table be made anew that others refer to: only outside of a transaction can one say so."""
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        on_sqlite = engine.dialect.name == "sqlite"
        if on_sqlite:
            raw.execute("PRAGMA foreign_keys = OFF")
        try:
            yield connection
        finally:
            if on_sqlite:
                raw.execute("PRAGMA foreign_keys = ON")
