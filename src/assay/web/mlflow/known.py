"""Runs that requests name."""

from sqlalchemy import Connection, bindparam, select

from assay.store.schema import runs
from assay.web.mlflow.errors import MlflowError, invalid, missing

_ACTIVE = select(runs.c.deleted_at, runs.c.experiment_id).where(runs.c.id == bindparam("run"))


def active_run(connection: Connection, run_id: str) -> int:
    """The experiment of a run that can be written to."""
    row = connection.execute(_ACTIVE, {"run": run_id}).first()
    if row is None:
        raise no_run(run_id)
    if row.deleted_at is not None:
        raise invalid(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
    return row.experiment_id


def no_run(run_id: str) -> MlflowError:
    """There is no such run."""
    return missing(f"Run with id={run_id[:256]} not found")
