"""Delta and Iceberg tables, by what their log says: rows that were deleted stay deleted."""

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from assay.errors import BadInput, Unavailable
from assay.tables.column_names import refuse_alike
from assay.tables.duck import DuckTable, connected, load, view_over
from assay.tables.reading import first_line, reading

Lake = Literal["delta", "iceberg"]
_METADATA = re.compile(r"v?(\d+)(-[0-9a-f-]+)?(\.gz)?\.metadata\.json(\.gz)?")
_NAMES: dict[Lake, tuple[str, str]] = {"delta": ("Delta", "deltalake"), "iceberg": ("Iceberg", "pyiceberg")}


def lake(name: str) -> Lake | None:
    """Of which kind a folder is, if any."""
    if (Path(name) / "_delta_log").is_dir():
        return "delta"
    return "iceberg" if _newest(Path(name)) else None


def open_lake(name: str, kind: Lake) -> DuckTable:
    """Read the newest version of a table once into memory.

    Raises `BadInput` when its library is not installed, `Unavailable` when the log or a file can't be read.
    """
    read: dict[Lake, Callable[[Path], pa.RecordBatchReader]] = {"delta": _delta, "iceberg": _iceberg}
    word, library = _NAMES[kind]
    connection = connected()
    try:
        with reading(name):
            rows = read[kind](Path(name))
            refuse_alike(name, rows.schema.names)
            load(connection, rows.schema, _batches(rows))
            return DuckTable(connection, name, view_over(connection, name, "loaded", file="NULL::VARCHAR", row="rowid"))
    except ModuleNotFoundError as error:
        connection.close()
        if (error.name or "").partition(".")[0] != library:
            raise
        do = f'Run: pip install "assay[{kind}]"'
        raise BadInput(f"{name} is a table of {word}, which needs {library}", do=do) from None
    except BaseException:
        connection.close()
        raise


def _batches(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    yield from rows


def _delta(folder: Path) -> pa.RecordBatchReader:
    delta: Any = import_module("deltalake")
    broken = import_module("deltalake.exceptions").DeltaError

    try:
        query = delta.QueryBuilder().register("lake", delta.DeltaTable(str(folder))).execute("SELECT * FROM lake")
        return pa.RecordBatchReader.from_stream(query)
    except (broken, OSError) as error:
        raise _unreadable(folder, "Delta", error) from None


def _iceberg(folder: Path) -> pa.RecordBatchReader:
    table: Any = import_module("pyiceberg.table").StaticTable
    broken = import_module("pyiceberg.exceptions").ValidationError

    try:
        return table.from_metadata(str(_newest(folder))).scan().to_arrow_batch_reader()
    except (broken, OSError, ValueError, NotImplementedError) as error:
        raise _unreadable(folder, "Iceberg", error) from None


def _unreadable(folder: Path, word: str, error: Exception) -> Unavailable:
    do = f"Look whether {word} itself reads it; its paths may be those of another machine."
    return Unavailable(f"{folder} can't be read as a table of {word}", first_line(error), do=do)


def _newest(folder: Path) -> Path | None:
    """The newest metadata of an Iceberg table."""
    found = folder.glob("metadata/*.metadata.json*")
    numbered = [(int(match[1]), path) for path in found if (match := _METADATA.fullmatch(path.name))]
    return max(numbered)[1] if numbered else None
