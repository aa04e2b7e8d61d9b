"""Experiments: what runs are compared within, be it a model, a pipeline or a question."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from assay.errors import BadInput, NotFound, near_miss
from assay.store import Store
from assay.store.database import insert_new
from assay.store.schema import experiments
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


def create(connection: Connection, name: str, *, artifact_uri: str | None = None) -> int:
    """A new experiment's id; the caller has looked that the name is free."""
    at = now()
    values = {"name": name, "artifact_uri": artifact_uri, "created_at": at, "updated_at": at}
    return connection.execute(insert(experiments).values(values).returning(experiments.c.id)).scalar_one()


def change(connection: Connection, number: int, values: Mapping[str, object]) -> None:
    """Change columns of one experiment."""
    connection.execute(update(experiments).where(experiments.c.id == number).values(**values, updated_at=now()))
