"""What the footers of Parquet files say of their columns, so that these need not be read."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from assay.tables.facts import Aggregates, Known
from assay.tables.reading import BROKEN, first_line

#: Microseconds in a unit of time; nanoseconds are cut to them.
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_DAY_US = 86_400_000_000
#: So many are decoded at a time where a file is only tried.
_ROWS = 1 << 13


class _Part(NamedTuple):
    """A column of one file; of no type where the file lacks it."""

    type: pa.DataType | None
    nulls: int
    values: int
    low: float | None
    high: float | None
    one_value: bool = False


def read_footers(files: Sequence[Path], columns: Collection[str]) -> Aggregates:
    """What the files say of `columns`; one of which a file says too little, or another type, is left out.

    Raises `pyarrow.ArrowInvalid` or `OSError` for a file that is not whole.
    """

    def read(file: Path) -> tuple[int, list[_Part | None]]:  # not the footer itself, which is large
        footer = pq.read_metadata(file)
        return footer.num_rows, [_part(footer, name) for name in columns]

    with ThreadPoolExecutor() as threads:
        found = list(threads.map(read, files))
    parts = {name: [part for _, said in found if (part := said[i])] for i, name in enumerate(columns)}
    known = {name: _together(said) for name, said in parts.items() if len(said) == len(files)}
    return Aggregates(sum(rows for rows, _ in found), {name: one for name, one in known.items() if one})


def unreadable(file: Path) -> str:
    """What is wrong with a Parquet file, from reading all of it, column by column; empty when it is whole."""
    try:
        with pq.ParquetFile(file) as opened:
            for name in opened.schema_arrow.names:
                for _ in opened.iter_batches(_ROWS, columns=[name]):
                    pass
    except BROKEN as error:
        return first_line(error)
    return ""


def _part(footer: Any, name: str) -> _Part | None:
    schema = footer.schema.to_arrow_schema()
    alike = [other for other in schema.names if other.lower() == name.lower()]  # DuckDB takes them for one
    if not alike:
        return _Part(None, footer.num_rows, 0, None, None)
    places = [i for i in range(footer.num_columns) if footer.schema.column(i).path == name]
    kind = schema.field(alike[0]).type
    if alike != [name] or len(places) != 1 or pa.types.is_nested(kind):
        return None
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    statistics = [group.column(places[0]).statistics for group in groups if group.num_rows]
    if any(one is None or not one.has_null_count for one in statistics):
        return None
    nulls = sum(one.null_count for one in statistics)
    ends = [_ends(one, kind) for one in statistics if one.num_values]
    one_value = any(end and end[0] == end[1] for end in ends)
    return _Part(kind, nulls, footer.num_rows - nulls, *_widest(ends), one_value=one_value)


def _ends(statistics: Any, kind: pa.DataType) -> tuple[float, float] | None:
    if not statistics.has_min_max:
        return None
    if pa.types.is_timestamp(kind):
        raw = statistics.min_raw, statistics.max_raw
        if not all(isinstance(end, int) for end in raw):  # the times of old Spark and Impala
            return None
        low, high = (end // 1_000 if kind.unit == "ns" else end * _MICROSECONDS[kind.unit] for end in raw)
    elif pa.types.is_date32(kind):
        low, high = (end * _DAY_US for end in (statistics.min_raw, statistics.max_raw))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        low, high = statistics.min, statistics.max
    else:
        return None
    return (low, high) if low == low and high == high else None  # NaN: the writer did not leave it out


def _widest(ends: Sequence[tuple[float, float] | None]) -> tuple[float | None, float | None]:
    known = [end for end in ends if end]
    return (min(a for a, _ in known), max(b for _, b in known)) if known and len(known) == len(ends) else (None, None)


def _together(parts: Sequence[_Part]) -> Known | None:
    types = {part.type for part in parts if part.type is not None}
    if len(types) > 1:
        return None
    ends = [None if part.low is None or part.high is None else (part.low, part.high) for part in parts if part.values]
    values = sum(part.values for part in parts)
    floating = any(pa.types.is_floating(kind) for kind in types)
    return Known(
        sum(part.nulls for part in parts),
        values,
        *_widest(ends),
        may_hold_nan=floating and values > 0,
        one_value=any(part.one_value for part in parts),
    )


def text_files(files: Sequence[Path], column: str) -> list[Path]:
    """The Parquet files that hold text in a column; none when all do, or what holds it can't be told."""
    found: list[Path] = []
    there = 0
    for file in files:
        try:
            schema = pq.read_schema(file)
        except (pa.ArrowException, OSError, ValueError):
            continue
        if column in schema.names:
            there += 1
            kind = schema.field(column).type
            found += [file] * (pa.types.is_string(kind) or pa.types.is_large_string(kind))
    return found if len(found) < there else []
