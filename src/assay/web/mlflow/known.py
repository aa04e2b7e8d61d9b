"""Runs that requests name."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, update

from assay.store.locks import lock_one
from assay.store.schema import runs
from assay.times import now
from assay.web.mlflow.errors import MlflowError, invalid, missing

#: When a run was last written to is kept to this; a write of each point would cost as much as the point.
WRITTEN_TO = timedelta(minutes=1)


def active_run(connection: Connection, run_id: str) -> int:
    """The experiment of a run that can be written to, and that nobody else writes to until the transaction ends."""
    row = lock_one(connection, runs, run_id, runs.c.deleted_at, runs.c.experiment_id, runs.c.written_at)
    if row is None:
        raise no_run(run_id)
    if row.deleted_at is not None:
        raise invalid(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
    _note_written(connection, run_id, row.written_at)
    return row.experiment_id


def _note_written(connection: Connection, run_id: str, before: datetime | None) -> None:
    """Keep that the client of a run is alive: it has no heartbeat."""
    at = now()
    if before is None or at - before >= WRITTEN_TO:
        connection.execute(update(runs).where(runs.c.id == run_id).values(written_at=at))


def no_run(run_id: str) -> MlflowError:
    """There is no such run."""
    return missing(f"Run with id={run_id[:256]} not found")
