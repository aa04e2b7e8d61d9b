"""Tables of Parquet files, one folder a day: `tables/<name>/day=YYYY-MM-DD/<part>.parquet`.

A part is written whole or not at all, under a name that its source decides; writing the same part again replaces it.
So whoever writes can be killed at any time and start over.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.errors import BadInput
from assay.store.artifacts import write_whole


def folder(tables: Path, name: str) -> Path:
    """Where a table is kept; raises `BadInput` for a name that would leave `tables`."""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise BadInput(f"{name!r} can't be the name of a table", do="Use letters, digits and underscores.")
    return tables / name


def write_part(tables: Path, name: str, part: str, rows: pa.Table, *, day: str) -> int:
    """Write `rows` as the part called `part`, split by the day, in UTC, of their `day` column; returns the files written."""
    where = folder(tables, name)
    days = pc.strftime(pc.fill_null(rows.column(day), pa.scalar(0, rows.column(day).type)), format="%Y-%m-%d")
    values, starts, order = _grouped(days.to_numpy(zero_copy_only=False) if isinstance(days, pa.Array) else days.to_numpy())
    for i, value in enumerate(values):
        chosen = rows.take(pa.array(np.sort(order[starts[i] : starts[i + 1]])))
        write_whole(where / f"day={value}" / f"{part}.parquet", _parquet(chosen))
    return len(values)


def _grouped(keys: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    values, codes = np.unique(keys.astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(values) + 1))
    return values, starts, order


def _parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def glob(tables: Path, name: str) -> str | None:
    """The pattern of a table's files, or None while it has none."""
    where = folder(tables, name)
    return str(where / "*" / "*.parquet") if any(where.glob("*/*.parquet")) else None
