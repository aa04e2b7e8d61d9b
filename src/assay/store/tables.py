"""Tables of Parquet files, one folder a day: `tables/<name>/day=YYYY-MM-DD/<part>.parquet`.

A part is written whole or not at all, under a name that its source decides; writing the same part again replaces it.
So whoever writes can be killed at any time and start over.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import BadInput
from assay.store.artifacts import write_whole

_PART = re.compile(r"\w[\w.:@#-]*")
_EPOCH = np.datetime64(0, "us")


def folder(tables: Path, name: str) -> Path:
    """Where a table is kept; raises `BadInput` for a name that would leave `tables`."""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise BadInput(f"{name!r} can't be the name of a table", do="Use letters, digits and underscores.")
    return tables / name


def write_part(tables: Path, name: str, part: str, rows: pa.Table, *, day: str) -> int:
    """Write `rows` as the part called `part`, split by the UTC day of their `day` column; returns the files written.

    Rows without a time are filed under 1970-01-01. The part's files of other days, from another time, are removed.
    Raises `BadInput` for the name of a part that would leave the folder.
    """
    where = folder(tables, name)
    if not _PART.fullmatch(part):
        raise BadInput(
            f"{part!r} can't be the name of a part", do="Use letters, digits and . _ - : @ # after the first."
        )
    times = rows.column(day).cast(pa.timestamp("us"), safe=False).to_numpy()
    days, codes = np.unique(np.where(np.isnat(times), _EPOCH, times).astype("datetime64[D]"), return_inverse=True)

    def write(code: int) -> None:
        write_whole(where / f"day={days[code]}" / f"{part}.parquet", _parquet(rows.filter(pa.array(codes == code))))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(write, range(len(days))))  # the list raises what a thread raised
    written = {f"day={value}" for value in days}
    for path in where.glob(f"*/{part}.parquet"):
        if path.parent.name not in written:
            path.unlink(missing_ok=True)
    return len(days)


def _parquet(rows: pa.Table) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue().to_pybytes()


def glob(tables: Path, name: str) -> str | None:
    """The pattern of a table's files, or None while it has none."""
    where = folder(tables, name)
    return str(where / "*" / "*.parquet") if any(where.glob("*/*.parquet")) else None
