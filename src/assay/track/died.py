"""Runs whose process ended without saying so, and runs that say nothing for long.

Runs of this Assay have owners, the processes that write them: a run is killed when all of them are dead. Clients of
MLflow have no heartbeat, so their runs are only said to be silent, until a person closes them.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from assay.errors import AssayError, BadInput
from assay.store import Home, Store
from assay.store.database import retried
from assay.store.schema import runs
from assay.times import now
from assay.track import alive
from assay.track.alive import DIED, Seen

log = logging.getLogger(__name__)
#: A process looks for runs that died so often.
SWEEP_EVERY_S = 20.0
#: A running run that no process of Assay writes is called silent when nothing came for so long.
SILENT_AFTER = timedelta(hours=1)
#: Runs that were silent for less are not closed: when they were written to is kept to the minute.
LEAST_SILENCE = timedelta(minutes=10)
_swept: dict[str, float] = {}


def close_died(store: Store) -> None:
    """Mark the runs as killed whose processes are gone; at most once in `SWEEP_EVERY_S`, and never an error.

    What the home's spool holds must be in the database: the end of a run may be in it.
    """
    key = f"{store.database_url} {store.home.path}"
    if monotonic() - _swept.get(key, -SWEEP_EVERY_S) < SWEEP_EVERY_S:
        return
    _swept[key] = monotonic()
    try:
        sweep(store)
    except (AssayError, OSError) as error:
        log.info("runs that died are not looked for now: %s", error)


def sweep(store: Store) -> list[str]:
    """Mark the runs as killed whose processes are all gone; returns their ids."""
    here = alive.held_here(store.home)
    try:
        return _sweep(store, here)
    finally:
        for file in here.values():
            if file is not None:
                os.close(file)


def _sweep(store: Store, here: Mapping[str, int | None]) -> list[str]:
    with store.database.read() as connection:
        known, running = alive.seen(connection)
    named = {owner for _, owners, _ in running for owner in owners.split("\n")}
    silent = [owner for owner in known.keys() | named if owner not in here and not _is_alive(known.get(owner))]
    dead = {owner for owner, file in here.items() if file is not None}
    closed: list[str] = []
    if silent or dead:
        closed = _close(store, running, known, dead, silent)
    for owner in dead:
        _forget_file(store.home, owner)
    return closed


def _is_alive(lease: Seen | None) -> bool:
    return lease is not None and lease.alive


@retried
def _close(
    store: Store,
    running: Iterable[tuple[str, str, datetime]],
    known: Mapping[str, Seen],
    dead: set[str],
    silent: list[str],
) -> list[str]:
    closed: list[str] = []
    with store.database.begin() as connection:
        # A lease that its process has renewed meanwhile stays, and so does what the process owns.
        gone = alive.remove(connection, dead, [owner for owner in silent if owner in known])
        gone |= dead | {owner for owner in silent if owner not in known}
        for run_id, owners, started_at in sorted(running):
            if gone.issuperset(owners.split("\n")):
                signs = [known[one].renewed_at for one in owners.split("\n") if one in known]
                at = max(started_at, *signs) if signs else now()  # a run may have begun after the last sign
                as_seen = (runs.c.id == run_id, runs.c.status == "running", runs.c.owner == owners)
                values = {"status": "killed", "ended_at": at, "error": DIED}
                if connection.execute(update(runs).where(*as_seen).values(**values)).rowcount:
                    closed.append(run_id)
    return closed


def _forget_file(home: Home, owner: str) -> None:
    try:
        alive.remove_file(home, owner)
    except OSError as error:
        log.info("the file of a dead process stays: %s", error)


def last_sign() -> ColumnElement[Any]:
    """When a run of a client of MLflow was last written to."""
    return func.coalesce(runs.c.written_at, runs.c.started_at, type_=runs.c.started_at.type)


def is_silent(before: datetime) -> ColumnElement[bool]:
    """Runs that are running, that no process of Assay writes, and of which nothing came since `before`."""
    return (runs.c.status == "running") & runs.c.owner.is_(None) & (last_sign() < before)


def silent_since(row: Any) -> datetime | None:
    """Since when a run, a row of its table, is silent, if it is."""
    if row.status != "running" or row.owner is not None:
        return None
    last: datetime = row.written_at or row.started_at
    return last if last < now() - SILENT_AFTER else None


def silent_runs(connection: Connection, before: datetime) -> list[tuple[str, datetime]]:
    """The ids of silent runs that are not deleted, and since when they are, the longest first."""
    asked = select(runs.c.id, last_sign()).where(is_silent(before), runs.c.deleted_at.is_(None))
    return [(row[0], row[1]) for row in connection.execute(asked.order_by(last_sign(), runs.c.id))]


@retried
def finish_silent(store: Store, since: datetime) -> list[str]:
    """Close silent runs of which nothing came since then, as killed when they were last written to; returns their ids.

    Raises `BadInput` for a time so near that a client at work may have written nothing since.
    """
    if since > now() - LEAST_SILENCE:
        raise BadInput(
            f"a run that wrote nothing since {since:%Y-%m-%d %H:%M}Z may still be at work",
            do="Give 10m or longer, like 1d: longer than the slowest epoch.",
        )
    with store.database.begin() as connection:
        found = silent_runs(connection, since)
        closed: list[str] = []
        for run_id, last in sorted(found):
            values = {"status": "killed", "ended_at": last, "error": f"silent since {last:%Y-%m-%d %H:%M}Z"}
            if connection.execute(update(runs).where(runs.c.id == run_id, is_silent(since)).values(**values)).rowcount:
                closed.append(run_id)
    return closed
