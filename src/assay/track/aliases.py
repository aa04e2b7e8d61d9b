"""The one door of the champion: no other module writes the table of aliases.

An alias of a model that Assay publishes changes only together with a line of the ledger, in one transaction, whoever
asks. Whoever moves one holds the model first, so that two moves at once end as one after the other would.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, func, literal, or_, select, update

from assay.errors import BadInput, Conflict, NotFound, near_miss
from assay.store import Store, locks
from assay.store.among import among
from assay.store.connect import UNANSWERED
from assay.store.database import upsert
from assay.store.schema import aliases, model_versions, registered_models
from assay.store.schema import ledger as lines
from assay.track import ledger
from assay.track.ledger import CHAMPION, LONGEST_REASON, Kind
from assay.track.values import storable
from assay.track.versions import SELECT, ModelVersion, model_names, unknown_version


@dataclass(frozen=True)
class By:
    """Who moves an alias, and why."""

    #: The name of a token, or of a user of the operating system.
    who: str
    reason: str = ""
    #: Through what they asked, like "MLflow's API".
    through: str = "assay"

    def said(self) -> dict[str, str]:
        """What the ledger keeps of it."""
        return {"who": storable(self.who), "reason": storable(self.reason)[:LONGEST_REASON], "through": self.through}


def hold(connection: Connection, model: str) -> None:
    """Make others who would move an alias of the model wait for the end of this transaction."""
    locks.hold(connection, registered_models, model)


def is_ours(connection: Connection, model: str) -> bool:
    """Whether Assay published a version of the model."""
    asked = select(model_versions.c.version).where(
        model_versions.c.model == model, model_versions.c.bundle.is_not(None)
    )
    return connection.execute(asked.limit(1)).first() is not None


def pointed(connection: Connection, model: str, name: str = CHAMPION) -> ModelVersion | None:
    """The version that an alias points to, as the caller's transaction sees it."""
    c = aliases.c
    asked = SELECT.join(aliases, (c.model == model_versions.c.model) & (c.version == model_versions.c.version))
    row = connection.execute(asked.where(c.model == model, c.alias == name)).first()
    return ModelVersion(*row) if row else None


def pointing(connection: Connection, models: Sequence[str] | None = None) -> dict[str, list[tuple[str, int]]]:
    """The aliases of some models, or of all, with their versions, by model."""
    asked = select(aliases.c.model, aliases.c.alias, aliases.c.version).order_by(aliases.c.alias)
    asked = asked if models is None else asked.where(among(aliases.c.model, models))
    found: dict[str, list[tuple[str, int]]] = {}
    for model, name, version in connection.execute(asked):
        found.setdefault(model, []).append((name, version))
    return found


def move(
    connection: Connection,
    model: str,
    version: int,
    by: By,
    *,
    name: str = CHAMPION,
    kind: Kind = "moved",
    verdict: int | None = None,
    since: int | None = None,
) -> bool:
    """Point an alias to a version, and tell the ledger; False when it points there already.

    Raises `NotFound` for an unknown version, and `Conflict` when `since` is not the line of the ledger that told last
    of the aliases of the model. The champion of a model that Assay publishes can only be a version that
    has a bundle: `BadInput` for another.
    """
    hold(connection, model)
    target, before, ours, last = _standing(connection, model, version, name)
    if since is not None and last != since:
        raise Conflict(f"the champion of {model} was moved by another process meanwhile", do="Try again.")
    if before == version:
        return False
    if ours:
        if name == CHAMPION and not target.bundle:
            raise BadInput(
                f"{target} can't be the champion: a client of MLflow registered it, and it has no bundle to serve",
                do=f"Choose a version that Assay published: assay models {model}",
            )
        body = {"alias": name, "version": version, "previous": before, **by.said()}
        body |= {"verdict": verdict} if verdict is not None else {}
        ledger.append(connection, model, kind, target.bundle, body)
    upsert(connection, aliases, [{"model": model, "alias": name, "version": version}], options=UNANSWERED)
    return True


def _standing(
    connection: Connection, model: str, version: int, name: str
) -> tuple[ModelVersion, int | None, bool, int]:
    """A version; to which an alias points now, whether Assay published the model, and the last move: in one turn."""
    a, v = aliases.c, model_versions.c.model == model
    before = select(a.version).where(a.model == model, a.alias == name).scalar_subquery()
    ours = exists(select(literal(1)).select_from(model_versions).where(v, model_versions.c.bundle.is_not(None)))
    last = select(func.max(lines.c.id)).where(lines.c.model == model, lines.c.kind != "verdict").scalar_subquery()
    row = connection.execute(SELECT.add_columns(before, ours, last).filter_by(model=model, version=version)).first()
    if row is None:
        raise unknown_version(model, version)
    *columns, points_to, is_ours_, moved = row
    return ModelVersion(*columns), points_to, bool(is_ours_), moved or 0


def remove(connection: Connection, model: str, by: By, *, name: str = CHAMPION) -> None:
    """Remove an alias, if it is there, and tell the ledger."""
    hold(connection, model)
    before = pointed(connection, model, name)
    if before and is_ours(connection, model):
        body = {"alias": name, "version": None, "previous": before.version, **by.said()}
        ledger.append(connection, model, "removed", before.bundle, body)
    connection.execute(delete(aliases).where(aliases.c.model == model, aliases.c.alias == name))


def remove_those_of(connection: Connection, model: str, version: int | None, by: By) -> None:
    """Remove the aliases of a version, or of all versions of a model, before these are deleted."""
    hold(connection, model)
    for name, pointed_to in pointing(connection, [model]).get(model, []):
        if version in (None, pointed_to):
            remove(connection, model, by, name=name)


def rename(connection: Connection, model: str, new: str) -> None:
    """Let the aliases of a model go with its new name. Raises `BadInput` for a model that Assay published."""
    hold(connection, model)
    if is_ours(connection, model):
        raise BadInput(
            f"{model} can't be renamed: Assay published versions of it, and its ledger, servers and rows use that name",
            do="Publish under the new name instead.",
        )
    connection.execute(update(aliases).where(aliases.c.model == model).values(model=new))


def look(connection: Connection, model: str, versions: Iterable[int]) -> tuple[dict[int, ModelVersion], int | None]:
    """Those of some versions of a model that are there, and its champion, by number; and which of them that is."""
    c = model_versions.c
    points_to = select(aliases.c.version).where(aliases.c.model == model, aliases.c.alias == CHAMPION).scalar_subquery()
    asked = SELECT.add_columns(points_to).where(
        c.model == model, or_(c.version.in_(list(versions)), c.version == points_to)
    )
    rows = [tuple(row) for row in connection.execute(asked)]
    return {row[1]: ModelVersion(*row[:-1]) for row in rows}, rows[0][-1] if rows else None


def alias(store: Store, model: str, name: str = CHAMPION) -> ModelVersion | None:
    """The version that an alias points to, if any."""
    with store.database.read() as connection:
        return pointed(connection, model, name)


def champions(store: Store) -> list[ModelVersion]:
    """The champion of each model that has one, by name."""
    c = aliases.c
    asked = SELECT.join(aliases, (c.model == model_versions.c.model) & (c.version == model_versions.c.version))
    with store.database.read() as connection:
        rows = connection.execute(asked.where(c.alias == CHAMPION).order_by(c.model))
        return [ModelVersion(*row) for row in rows]


def champion(store: Store, model: str) -> ModelVersion:
    """The version in production; raises `NotFound`, with the near miss, when there is none."""
    found = alias(store, model)
    if found is None:
        known = model_names(store)
        if model in known:
            raise NotFound(
                f"{model} has versions, but none of them is the champion",
                do=f"Make one: assay rollback {model} --to VERSION",
            )
        hint = near_miss(model, known) or (f"known: {', '.join(known)}" if known else "none has been published yet")
        raise NotFound(f"no model {model!r} is published", hint, do="Publish one: assay run MODULE:PIPELINE")
    if not found.bundle:
        raise BadInput(
            f"{found} was registered by a client of MLflow",
            do="Load it with MLflow: Assay serves only the models that it trained.",
        )
    return found


def standing_versions(moves: Iterable[tuple[str, int | None]]) -> list[int]:
    """Versions that were champions and were not rolled back, in the order of the ledger; the last is the champion.

    A step back to a version that stands takes away those after it. What a person moved by hand stands like what was
    published, so that a step back undoes it; while the champion is removed, the last is the one it was before.

    >>> standing_versions([("published", 1), ("published", 2), ("rolled back", 1), ("published", 3)])
    [1, 3]
    >>> standing_versions([("published", 1), ("published", 2), ("moved", 1), ("removed", None)])
    [1, 2, 1]
    """
    standing: list[int] = []
    for kind, version in moves:
        if version is None:
            continue
        while kind == "rolled back" and version in standing and standing[-1] != version:
            standing.pop()
        if not standing or standing[-1] != version:
            standing.append(version)
    return standing
