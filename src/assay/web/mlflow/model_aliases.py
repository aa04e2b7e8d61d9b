"""Aliases of versions. The champion of a model that Assay publishes moves through its ledger."""

import re
from typing import Any

from sqlalchemy import Connection, func, select

from assay.store import Store
from assay.store.schema import model_version_tags, model_versions
from assay.track import aliases
from assay.track.ledger import CHAMPION
from assay.web.mlflow.ask import Ask, check_length
from assay.web.mlflow.errors import MlflowError, invalid, missing
from assay.web.mlflow.registry_rows import (
    by,
    held,
    held_version,
    row_by_alias,
    shown_model,
    shown_version,
    shown_versions,
    tags_of,
)

LONGEST_ALIAS = 255
#: The tag of a version that says why an alias is moved to it.
REASON = "assay.reason"
_ALIAS = re.compile(r"[\w\-]+")
_RESERVED = re.compile(r"(?i:latest)|[vV]\d+")


def set_alias(store: Store, ask: Ask) -> dict[str, Any]:
    """Point an alias to a version; of a model that Assay publishes, the ledger is told who did, and why.

    Why is the text of the version's tag `assay.reason`, if it has one.
    """
    name, alias = ask.text("name"), _alias(ask)
    if _RESERVED.fullmatch(alias):
        raise invalid(f"'{alias}' is reserved and can't be an alias.")
    with store.database.begin() as connection:
        row = held_version(connection, name, ask.text("version"))
        _check_may_move(connection, ask, name, alias)
        reason = tags_of(connection, model_version_tags, [name]).get((name, row.version), {}).get(REASON, "")
        aliases.move(connection, name, row.version, by(ask, reason), name=alias)
    return {}


def _check_may_move(connection: Connection, ask: Ask, name: str, alias: str) -> None:
    """What serves is moved by publishing, or by a person who may: the right depends on the model, not on the route."""
    if alias == CHAMPION and not ask.request.may("admin") and aliases.is_ours(connection, name):
        what = f"{name} is published by Assay: moving its champion needs an admin token"
        raise MlflowError("PERMISSION_DENIED", what)


def _alias(ask: Ask) -> str:
    alias = check_length("alias", ask.text("alias"), LONGEST_ALIAS)
    if not _ALIAS.fullmatch(alias):
        raise invalid(f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores and dashes.")
    return alias


def delete_alias(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove an alias."""
    name, alias = ask.text("name"), _alias(ask)
    with store.database.begin() as connection:
        held(connection, name)
        _check_may_move(connection, ask, name, alias)
        aliases.remove(connection, name, by(ask), name=alias)
    return {}


def get_by_alias(store: Store, ask: Ask) -> dict[str, Any]:
    """The version an alias points to; "latest" is the newest."""
    name, alias = ask.text("name"), _alias(ask)
    with store.database.read() as connection:
        shown_model(connection, name)
        if alias.lower() == "latest":
            newest = connection.execute(select(func.max(model_versions.c.version)).filter_by(model=name)).scalar()
            if newest is None:
                raise missing(f"Latest version not found for model {name}.")
            return {"model_version": shown_version(connection, name, str(newest))}
        return {"model_version": shown_versions(connection, [row_by_alias(connection, name, alias)])[0]}
