"""Registered models and their versions as rows, and as MLflow's JSON."""

import posixpath
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, select, update

from assay.store.among import among
from assay.store.database import upsert
from assay.store.locks import Purpose, lock, lock_one
from assay.store.schema import model_version_tags, model_versions, registered_model_tags, registered_models
from assay.times import now
from assay.track import By, aliases
from assay.track.provenance import user
from assay.track.whole import whole_number
from assay.web.mlflow import shape
from assay.web.mlflow.ask import Ask, check_key, check_length
from assay.web.mlflow.errors import invalid, missing

STAGES = ("None", "Staging", "Production", "Archived")
LONGEST_NAME, LONGEST_TAG = 256, 100_000


def check_name(name: str, parameter: str = "name") -> str:
    """The name of a registered model. Raises an error of MLflow's for what can't be one."""
    odd = posixpath.normpath(name)
    if not name.strip() or any(sign in name for sign in "/:") or odd != name or odd == "." or odd.startswith(".."):
        raise invalid(f"Invalid model name '{name[:100]}'. Names can't be empty and can't contain '/' or ':'.")
    return check_length(parameter, name, LONGEST_NAME)


def check_stage(text: str) -> str:
    """A stage, however its letters are written. Raises an error of MLflow's for another word."""
    known = {one.lower(): one for one in STAGES}
    if text.lower() not in known:
        raise invalid(f"Invalid Model Version stage: {text[:50]}. Value must be one of {', '.join(STAGES)}.")
    return known[text.lower()]


def asked_tag(ask: Ask) -> dict[str, str]:
    """The tag that a request sets."""
    return {check_key(ask.text("key")): check_length("value", ask.text_or_none("value") or "", LONGEST_TAG)}


def by(ask: Ask, reason: str = "") -> By:
    """Who asks: the name of their token; on loopback whoever runs this server."""
    return By(ask.request.who or user(), reason, through="MLflow's API")


def held(connection: Connection, name: str, purpose: Purpose = "change") -> str:
    """The name of a model that is there; nobody else writes to it or to its versions until the transaction ends."""
    if lock_one(connection, registered_models, check_name(name), registered_models.c.name, purpose=purpose) is None:
        raise missing(f"Registered Model with name={name} not found")
    return name


def held_models(connection: Connection, names: Sequence[str]) -> None:
    """Hold several: nobody else writes to them or to their versions until the transaction ends."""
    there = lock(connection, registered_models, map(check_name, names), registered_models.c.name)
    for name in names:
        if name not in {row.name for row in there}:
            raise missing(f"Registered Model with name={name} not found")


def check_there(connection: Connection, name: str) -> None:
    """Raise an error of MLflow's for a model that is not there."""
    asked = select(registered_models.c.name).where(registered_models.c.name == check_name(name))
    if connection.execute(asked).first() is None:
        raise missing(f"Registered Model with name={name} not found")


def held_version(connection: Connection, name: str, version: str) -> Any:
    """A version; nobody else writes to it or to its model until the transaction ends."""
    lock_one(connection, registered_models, check_name(name), registered_models.c.name)
    return version_row(connection, name, version)


def put_tags(connection: Connection, table: Any, key: dict[str, Any], tags: dict[str, str]) -> None:
    """Keep tags of a model or of a version."""
    if tags:
        upsert(connection, table, [key | {"name": name, "value": value} for name, value in tags.items()])


def touch(connection: Connection, name: str, **values: Any) -> None:
    """Change a model, and keep when."""
    changed = update(registered_models).where(registered_models.c.name == name)
    connection.execute(changed.values(updated_at=now(), **values))


def check_not_published(connection: Connection, name: str, version: int | None = None) -> None:
    """Raise an error of MLflow's for a model, or a version of it, that Assay published."""
    asked = select(model_versions.c.version).where(model_versions.c.model == name, model_versions.c.bundle.is_not(None))
    if version is not None:
        asked = asked.where(model_versions.c.version == version)
    if connection.execute(asked).first():
        raise invalid(f"{name} has versions that Assay published; they stay, because its ledger refers to them.")


def version_row(connection: Connection, name: str, version: str) -> Any:
    """The row of a version. Raises an error of MLflow's when it is not there."""
    number = whole_number(version, 0, 2**31 - 1)
    if number is None:
        raise invalid(f"Parameter 'version' must be an integer, got '{version[:50]}'.")
    row = connection.execute(select(model_versions).filter_by(model=check_name(name), version=number)).first()
    if row is None:
        raise missing(f"Model Version (name={name}, version={version}) not found")
    return row


def row_by_alias(connection: Connection, name: str, alias: str) -> Any:
    """The version that an alias points to. Raises an error of MLflow's when there is none."""
    known = dict(aliases.pointing(connection, [name]).get(name, []))
    if alias not in known:
        raise invalid(f"Registered model alias {alias} not found.")
    return version_row(connection, name, str(known[alias]))


def source_of(row: Any) -> str:
    """Where the files of a version are, as whoever registered it wrote it."""
    return row.source or f"assay-bundle:{row.bundle}"


def shown_model(connection: Connection, name: str) -> dict[str, Any]:
    """A model as MLflow's JSON. Raises an error of MLflow's when it is not there."""
    found = shown_models(connection, [check_name(name)])
    if not found:
        raise missing(f"Registered Model with name={name} not found")
    return found[0]


def shown_models(connection: Connection, names: Sequence[str]) -> list[dict[str, Any]]:
    """Those of some models that are there, by name, as MLflow's JSON."""
    asked = select(registered_models).where(among(registered_models.c.name, names)).order_by(registered_models.c.name)
    rows = connection.execute(asked).mappings().all()
    tags = tags_of(connection, registered_model_tags, names)
    pointing = aliases.pointing(connection, names)
    latest: dict[str, list[dict[str, Any]]] = {}
    for shown in shown_versions(connection, _newest_versions(connection, names)):
        latest.setdefault(shown["name"], []).append(shown)
    return [
        shape.without_none(
            name=row["name"],
            creation_timestamp=shape.milliseconds(row["created_at"]),
            last_updated_timestamp=shape.milliseconds(row["updated_at"]),
            description=row["description"] or None,
            latest_versions=latest.get(row["name"]),
            tags=shape.pairs(tags.get((row["name"],), {})) or None,
            aliases=[{"alias": one, "version": str(v)} for one, v in pointing.get(row["name"], [])] or None,
        )
        for row in rows
    ]


def shown_version(connection: Connection, name: str, version: str) -> dict[str, Any]:
    """A version as MLflow's JSON. Raises an error of MLflow's when it is not there."""
    return shown_versions(connection, [version_row(connection, name, version)])[0]


def shown_versions(connection: Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of versions as MLflow's JSON."""
    names = list({row.model for row in rows})
    tags, pointing = tags_of(connection, model_version_tags, names), aliases.pointing(connection, names)
    return [
        shape.without_none(
            name=row.model,
            version=str(row.version),
            creation_timestamp=shape.milliseconds(row.created_at),
            last_updated_timestamp=shape.milliseconds(row.updated_at),
            user_id=row.user or "",
            current_stage=row.stage,
            description=row.description or "",
            source=source_of(row),
            run_id=row.run_id or "",
            run_link=row.run_link or "",
            model_id=row.logged_model_id,
            status="READY",
            tags=shape.pairs(tags.get((row.model, row.version), {})) or None,
            aliases=[one for one, version in pointing.get(row.model, []) if version == row.version] or None,
        )
        for row in rows
    ]


def _newest_versions(connection: Connection, names: Sequence[str]) -> Sequence[Any]:
    """The newest version of each stage of some models."""
    v = model_versions.c
    newest = (
        select(v.model, func.max(v.version).label("version")).where(among(v.model, names)).group_by(v.model, v.stage)
    )
    of = newest.subquery()
    on = and_(v.model == of.c.model, v.version == of.c.version)
    return connection.execute(select(model_versions).join(of, on).order_by(v.version)).all()


def tags_of(connection: Connection, table: Any, names: Sequence[str] | None) -> dict[tuple[Any, ...], dict[str, str]]:
    """Tags by model, or by model and version, whichever the table is of."""
    asked = select(table).order_by(table.c.name)
    if names is not None:
        asked = asked.where(among(table.c.model, names))
    found: dict[tuple[Any, ...], dict[str, str]] = {}
    rows: Any = connection.execute(asked)
    for *key, name, value in rows:
        found.setdefault(tuple(key), {})[name] = value
    return found
