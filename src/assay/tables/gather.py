"""Rows that arrive in batches, kept in memory as far as there is room."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from operator import and_
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from assay.contract import Record
from assay.contract.formats.arrow import localized
from assay.contract.record import field_named, need_event_time
from assay.errors import BadInput, near_miss
from assay.store.memory import free_bytes

_FEWER = "Read fewer days at once: give until= and last=. Or write a sample of the table, and read that."
DAY = timedelta(days=1)


class Span(NamedTuple):
    """The rows whose event time lies in `[start, end)`; None for no bound."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def whole(self) -> bool:
        """True when every row lies in it."""
        return self.start is None and self.end is None


ALWAYS = Span()


def gather(name: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The batches as one table, which has `schema` when there are none. Raises `BadInput` before they need more memory than is free."""
    kept: list[pa.RecordBatch] = []
    size, rows, room = 0, 0, free_bytes()
    for batch in batches:
        if batch.num_rows:
            size += batch.nbytes
            rows += batch.num_rows
            kept.append(batch)
        if sorted_bytes(size, rows) > room:
            raise too_large(name, f"the first {rows:,} rows take", sorted_bytes(size, rows), room)
    return pa.Table.from_batches(kept) if kept else schema.empty_table()


def between(name: str, span: Span) -> pc.Expression | None:
    """The rows of `span` by the times of a column; None for all."""
    found: list[pc.Expression] = []
    if span.start is not None:
        found.append(pc.field(name) >= pa.scalar(span.start, _type(span.start)))
    if span.end is not None:
        found.append(pc.field(name) < pa.scalar(span.end, _type(span.end)))
    return reduce(and_, found) if found else None


def _type(moment: datetime) -> pa.DataType:
    return pa.timestamp("us", None if moment.tzinfo is None else "UTC")


def by_clock(span: Span) -> Span:
    """A wider span by the clocks of any zone, for times that have none."""
    start = None if span.start is None else (span.start - DAY).replace(tzinfo=None)
    return Span(start, None if span.end is None else (span.end + DAY).replace(tzinfo=None))


def settled(rows: pa.Table, contract: type[Record], span: Span) -> pa.Table:
    """The rows with their event times in UTC; of times that had no zone, those in `span` only."""
    time = need_event_time(contract)
    before = rows.column(time)
    after = localized(before, field_named(contract, time))
    if after is before:
        return rows
    rows = rows.set_column(rows.column_names.index(time), time, after)
    wanted = between(time, span)
    return rows if wanted is None else rows.filter(wanted)


def too_large(name: str, why: str, needed: int, room: int) -> BadInput:
    """The error for a table that has no room."""
    said = f"{why} {needed >> 20:,} MiB until they are sorted; {room >> 20:,} MiB are free"
    return BadInput(f"{name} needs more memory than there is", said, do=_FEWER)


def full(name: str) -> BadInput:
    """The error for a table for which the memory did not suffice."""
    return BadInput(f"{name} needs more memory than there is", do=_FEWER)


def sorted_bytes(size: int, rows: int) -> int:
    """The memory that rows of `size` bytes take while they are sorted: twice, and an index."""
    return 2 * size + 8 * rows


def least_bytes(kind: pa.DataType) -> float:
    """What a value of a type takes in memory, whatever it is; 0 where that is not known."""
    if pa.types.is_dictionary(kind):
        return least_bytes(kind.index_type)
    try:
        return kind.bit_width / 8
    except ValueError:  # of no fixed width: where it ends
        return 4 * (not pa.types.is_null(kind) and not pa.types.is_struct(kind))


def need_time(schema: pa.Schema, contract: type[Record], name: str, span: Span = ALWAYS) -> Span:
    """The span to ask for; raises `BadInput` where the event time is missing, or has a zone neither here nor there."""
    time = need_event_time(contract)
    if time not in schema.names:
        raise BadInput(
            f"{name} has no column {time}", near_miss(time, schema.names), do="Rename it, or correct the contract."
        )
    kind = schema.field(time).type
    zoned = pa.types.is_timestamp(kind) and (kind.tz is not None or field_named(contract, time).zone)
    if not zoned:
        raise BadInput(
            f"{name}: {time} is {kind}, a time without a zone",
            do='Declare its zone, like EventTime(zone="America/New_York"), or write it as UTC.',
        )
    return span if kind.tz is not None else by_clock(span)
