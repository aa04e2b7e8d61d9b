"""The profile of a table: rows, and for each column nulls, range, moments, quantiles or frequent values.

Profiles of parts merge to the profile of the whole: counts, minima and maxima exactly, moments to rounding,
quantiles and frequent values within the bounds of their sketches.
"""

import os
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from assay.contract.columns import Array
from assay.errors import BadInput, Corrupt
from assay.profiles.frequent import Frequent, frequent, merge_frequent
from assay.profiles.quantiles import check, merge_sketches, sketch, weighted

Kind = Literal["number", "text", "truth", "time"]
_MAGIC = b"APF1"
_MANY = 100_000
#: So many values stay in the processor while they are gone through thrice.
_CACHED = 1 << 14


class Moments(msgspec.Struct, frozen=True):
    """Mean and second central moment (sum of squared deviations) of `count` finite numbers."""

    count: int = 0
    mean: float = 0.0
    second: float = 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation, dividing by n."""
        return (self.second / self.count) ** 0.5 if self.count else 0.0


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The profile of one column."""

    kind: Kind
    rows: int
    #: Missing values; NaN is missing.
    nulls: int
    #: Of numbers and times (seconds since 1970, UTC); None when there is no value.
    low: float | None = None
    high: float | None = None
    moments: Moments = Moments()
    #: A KLL sketch of numbers and times, or nothing.
    quantiles: bytes = b""
    #: Of texts, and of true and false.
    frequent: Frequent = Frequent()

    @property
    def count(self) -> int:
        """Values that are there."""
        return self.rows - self.nulls

    @property
    def categorical(self) -> bool:
        """Whether it is compared by categories rather than by order."""
        return self.kind in ("text", "truth")

    @property
    def sample(self) -> tuple[Array, Array]:
        """Of numbers: distinct values ascending, and how many rows each stands for."""
        return weighted(self.quantiles) if self.quantiles else (np.empty(0), np.empty(0))


class Profile(msgspec.Struct, frozen=True):
    """The profile of a table, or of a window of it."""

    rows: int = 0
    columns: dict[str, ColumnProfile] = {}

    # Imported when they are needed: imported before DuckDB, modules outlive it when a process ends, and DuckDB complains.
    def __str__(self) -> str:
        from assay.draw import printed

        return printed(self)

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        from assay.draw.shown import fragment, in_notebook

        return fragment(*in_notebook(self))


def profile(table: pa.Table | pa.RecordBatchReader) -> Profile:
    """The profile of a table, or of a stream of batches of which one is in memory at a time.

    Columns that are neither numbers, texts, truth values nor times are left out.
    """
    if isinstance(table, pa.Table):
        return _of(table)
    return merge([_of(pa.table(batch)) for batch in table] or [_of(table.schema.empty_table())])


def _of(table: pa.Table) -> Profile:
    names = table.column_names
    if table.num_rows < _MANY:
        made = [*map(_column, table.columns)]
    else:  # sorting and counting leave the interpreter to others
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            made = list(threads.map(_column, table.columns))
    return Profile(table.num_rows, {name: column for name, column in zip(names, made, strict=True) if column})


def kind_of(dtype: pa.DataType) -> Kind | None:
    """How values of an Arrow type are profiled; None for nested and binary ones."""
    if pa.types.is_dictionary(dtype):
        return kind_of(dtype.value_type)
    if pa.types.is_boolean(dtype):
        return "truth"
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
        return "number"
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype):
        return "text"
    return "time" if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype) else None


def _column(values: pa.ChunkedArray) -> ColumnProfile | None:
    kind = kind_of(values.type)
    if kind is None:
        return None
    if kind == "time":
        micros = values.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return _ordered(kind, _floats(micros) / 1e6)
    if kind == "number":
        return _ordered(kind, _floats(values))
    if kind == "truth":
        return _truth(values)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    flat = values.cast(pa.string()).combine_chunks()
    return ColumnProfile(kind=kind, rows=len(flat), nulls=flat.null_count, frequent=frequent(flat))


def _truth(values: pa.ChunkedArray) -> ColumnProfile:
    yes = sum(chunk.true_count for chunk in values.chunks)
    counts = {"true": yes, "false": len(values) - values.null_count - yes}
    kept = {name: count for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count}
    return ColumnProfile(kind="truth", rows=len(values), nulls=values.null_count, frequent=Frequent(kept))


def _floats(values: pa.ChunkedArray) -> Array:
    """float64, null as NaN."""
    return values.cast(pa.float64(), safe=False).to_numpy()


def _ordered(kind: Kind, values: Array) -> ColumnProfile:
    present = np.sort(values)  # NaN last
    rows = len(values)
    present = present[: rows - int(np.isnan(values).sum())]
    if len(present) == 0:
        return ColumnProfile(kind=kind, rows=rows, nulls=rows)
    return ColumnProfile(
        kind=kind,
        rows=rows,
        nulls=rows - len(present),
        low=float(present[0]),
        high=float(present[-1]),
        moments=_moments(present),
        quantiles=sketch(present),
    )


def _moments(values: Array) -> Moments:
    finite = values if np.isfinite(values[[0, -1]]).all() else values[np.isfinite(values)]
    if len(finite) == 0:
        return Moments()
    with np.errstate(over="ignore", invalid="ignore"):
        return reduce(_both, (_moments_of(finite[at : at + _CACHED]) for at in range(0, len(finite), _CACHED)))


def _moments_of(values: Array) -> Moments:
    mean = float(values.mean())
    off = values - mean
    # Not a dot product: threads of BLAS would fight with ours.
    return Moments(len(values), mean, float(np.multiply(off, off, out=off).sum()))


def merge(parts: Iterable[Profile]) -> Profile:
    """The profile of all rows together; a column that a part lacks has no rows in it.

    Raises `BadInput` when a column is of another kind in another part.
    """
    listed = list(parts)
    names = dict.fromkeys(name for part in listed for name in part.columns)
    columns = {
        name: merge_columns([part.columns[name] for part in listed if name in part.columns], name) for name in names
    }
    return Profile(sum(part.rows for part in listed), columns)


def merge_columns(parts: Sequence[ColumnProfile], name: str = "the column") -> ColumnProfile:
    """The profile of a column from those of its parts; raises `BadInput` when they are of several kinds."""
    if len(parts) == 1:
        return parts[0]
    kinds: set[Kind] = {part.kind for part in parts if part.count} or {parts[0].kind}
    if len(kinds) > 1:
        raise BadInput(f"{name} is {' and '.join(sorted(kinds))} in different parts", do="Give it one type.")
    filled = [part for part in parts if part.count]
    sketches = [part.quantiles for part in filled if part.quantiles]
    return ColumnProfile(
        kind=kinds.pop(),
        rows=sum(part.rows for part in parts),
        nulls=sum(part.nulls for part in parts),
        low=min((part.low for part in filled if part.low is not None), default=None),
        high=max((part.high for part in filled if part.high is not None), default=None),
        moments=reduce(_both, (part.moments for part in parts)),
        quantiles=merge_sketches(sketches) if len(sketches) > 1 else next(iter(sketches), b""),
        frequent=merge_frequent([part.frequent for part in parts]),
    )


def _both(a: Moments, b: Moments) -> Moments:
    """Source: Chan, Golub and LeVeque (1979), Updating Formulae and a Pairwise Algorithm, equation 1.5."""
    count = a.count + b.count
    if not a.count or not b.count:
        return a if a.count else b
    apart = b.mean - a.mean
    second = a.second + b.second + apart * apart * a.count * b.count / count
    return Moments(count, a.mean + apart * b.count / count, second)


def encode(whole: Profile) -> bytes:
    """A profile as bytes with a checksum; some kilobytes a column."""
    body = zlib.compress(msgspec.msgpack.encode(whole), 6)
    return _MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def decode(data: bytes) -> Profile:
    """The profile of bytes that `encode` gave; raises `Corrupt` for any other."""
    body = data[8:]
    if data[:4] != _MAGIC or data[4:8] != zlib.crc32(body).to_bytes(4, "little"):
        raise Corrupt("a stored profile is damaged, or of another version", do="Create the profile again.")
    try:
        whole: Any = msgspec.msgpack.decode(zlib.decompress(body), type=Profile)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise Corrupt(f"a stored profile can't be read: {error}", do="Create the profile again.") from None
    for column in whole.columns.values():
        if column.quantiles or (column.count and not column.categorical):
            check(column.quantiles, column.count)
    return whole
