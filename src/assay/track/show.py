"""What belongs to one run, and whether it is deleted."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import literal, null, select, union_all, update

from assay.store import Store
from assay.store.among import among
from assay.store.connect import UNANSWERED
from assay.store.database import retried
from assay.store.locks import lock
from assay.store.schema import datasets, run_artifacts, run_datasets, runs
from assay.times import now
from assay.track.find import get_run
from assay.track.outbox import deliver_if_possible


@dataclass(frozen=True)
class ArtifactRow:
    """A file of a run."""

    name: str
    digest: str
    size_bytes: int


@dataclass(frozen=True)
class DatasetRow:
    """A data set that a run used."""

    name: str
    digest: str
    context: str
    source: str


@dataclass(frozen=True)
class Belongings:
    """What belongs to a run, beside what was logged."""

    artifacts: list[ArtifactRow]
    datasets: list[DatasetRow]
    #: The ids of its children that are not deleted, with their status, the newest first.
    children: list[tuple[str, str]]


def belongings(store: Store, run_id: str, *, children: int = 1000) -> Belongings:
    """What belongs to a run, in one turn, for the database may be far away."""
    a, d, r = run_artifacts.c, datasets.c, runs.c
    files = select(literal(0).label("kind"), a.name, a.digest, a.size_bytes, null().label("context"), null())
    data = select(literal(1), d.name, d.digest, null(), run_datasets.c.context, d.source)
    born = select(r.id, r.status).where(r.parent_id == run_id, r.deleted_at.is_(None))
    born = born.order_by(r.started_at.desc(), r.id).limit(children).subquery()
    asked = union_all(
        files.where(a.run_id == run_id),
        data.join_from(datasets, run_datasets).where(run_datasets.c.run_id == run_id),
        select(literal(2), born.c.id, born.c.status, null(), null(), null()),
    )
    with store.database.read() as connection:
        rows: list[Any] = [tuple(row) for row in connection.execute(asked)]
    named = sorted((row for row in rows if row[0] < 2), key=lambda row: row[1])
    return Belongings(
        [ArtifactRow(*row[1:4]) for row in named if row[0] == 0],
        [DatasetRow(*row[1:3], *row[4:]) for row in named if row[0] == 1],
        [(row[1], row[2]) for row in rows if row[0] == 2],
    )


def artifacts_of(store: Store, run_id: str) -> list[ArtifactRow]:
    """The files of a run, by name."""
    a = run_artifacts.c
    asked = select(a.name, a.digest, a.size_bytes).where(a.run_id == run_id).order_by(a.name)
    with store.database.read() as connection:
        return [ArtifactRow(*row) for row in connection.execute(asked)]


def datasets_of(store: Store, run_id: str) -> list[DatasetRow]:
    """The data sets of a run, by name."""
    d = datasets.c
    asked = select(d.name, d.digest, run_datasets.c.context, d.source).join_from(datasets, run_datasets)
    with store.database.read() as connection:
        return [
            DatasetRow(*row)
            for row in connection.execute(asked.where(run_datasets.c.run_id == run_id).order_by(d.name))
        ]


@retried
def set_deleted(store: Store, run_ids: list[str], *, deleted: bool) -> None:
    """Delete runs, or restore them; all or none. Raises `NotFound` for one that is not there."""
    deliver_if_possible(store)
    with store.database.begin() as connection:
        there = {row.id for row in lock(connection, runs, run_ids, runs.c.id)}
        changed = update(runs).where(among(runs.c.id, there))
        if there.issuperset(run_ids):
            connection.execute(changed.values(deleted_at=now() if deleted else None), execution_options=UNANSWERED)
    for run_id in run_ids:
        if run_id not in there:
            get_run(store, run_id)  # says which there are
