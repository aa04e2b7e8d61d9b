"""Reads the user's table, by event time."""

import os
from dataclasses import replace
from datetime import date, datetime, timedelta

import pyarrow as pa

from assay.contract import Field, Record, fields
from assay.contract.formats.arrow import schema
from assay.contract.formats.sql import quoted
from assay.contract.record import field_named, need_event_time
from assay.errors import BadInput, near_miss
from assay.store import current
from assay.tables import files
from assay.tables.csv_files import Csv
from assay.tables.database import DatabaseTable, is_database
from assay.tables.database_rows import database_rows
from assay.tables.frame import Frame, as_table
from assay.tables.gather import Span, between, by_clock, full, gather, need_time, settled
from assay.tables.lake import lake
from assay.tables.opened import using
from assay.tables.parquet_rows import parquet_rows
from assay.tables.table import Table
from assay.tables.view import HOLDS, VIEW
from assay.times import duration, instant, now


def read(
    table: str | os.PathLike[str] | Frame,
    contract: type[Record] | None = None,
    *,
    until: str | datetime | date | None = None,
    last: str | timedelta | None = None,
) -> pa.Table:
    """The rows whose event time lies in `[until - last, until)`, oldest first; without a contract all, in their order.

    `table` is a frame, or what `assay.check` takes; a path is relative to the project. `until` is now when only `last`
    is given. Of a folder split into `day=YYYY-MM-DD`, only the days asked for are opened, and one more on either side:
    they may be days of another zone.
    Raises `NotFound` when there is no such table, `BadInput` when it lacks the event time or has no time zone,
    `Unavailable` when a file can't be read.
    """
    if contract is None:
        if until is not None or last is not None:
            raise BadInput("until= and last= need a contract", do="Give it: it names the event time.")
        return _whole(table)
    time = need_event_time(contract)
    end = instant(until) if until is not None else now() if last is not None else None
    span = Span(end - duration(last) if end is not None and last is not None else None, end)
    name = str(table) if isinstance(table, str | os.PathLike) else type(table).__name__
    try:
        if not isinstance(table, str | os.PathLike):
            rows = _inside(as_table(table), contract, span, name)
        else:
            rows = _of_source(table, contract, span)
        return settled(rows, contract, span).sort_by(time)
    except MemoryError:
        raise full(name) from None


def _whole(table: str | os.PathLike[str] | Frame) -> pa.Table:
    if not isinstance(table, str | os.PathLike):
        return as_table(table)
    with using(_placed(table)) as opened:
        query = f"SELECT {', '.join(map(quoted, opened.kinds))} FROM {VIEW}"
        return gather(opened.name, opened.batches(query), pa.schema([]))


def _placed(table: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The table with its path below the project."""
    if is_database(os.fspath(table)):
        return table
    place = str(current().home.project / os.fspath(table))
    return replace(table, path=place) if isinstance(table, Csv) else place


def _of_source(table: str | os.PathLike[str], contract: type[Record], span: Span) -> pa.Table:
    name = os.fspath(table)
    if not is_database(name):
        table = _placed(table)
        place = os.fspath(table)
        if not files.database_file(place) and not lake(place):
            kind, found = files.find(place)
            if kind == "parquet":
                return parquet_rows(name, found, contract, span)
    texts = [field.name for field in fields(contract) if field.type is str]
    with using(table, texts) as opened:
        if isinstance(opened, DatabaseTable):
            return database_rows(opened, contract, span)
        return _asked(opened, name, contract, span)


def _asked(table: Table, name: str, contract: type[Record], span: Span) -> pa.Table:
    time = need_event_time(contract)
    zoned = _has_zone(table, name, field_named(contract, time))
    asked, kind = (span, "TIMESTAMPTZ") if zoned else (by_clock(span), "TIMESTAMP")
    bounds = [(asked.start, ">="), (asked.end, "<")]
    inside = [f"{quoted(time)} {sign} {kind} '{end.isoformat()}'" for end, sign in bounds if end is not None]
    query = f"SELECT {', '.join(map(quoted, table.kinds))} FROM {VIEW} WHERE {' AND '.join(inside) or 'true'}"
    return gather(name, table.batches(query), schema(contract))


def _has_zone(table: Table, name: str, field: Field) -> bool:
    time = field.name
    if time not in table.kinds:
        hint = near_miss(time, table.kinds)
        raise BadInput(f"{name} has no column {time}", *[hint] * bool(hint), do="Rename it, or correct the contract.")
    kind = table.kinds[time]
    if kind != "time" and not (kind == "naive" and field.zone):
        what = f"{name}: {time} holds {HOLDS[kind]}, times with a zone expected"
        raise BadInput(what, do="Write it as UTC, like 2013-01-31T09:00:00Z, or declare EventTime(zone=...).")
    return kind == "time"


def _inside(rows: pa.Table, contract: type[Record], span: Span, name: str) -> pa.Table:
    wanted = between(need_event_time(contract), need_time(rows.schema, contract, name, span))
    return rows if wanted is None else rows.filter(wanted)
