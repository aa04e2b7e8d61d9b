"""Versions of a model, and the aliases that point to them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, text

from assay.errors import BadInput, NotFound, near_miss
from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import aliases, model_versions, registered_models
from assay.times import now

CHAMPION = "champion"


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
_SELECT = select(
    _C.model, _C.version, func.coalesce(_C.bundle, ""), _C.run_id, _C.trained_until, _C.created_at
).select_from(model_versions)


def register(
    connection: Connection, model: str, bundle: str, *, run_id: str | None, trained_until: datetime | None
) -> ModelVersion:
    """Give a bundle the next version number; the same bundle again keeps the one it has."""
    if connection.dialect.name == "postgresql":  # two publishers at once must not take one number
        connection.execute(text("LOCK TABLE model_versions IN EXCLUSIVE MODE"))
    known = connection.execute(_SELECT.filter_by(model=model, bundle=bundle)).first()
    if known:
        return ModelVersion(*known)
    made = ModelVersion(model, next_version(connection, model), bundle, run_id, trained_until, now())
    connection.execute(insert(model_versions).values(**vars(made), updated_at=made.created_at, stage="None"))
    return made


def next_version(connection: Connection, model: str) -> int:
    """The next version number of a model, which is registered when it was not."""
    at = now()
    row = {"name": model, "created_at": at, "updated_at": at}
    upsert(connection, registered_models, [row], change={"updated_at": at})
    return (connection.execute(select(func.max(model_versions.c.version)).filter_by(model=model)).scalar() or 0) + 1


def set_alias(connection: Connection, model: str, name: str, version: int) -> None:
    """Point an alias to a version."""
    upsert(connection, aliases, [{"model": model, "alias": name, "version": version}])


def alias(store: Store, model: str, name: str = CHAMPION) -> ModelVersion | None:
    """The version that an alias points to, if any."""
    asked = _SELECT.join(
        aliases, (aliases.c.model == model_versions.c.model) & (aliases.c.version == model_versions.c.version)
    )
    with store.database.read() as connection:
        row = connection.execute(asked.where(aliases.c.model == model, aliases.c.alias == name)).first()
    return ModelVersion(*row) if row else None


def champion(store: Store, model: str) -> ModelVersion:
    """The version in production; raises `NotFound`, with the near miss, when there is none."""
    found = alias(store, model)
    if found is None:
        known = model_names(store)
        hint = near_miss(model, known) or (f"known: {', '.join(known)}" if known else "none has been published yet")
        raise NotFound(f"no model {model!r} is published", hint, do="Publish one: assay run MODULE:PIPELINE")
    if not found.bundle:
        raise BadInput(
            f"{found} was registered by a client of MLflow", do="Load it there: assay knows the models that it trained."
        )
    return found


def model_names(store: Store) -> list[str]:
    """The models that have a version."""
    with store.database.read() as connection:
        return list(
            connection.execute(select(model_versions.c.model).distinct().order_by(model_versions.c.model)).scalars()
        )


def versions(store: Store, model: str) -> list[ModelVersion]:
    """Every version of a model, newest first."""
    asked = _SELECT.filter_by(model=model).order_by(model_versions.c.version.desc())
    with store.database.read() as connection:
        return [ModelVersion(*row) for row in connection.execute(asked)]


def find_version(store: Store, model: str, version: int) -> ModelVersion:
    """One version; raises `NotFound` when there is none of that number."""
    for known in versions(store, model):
        if known.version == version:
            return known
    raise NotFound(f"{model} has no version {version}", do=f"See them: assay models {model}")
