"""What belongs to one run, and whether it is deleted."""

from dataclasses import dataclass

from sqlalchemy import select, update

from assay.store import Store
from assay.store.schema import datasets, run_artifacts, run_datasets, runs
from assay.times import now
from assay.track.find import get_run


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


def set_deleted(store: Store, run_ids: list[str], *, deleted: bool) -> None:
    """Delete runs, or restore them; all or none. Raises `NotFound` for one that is not there."""
    for run_id in run_ids:
        get_run(store, run_id)
    with store.database.begin() as connection:
        changed = update(runs).where(runs.c.id.in_(run_ids))
        connection.execute(changed.values(deleted_at=now() if deleted else None))
