"""SQLite files that this process may only read: those of a backup, of a snapshot, of another user.

A database in WAL mode is read through two files beside it, which SQLite makes. Where it can't, they must be there, or
there is nothing in them and the file itself never changes (`immutable=1`).
"""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL

from assay.errors import Unavailable
from assay.store.durable import can_write
from assay.store.mounts import check_local


def file_of(url: URL) -> Path | None:
    """The file of an SQLite URL; None for one in memory, for a URI of SQLite's own, and for another database."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)


def is_read_only(file: Path) -> bool:
    """Whether a database file is there and this process can't write it, or nothing beside it."""
    return file.exists() and not (os.access(file, os.W_OK) and can_write(file.parent))


def connect_file(file: Path) -> sqlite3.Connection:
    """A connection that makes and changes nothing where it may not write.

    Raises `Unavailable` when the newest transactions can't be read, `BadInput` when others write them over a network.
    """
    immutable = not can_write(file.parent) and not _is_in_use(file)
    if not immutable:  # through the two files beside it
        check_local(file)
    how = "mode=ro&immutable=1" if immutable else "mode=ro"
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?{how}", uri=True, check_same_thread=False)


def _is_in_use(file: Path) -> bool:
    """Whether there is more to the database than its file. Raises `Unavailable` when that can't be read."""
    wal, shared = (file.with_name(file.name + end) for end in ("-wal", "-shm"))
    if wal.exists() and shared.exists():
        return True
    if wal.exists() and wal.stat().st_size > 0:
        raise Unavailable(
            f"the newest transactions of {file} are in {wal.name}, which can't be read where nothing can be written",
            do="Copy both to a folder that you can write, and read them there.",
        )
    return file.with_name(file.name + "-journal").exists()
