"""Experiments: what runs are compared within, be it a model, a pipeline or a question."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from assay.errors import BadInput, NotFound, near_miss
from assay.store import Store
from assay.store.database import insert_new
from assay.store.locks import lock, lock_one
from assay.store.schema import experiments, runs
from assay.times import now

#: Of runs for which nobody names one; clients of MLflow know it as experiment 0.
DEFAULT = "Default"
LONGEST_NAME = 500


@dataclass(frozen=True)
class Experiment:
    """One experiment as it stands in the store."""

    id: int
    name: str
    #: Where clients put its artifacts; None: into this store.
    artifact_uri: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


def experiment_id(connection: Connection, name: str) -> int:
    """The id of an experiment, which is made when there is none of that name.

    Raises `BadInput` for an empty or overlong name and for one that was deleted.
    """
    asked = select(experiments.c.id, experiments.c.deleted_at).where(experiments.c.name == name)
    asked = asked.with_for_update(read=True)  # nobody deletes it before the run is in it
    found = connection.execute(asked).first()
    if found is None:
        check_name(name)
        at = now()
        insert_new(connection, experiments, [{"name": name, "created_at": at, "updated_at": at}], on=["name"])
        found = connection.execute(asked).one()
    if found.deleted_at is not None:
        raise BadInput(f"experiment {name!r} was deleted", do=f"Restore it: assay experiments restore {name!r}")
    return found.id


def check_name(name: str) -> None:
    """Raise `BadInput` for a name that an experiment can't have."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise BadInput(f"{name[:50]!r} can't be the name of an experiment", do=f"Use 1 to {LONGEST_NAME} characters.")


def find_experiments(store: Store, *, deleted: bool | None = False) -> list[Experiment]:
    """Experiments by name; those deleted too when `deleted` is None, only those when it is True."""
    asked = select(experiments).order_by(experiments.c.name)
    if deleted is not None:
        asked = asked.where(experiments.c.deleted_at.is_not(None) if deleted else experiments.c.deleted_at.is_(None))
    with store.database.read() as connection:
        return [Experiment(**row) for row in connection.execute(asked).mappings()]


def get_experiment(store: Store, name: str) -> Experiment:
    """One experiment by name; raises `NotFound`, with the near miss."""
    known = {experiment.name: experiment for experiment in find_experiments(store, deleted=None)}
    if name not in known:
        raise NotFound(f"there is no experiment {name!r}", *filter(None, [near_miss(name, known)]))
    return known[name]


def create(connection: Connection, name: str, *, artifact_uri: str | None = None) -> int | None:
    """A new experiment's id, or None when the name is taken."""
    at = now()
    row = {"name": name, "artifact_uri": artifact_uri, "created_at": at, "updated_at": at}
    asked = select(experiments.c.id).where(experiments.c.name == name)
    # The look only saves a number of PostgreSQL's sequence; the insert decides.
    if connection.execute(asked).first() or not insert_new(connection, experiments, [row], on=["name"]):
        return None
    return connection.execute(asked).scalar_one()


def change(connection: Connection, number: int, values: Mapping[str, object]) -> None:
    """Change columns of one experiment."""
    connection.execute(update(experiments).where(experiments.c.id == number).values(**values, updated_at=now()))


def set_deleted(connection: Connection, number: int, *, deleted: bool) -> bool:
    """Delete an experiment and its runs, or restore it and all its runs; False when there is nothing to change."""
    found = lock_one(connection, experiments, number, experiments.c.deleted_at)
    if found is None or (found.deleted_at is not None) is deleted:
        return False
    at = now() if deleted else None
    change(connection, number, {"deleted_at": at})
    concerned = (runs.c.experiment_id == number) & (
        runs.c.deleted_at.is_(None) if deleted else runs.c.deleted_at.is_not(None)
    )
    # In the order in which others lock several runs; an update alone would take them in any.
    lock(connection, runs, connection.execute(select(runs.c.id).where(concerned)).scalars(), runs.c.id)
    connection.execute(update(runs).where(concerned).values(deleted_at=at))
    return True


def delete_experiment(store: Store, name: str) -> None:
    """Delete an experiment and its runs. Raises `NotFound`."""
    _set_deleted(store, name, deleted=True)


def restore_experiment(store: Store, name: str) -> None:
    """Restore an experiment and all its runs. Raises `NotFound`."""
    _set_deleted(store, name, deleted=False)


def _set_deleted(store: Store, name: str, *, deleted: bool) -> None:
    number = get_experiment(store, name).id
    store.database.write(lambda connection: set_deleted(connection, number, deleted=deleted))


def rename_experiment(store: Store, name: str, new: str) -> None:
    """Give an experiment another name. Raises `NotFound`, `BadInput` for an impossible name, `Taken` for one in use."""
    check_name(new)
    number = get_experiment(store, name).id
    store.database.write(lambda connection: change(connection, number, {"name": new}))
