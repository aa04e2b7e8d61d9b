"""DuckDB connections, all with the same settings."""

import os
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

import duckdb

from assay.store.memory import free_bytes, spill_bytes

#: With less, DuckDB can't even sort; where so much is not there, it says so when it is used.
LEAST_BYTES = 128 << 20


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB whose times are in UTC and that never goes to the network.

    It takes half of the free memory at most. What is larger goes to files in a folder of its own below that of temporary
    files, which exists only while it is needed, and takes half of the free disk at most.
    """
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    with suppress(duckdb.InvalidInputException):  # in a notebook without ipywidgets: there it is off, and can't be set
        connection.execute("SET enable_progress_bar = false")  # on stdout, from the third second on
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = '{max(free_bytes() // 2, LEAST_BYTES) >> 10}KiB'")
    spill = Path(tempfile.gettempdir()) / f"assay-{os.getpid()}-{uuid.uuid4().hex}"
    connection.execute("SET temp_directory = $1", [str(spill)])
    connection.execute(f"SET max_temp_directory_size = '{spill_bytes() >> 10}KiB'")
    return connection
