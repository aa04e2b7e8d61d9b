"""What an error of SQLite or PostgreSQL means: an outage, a conflict, a full disk, or a request that can't be kept."""

import sqlite3
from collections.abc import Callable
from typing import Any

from assay.errors import AssayError, BadInput, Conflict, Corrupt, NotFound, Taken, Unavailable

#: Limits of SQLite that a request can exceed; all of them have the same error code as a mistake in the statement.
_TOO_COMPLEX = (
    "too many",
    "at most",
    "too large",
    "too complex",
    "too big",
    "parser stack overflow",
    "statement too long",
)
_NO_SUCH = ("no such table", "no such column", "has no column named")


def meaning(error: BaseException, where: str, newer: Callable[[], AssayError | None]) -> AssayError | None:
    """The error of ours for one that a driver raised; None for a mistake in our own statement.

    `where` names the database. `newer` is asked when a table or a column is missing: it gives the error to raise when
    another process has upgraded the schema.
    """
    if isinstance(error, AssayError):  # of a column type
        return error
    if isinstance(error, (OverflowError, UnicodeError)):
        return _unfit(str(error))
    if isinstance(error, sqlite3.Error):
        name: str = getattr(error, "sqlite_errorname", "")
        return _of_sqlite(name.removeprefix("SQLITE_"), str(error), where, newer)
    if hasattr(error, "sqlstate"):
        return _of_postgres(error, where, newer)
    return None


def _of_sqlite(code: str, said: str, where: str, newer: Callable[[], AssayError | None]) -> AssayError | None:
    family = code.partition("_")[0]
    if code in ("CONSTRAINT_UNIQUE", "CONSTRAINT_PRIMARYKEY", "CONSTRAINT_ROWID"):
        return _taken(said.partition(": ")[2])
    if code == "CONSTRAINT_FOREIGNKEY":
        return _gone(said)
    if family == "ERROR" and any(words in said for words in _NO_SUCH):
        return newer()
    if family == "TOOBIG" or (family == "ERROR" and any(words in said for words in _TOO_COMPLEX)):
        return _too_much(said)
    if family in _SQLITE:
        what, do = _SQLITE[family]
        kind = Conflict if family in ("BUSY", "LOCKED") else Corrupt if family in ("CORRUPT", "NOTADB") else Unavailable
        return kind(what.format(where), said, do=do)
    return None


_SQLITE = {
    "BUSY": ("the database {} is locked by another process", "Try again in a moment."),
    "LOCKED": ("the database {} is locked by another connection", "Try again in a moment."),
    "READONLY": ("the database {} can't be written: it is read-only", "Make the file and its folder writable."),
    "PERM": ("the database {} can't be used", "Correct the permissions of the file."),
    "CANTOPEN": ("the database {} can't be opened", "Correct the path, or the permissions of the file and its folder."),
    "FULL": ("the database {} can't be written: the disk is full", "Free some disk space; nothing was changed."),
    "IOERR": ("the disk of the database {} has an error", "Check the disk and its free space; nothing was changed."),
    "NOMEM": ("there is not enough memory for the database {}", "Ask for less, or free some memory."),
    "CORRUPT": ("the database {} is damaged", "Restore it from a backup."),
    "NOTADB": (
        "the database {} is damaged, or another kind of file",
        "Restore it from a backup, or name another file.",
    ),
    "PROTOCOL": ("the database {} is locked by another process", "Try again in a moment."),
    "INTERRUPT": ("a statement on the database {} was interrupted", "Ask again."),
}


def _of_postgres(error: Any, where: str, newer: Callable[[], AssayError | None]) -> AssayError | None:
    from psycopg import DataError, InterfaceError, OperationalError

    state, said = error.sqlstate or "", _first_line(error)
    if state in _STATES or state[:2] in _STATES:
        kind, what, do = _STATES.get(state) or _STATES[state[:2]]
        return kind(what.format(where), said, do=do)
    if state == "23505":
        return _taken(error.diag.message_detail or said)
    if state == "23503":
        return _gone(error.diag.message_detail or said)
    if state in ("42P01", "42703"):
        return newer()
    if state[:2] == "54" or "number of parameters" in said:
        return _too_much(said)
    if isinstance(error, DataError):
        return _unfit(said)
    if isinstance(error, (OperationalError, InterfaceError)):
        return _outage(where, said)
    return None


_FULL = "Free some disk space there; nothing was changed."
_STATES: dict[str, tuple[type[AssayError], str, str]] = {
    "40": (Conflict, "others changed the same rows of the database {} at once", "Try again in a moment."),
    "55P03": (Conflict, "rows of the database {} are locked", "Try again in a moment."),
    "53100": (Unavailable, "the database {} can't be written: its disk is full", _FULL),
    "53200": (Unavailable, "the database {} is out of memory", "Ask for less, or give it more memory."),
    "53300": (Unavailable, "the database {} has no connection left", "Raise its max_connections, or close some."),
    "57014": (Unavailable, "a statement on the database {} took longer than the server allows", "Ask for less."),
    "25006": (Unavailable, "the database {} can't be written: it is read-only", "Name the primary server."),
    "42501": (Unavailable, "the database {} refuses access", "Grant the user the rights on the tables."),
    "XX001": (Corrupt, "the database {} is damaged", "Restore it from a backup."),
    "XX002": (Corrupt, "the database {} is damaged", "Restore it from a backup."),
}


def _outage(where: str, said: str) -> AssayError:
    if "FATAL:" in said:
        return Unavailable(
            f"the database {where} refuses the connection",
            said.partition("FATAL:")[2].strip(),
            do="Correct user, password and name of the database in ASSAY_DATABASE, or its server.",
        )
    return Unavailable(f"the database {where} does not answer", said, do="Start it, or set ASSAY_DATABASE to another.")


def _taken(which: str) -> AssayError:
    return Taken("this name or number is taken", which, do="Choose another, or change that one.")


def _gone(which: str) -> AssayError:
    return NotFound("this refers to something that does not exist", which, do="Create it first.")


def _too_much(said: str) -> AssayError:
    return BadInput("the request is too large or too complex for the database", said, do="Ask for less at once.")


def _unfit(said: str) -> AssayError:
    return BadInput("the database can't store a value", said, do="Use smaller numbers, shorter texts, valid Unicode.")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
