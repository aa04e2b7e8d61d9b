"""What the footers of Parquet files say of their columns, so that these need not be read."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: Microseconds in a unit of time; nanoseconds are cut to them.
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True)
class Known:
    """One column, over all files."""

    type: pa.DataType | None
    #: Rows in which it is null, or which a file without it has; NaN is not among them.
    nulls: int
    #: Rows in which it is not null.
    values: int
    #: The least and the greatest value, NaN left out, times in microseconds since 1970; None where nothing tells.
    low: float | None
    high: float | None

    @property
    def may_hold_nan(self) -> bool:
        """Whether NaN, which no footer counts, may be among the values."""
        return self.type is not None and pa.types.is_floating(self.type) and self.values > 0


@dataclass(frozen=True)
class Footers:
    """A table as its files describe it."""

    rows: int
    #: Only columns of which every file tells enough.
    columns: dict[str, Known]


def read_footers(files: Sequence[Path], columns: Collection[str]) -> Footers:
    """What the files say of `columns`; one that a file says too little of, or another type, is left out.

    Raises `pyarrow.ArrowInvalid` or `OSError` for a file that is not whole.
    """
    with ThreadPoolExecutor() as threads:
        parts = list(threads.map(lambda file: _read(pq.read_metadata(file), columns), files))
    return Footers(sum(part.rows for part in parts), reduce(_together, (part.columns for part in parts)))


def _read(footer: Any, columns: Collection[str]) -> Footers:
    schema = footer.schema.to_arrow_schema()
    paths = [footer.schema.column(i).path for i in range(footer.num_columns)]
    found: dict[str, Known] = {}
    for name in columns:
        alike = [other for other in schema.names if other.lower() == name.lower()]  # DuckDB takes them for one
        if not alike:
            found[name] = Known(None, footer.num_rows, 0, None, None)
        elif alike == [name] and paths.count(name) == 1 and not pa.types.is_nested(schema.field(name).type):
            known = _column(footer, paths.index(name), schema.field(name).type)
            found |= {name: known} if known else {}
    return Footers(footer.num_rows, found)


def _column(footer: Any, position: int, kind: pa.DataType) -> Known | None:
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    statistics = [group.column(position).statistics for group in groups if group.num_rows]
    if any(one is None or not one.has_null_count for one in statistics):
        return None
    nulls = sum(one.null_count for one in statistics)
    filled = [one for one in statistics if one.num_values]
    ends = [_ends(one, kind) for one in filled]
    known = [end for end in ends if end]
    low, high = (
        (min(a for a, _ in known), max(b for _, b in known)) if known and len(known) == len(ends) else (None, None)
    )
    return Known(kind, nulls, footer.num_rows - nulls, low, high)


def _ends(statistics: Any, kind: pa.DataType) -> tuple[float, float] | None:
    if not statistics.has_min_max:
        return None
    if pa.types.is_timestamp(kind):
        raw = statistics.min_raw, statistics.max_raw
        if not all(isinstance(end, int) for end in raw):  # the times of old Spark and Impala
            return None
        low, high = (end // 1_000 if kind.unit == "ns" else end * _MICROSECONDS[kind.unit] for end in raw)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        low, high = statistics.min, statistics.max
    else:
        return None
    return (low, high) if low == low and high == high else None  # NaN: the writer did not leave it out


def _together(a: dict[str, Known], b: dict[str, Known]) -> dict[str, Known]:
    joined = {name: _joined(a[name], b[name]) for name in a if name in b}
    return {name: known for name, known in joined.items() if known}


def _joined(a: Known, b: Known) -> Known | None:
    if a.type is not None and b.type is not None and a.type != b.type:
        return None
    full = [one for one in (a, b) if one.values]
    lows, highs = [one.low for one in full if one.low is not None], [one.high for one in full if one.high is not None]
    told = full and len(lows) == len(full)
    return Known(
        a.type if a.type is not None else b.type,
        a.nulls + b.nulls,
        a.values + b.values,
        min(lows) if told else None,
        max(highs) if told else None,
    )
