"""Reads the user's table, by event time."""

from datetime import date, datetime, timedelta
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assay.contract import Record, fields
from assay.contract.formats.arrow import schema
from assay.contract.record import need_event_time
from assay.errors import BadInput, NotFound, Unavailable, near_miss
from assay.store import current
from assay.times import duration, instant, now

DAY = timedelta(days=1)
_MOMENT = pa.timestamp("us", tz="UTC")


def read(
    table: str | Path,
    contract: type[Record],
    *,
    until: str | datetime | date | None = None,
    last: str | timedelta | None = None,
) -> pa.Table:
    """The rows of a Parquet folder or file whose event time lies in `[until - last, until)`, oldest first.

    `table` is relative to the project; `until` is now when only `last` is given. Of a folder split into
    `day=YYYY-MM-DD`, only the days asked for are opened, and one more on either side: they may be days of another zone.
    Raises `NotFound` when there is no such table, `BadInput` when it lacks the event time or has no time zone,
    `Unavailable` when a file can't be read.
    """
    need_event_time(contract)
    end = instant(until) if until is not None else now() if last is not None else None
    start = end - duration(last) if end is not None and last is not None else None
    path = current().home.project / table
    if not path.exists():
        raise NotFound(f"there is no table {table} in {current().home.project}")
    try:
        return _read(path, str(table), contract, start, end)
    except (pa.ArrowInvalid, OSError) as error:
        raise Unavailable(
            f"{table} can't be read: {error}", do="Write the file again; it is no whole Parquet file."
        ) from None


def _read(path: Path, table: str, contract: type[Record], start: datetime | None, end: datetime | None) -> pa.Table:
    import pyarrow.dataset as ds  # where pandas is installed it is loaded too, which takes half a second

    by_day = any(path.glob("day=*"))
    days = ds.partitioning(pa.schema([("day", pa.string())]), flavor="hive") if by_day else None
    data = ds.dataset(path, format="parquet", partitioning=days)
    if not data.files:
        raise NotFound(f"{table} holds no Parquet file", do="Look at where it is written.")
    time = need_event_time(contract)
    _need_time(data.schema, time, table)
    wanted = _between(time, start, end, by_day=by_day)
    try:
        rows = data.to_table(filter=wanted) if _tells_all(data.schema, contract) else None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        rows = None
    if rows is None:  # the schema is the first file's; others have more columns, or other types
        widest = _of_all_files(data, contract, table)
        again = ds.dataset(path, format="parquet", partitioning=days, schema=widest)
        try:
            rows = again.to_table(filter=wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _disagreeing(table, error) from None
    return (rows.drop_columns(["day"]) if by_day else rows).sort_by(time)


def _tells_all(schema: pa.Schema, contract: type[Record]) -> bool:
    """Whether a schema has every column of the contract, each of a type."""
    types = {name: schema.field(name).type for name in schema.names}
    return all(field.name in types and not pa.types.is_null(types[field.name]) for field in fields(contract))


def _disagreeing(table: str, error: Exception) -> BadInput:
    return BadInput(f"the files of {table} disagree: {error}", do="Write each column with one type.")


def _of_all_files(data: Any, contract: type[Record], table: str) -> pa.Schema:
    """The columns of every file; those of the contract with its types."""
    schemas = [data.schema, *(fragment.physical_schema for fragment in data.get_fragments())]
    there = {name for one in schemas for name in one.names}
    declared = [column.with_nullable(True) for column in schema(contract) if column.name in there]
    names = {column.name for column in declared}
    others = [pa.schema([column for column in one if column.name not in names]) for one in schemas]
    try:
        return pa.schema([*declared, *pa.unify_schemas(others, promote_options="permissive")])
    except pa.ArrowTypeError as error:
        raise _disagreeing(table, error) from None


def _need_time(schema: pa.Schema, time: str, table: str) -> None:
    if time not in schema.names:
        raise BadInput(
            f"{table} has no column {time}", near_miss(time, schema.names), do="Rename it, or mend the contract."
        )
    kind = schema.field(time).type
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        raise BadInput(
            f"{table}: {time} is {kind}, a time without a zone",
            do='Write it as UTC: pc.assume_timezone(column, "America/New_York").',
        )


def _between(name: str, start: datetime | None, end: datetime | None, *, by_day: bool) -> pc.Expression | None:
    found: list[pc.Expression] = []
    if start is not None:
        found.append(pc.field(name) >= pa.scalar(start, _MOMENT))
        found += [pc.field("day") >= (start - DAY).date().isoformat()] if by_day else []
    if end is not None:
        found.append(pc.field(name) < pa.scalar(end, _MOMENT))
        found += [pc.field("day") <= (end + DAY).date().isoformat()] if by_day else []
    return reduce(and_, found) if found else None
