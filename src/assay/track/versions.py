"""Versions of a model."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from assay.errors import NotFound
from assay.store import Store
from assay.store.database import insert_new, upsert
from assay.store.locks import hold
from assay.store.schema import model_versions, registered_models
from assay.times import now


@dataclass(frozen=True)
class ModelVersion:
    """One published version."""

    model: str
    version: int
    #: Digest of the bundle among the artifacts; empty for a model that a client of MLflow registered.
    bundle: str
    run_id: str | None
    #: Newest event time among its training rows.
    trained_until: datetime | None
    created_at: datetime

    def __str__(self) -> str:
        return f"{self.model}/{self.version}"


_C = model_versions.c
#: The columns of a `ModelVersion`.
SELECT = select(
    _C.model, _C.version, func.coalesce(_C.bundle, ""), _C.run_id, _C.trained_until, _C.created_at
).select_from(model_versions)


def register(
    connection: Connection, model: str, bundle: str, *, run_id: str | None, trained_until: datetime | None
) -> ModelVersion:
    """Give a bundle the next version number; the same bundle again keeps the one it has."""
    _hold(connection, model)  # two publishers at once must not take one number
    known = connection.execute(SELECT.filter_by(model=model, bundle=bundle)).first()
    if known:
        return ModelVersion(*known)
    made = ModelVersion(model, next_version(connection, model), bundle, run_id, trained_until, now())
    connection.execute(insert(model_versions).values(**vars(made), updated_at=made.created_at, stage="None"))
    return made


def _hold(connection: Connection, model: str) -> None:
    """Register a model unless it is, and keep others from writing to it until the transaction ends."""
    at = now()
    insert_new(connection, registered_models, [{"name": model, "created_at": at, "updated_at": at}], on=["name"])
    hold(connection, registered_models, model)


def next_version(connection: Connection, model: str) -> int:
    """The next version number of a model, which is registered when it was not.

    Others who ask for one wait for the end of this transaction.
    """
    at = now()
    row = {"name": model, "created_at": at, "updated_at": at}
    upsert(connection, registered_models, [row], change={"updated_at": at})
    return (connection.execute(select(func.max(model_versions.c.version)).filter_by(model=model)).scalar() or 0) + 1


def model_names(store: Store) -> list[str]:
    """The models that have a version."""
    with store.database.read() as connection:
        return list(
            connection.execute(select(model_versions.c.model).distinct().order_by(model_versions.c.model)).scalars()
        )


def versions(store: Store, model: str) -> list[ModelVersion]:
    """Every version of a model, newest first."""
    asked = SELECT.filter_by(model=model).order_by(model_versions.c.version.desc())
    with store.database.read() as connection:
        return [ModelVersion(*row) for row in connection.execute(asked)]


def find_version(store: Store, model: str, version: int) -> ModelVersion:
    """One version; raises `NotFound` when there is none of that number."""
    with store.database.read() as connection:
        return version_of(connection, model, version)


def version_of(connection: Connection, model: str, version: int) -> ModelVersion:
    """One version, as the caller's transaction sees it; raises `NotFound` when there is none of that number."""
    row = connection.execute(SELECT.filter_by(model=model, version=version)).first()
    if row is None:
        raise unknown_version(model, version)
    return ModelVersion(*row)


def unknown_version(model: str, version: int) -> NotFound:
    """What is raised for a version that is not there."""
    return NotFound(f"{model} has no version {version}", do=f"List them: assay models {model}")
