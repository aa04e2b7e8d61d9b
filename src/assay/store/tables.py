"""Tables of Parquet files, one folder a day: `tables/<name>/day=YYYY-MM-DD/<part>.parquet`.

A part is written whole or not at all, under a name that its source decides; writing the same part again replaces it.
So whoever writes can be killed at any time and start over.
"""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import BadInput
from assay.store.artifacts import write_whole

_EPOCH = np.datetime64(0, "us")


def folder(tables: Path, name: str) -> Path:
    """Where a table is kept; raises `BadInput` for a name that would leave `tables`."""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise BadInput(f"{name!r} can't be the name of a table", do="Use letters, digits and underscores.")
    return tables / name


def write_part(tables: Path, name: str, part: str, rows: pa.Table, *, day: str) -> int:
    """Write `rows` as the part called `part`, split by the UTC day of their `day` column; returns the files written.

    Rows without a time are filed under 1970-01-01.
    """
    where = folder(tables, name)
    times = rows.column(day).cast(pa.timestamp("us")).to_numpy()
    days, codes = np.unique(np.where(np.isnat(times), _EPOCH, times).astype("datetime64[D]"), return_inverse=True)
    for code, value in enumerate(days):
        write_whole(where / f"day={value}" / f"{part}.parquet", _parquet(rows.filter(pa.array(codes == code))))
    return len(days)


def _parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def glob(tables: Path, name: str) -> str | None:
    """The pattern of a table's files, or None while it has none."""
    where = folder(tables, name)
    return str(where / "*" / "*.parquet") if any(where.glob("*/*.parquet")) else None
