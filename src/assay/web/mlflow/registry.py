"""Registered models, their versions, aliases, stages and tags."""

import posixpath
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import (
    aliases,
    model_version_tags,
    model_versions,
    registered_model_tags,
    registered_models,
)
from assay.times import now
from assay.track.find import load as load_runs
from assay.track.versions import next_version
from assay.web.mlflow import among, shape
from assay.web.mlflow.ask import Ask, check_key, check_length
from assay.web.mlflow.errors import invalid, missing, taken
from assay.web.mlflow.logged import model_root, source_run
from assay.web.mlflow.sources import PROXIED, check_uri

STAGES = ("None", "Staging", "Production", "Archived")
LONGEST_NAME, LONGEST_ALIAS, LONGEST_TAG = 256, 255, 100_000
PROMPT = "mlflow.prompt.is_prompt"
_ALIAS = re.compile(r"[\w\-]+")
_RESERVED = re.compile(r"(?i:latest)|[vV]\d+")
_MODEL_ATTRIBUTES = {"name": str, "timestamp": float, "last_updated_timestamp": float, "creation_timestamp": float}
_VERSION_ATTRIBUTES = {
    "name": str,
    "version_number": float,
    "run_id": str,
    "source_path": str,
    "creation_timestamp": float,
    "last_updated_timestamp": float,
}


def create_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Register one, without a version."""
    name, at = _name(ask.text("name")), now()
    tags = ask.keyed("tags", LONGEST_TAG)
    row = {"name": name, "description": ask.text_or_none("description"), "created_at": at, "updated_at": at}
    with store.database.begin() as connection:
        if connection.execute(select(registered_models.c.name).filter_by(name=name)).first():
            raise taken(f"Registered Model (name={name}) already exists.")
        connection.execute(insert(registered_models).values(row))
        _put_tags(connection, registered_model_tags, {"model": name}, tags)
        return {"registered_model": _models(connection, [name])[0]}


def _name(name: str, parameter: str = "name") -> str:
    odd = posixpath.normpath(name)
    if not name.strip() or any(sign in name for sign in "/:") or odd != name or odd == "." or odd.startswith(".."):
        raise invalid(f"Invalid model name '{name[:100]}'. Names can't be empty and can't contain '/' or ':'.")
    return check_length(parameter, name, LONGEST_NAME)


def _put_tags(connection: Connection, table: Any, key: dict[str, Any], tags: dict[str, str]) -> None:
    if tags:
        upsert(connection, table, [key | {"name": name, "value": value} for name, value in tags.items()])


def get_model(store: Store, ask: Ask) -> dict[str, Any]:
    """One with its newest versions."""
    with store.database.read() as connection:
        return {"registered_model": _model(connection, ask.text("name"))}


def _model(connection: Connection, name: str) -> dict[str, Any]:
    found = _models(connection, [_name(name)])
    if not found:
        raise missing(f"Registered Model with name={name} not found")
    return found[0]


def update_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Describe one."""
    name = ask.text("name")
    with store.database.begin() as connection:
        _model(connection, name)
        _touch(connection, name, description=ask.text_or_none("description"))
        return {"registered_model": _model(connection, name)}


def _touch(connection: Connection, name: str, **values: Any) -> None:
    changed = update(registered_models).where(registered_models.c.name == name)
    connection.execute(changed.values(updated_at=now(), **values))


def rename_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Give one another name, with all that belongs to it."""
    name, new = ask.text("name"), _name(ask.text("new_name"), "new_name")
    with store.database.begin() as connection:
        _model(connection, name)
        if _models(connection, [new]):
            raise taken(f"Registered Model (name={new}) already exists.")
        at = now()
        for table in (registered_model_tags, model_version_tags, aliases):
            connection.execute(update(table).where(table.c.model == name).values(model=new))
        changed = update(model_versions).where(model_versions.c.model == name)
        connection.execute(changed.values(model=new, updated_at=at))
        connection.execute(
            update(registered_models).where(registered_models.c.name == name).values(name=new, updated_at=at)
        )
        return {"registered_model": _model(connection, new)}


def delete_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove one with its versions. A model that Assay blessed stays: its ledger says what served."""
    name = ask.text("name")
    with store.database.begin() as connection:
        _model(connection, name)
        _check_not_ours(connection, name)
        for table in (registered_model_tags, model_version_tags, aliases, model_versions):
            connection.execute(delete(table).where(table.c.model == name))
        connection.execute(delete(registered_models).where(registered_models.c.name == name))
    return {}


def _check_not_ours(connection: Connection, name: str, version: int | None = None) -> None:
    asked = select(model_versions.c.version).where(model_versions.c.model == name, model_versions.c.bundle.is_not(None))
    if version is not None:
        asked = asked.where(model_versions.c.version == version)
    if connection.execute(asked).first():
        raise invalid(f"{name} has versions that Assay published; they stay, because its ledger refers to them.")


def search_models(store: Store, ask: Ask) -> dict[str, Any]:
    """A page of those a filter finds, by name."""
    limit = ask.limit(100, 1000)
    with store.database.read() as connection:
        found = _models(connection, None)
    found = among.chosen(found, ask.text_or_none("filter") or "", {"name": str}, _look_at_model)
    found = among.ordered(found, ask.texts("order_by"), _MODEL_ATTRIBUTES, _look_at_model, ["name ASC"])
    some, token = among.page(found, limit, ask.text_or_none("page_token"))
    return shape.without_none(registered_models=list(some), next_page_token=token)


def _look_at_model(thing: Any, kind: str, name: str) -> Any:
    if kind == "tag":
        return _tag_of(thing, name)
    if kind != "attribute":
        raise invalid(f"registered models have no {kind}s")
    return thing["last_updated_timestamp" if name == "timestamp" else name]


def _tag_of(thing: Any, name: str) -> str | None:
    # Clients leave out prompts by asking for what is not tagged as one; models don't have the tag at all.
    default = "false" if name == PROMPT else None
    return next((tag["value"] for tag in thing.get("tags", ()) if tag["key"] == name), default)


def latest_versions(store: Store, ask: Ask) -> dict[str, Any]:
    """The newest version of each stage."""
    with store.database.read() as connection:
        found = _model(connection, ask.text("name")).get("latest_versions", [])
    stages = {_stage(one) for one in ask.texts("stages")} or set(STAGES)
    return {"model_versions": [one for one in found if one["current_stage"] in stages]}


def _stage(text: str) -> str:
    known = {one.lower(): one for one in STAGES}
    if text.lower() not in known:
        raise invalid(f"Invalid Model Version stage: {text[:50]}. Value must be one of {', '.join(STAGES)}.")
    return known[text.lower()]


def set_model_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep a tag."""
    name, tags = ask.text("name"), _tag(ask)
    with store.database.begin() as connection:
        _model(connection, name)
        _put_tags(connection, registered_model_tags, {"model": name}, tags)
    return {}


def _tag(ask: Ask) -> dict[str, str]:
    return {check_key(ask.text("key")): check_length("value", ask.text_or_none("value") or "", LONGEST_TAG)}


def delete_model_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag."""
    name, key = ask.text("name"), check_key(ask.text("key"))
    t = registered_model_tags.c
    with store.database.begin() as connection:
        _model(connection, name)
        connection.execute(delete(registered_model_tags).where(t.model == name, t.name == key))
    return {}


def create_version(store: Store, ask: Ask) -> dict[str, Any]:
    """Register a version: where its files are, and which run or logged model made them."""
    name, source = _name(ask.text("name")), check_uri(ask.text("source"))
    tags = ask.keyed("tags", LONGEST_TAG)
    run_id, model_id = ask.text_or_none("run_id"), ask.text_or_none("model_id")
    with store.database.begin() as connection:
        _model(connection, name)
        run_id, model_id = _lineage(connection, source, run_id or None, model_id or None)
        number, at = next_version(connection, name), now()
        row = {
            "model": name,
            "version": number,
            "run_id": run_id,
            "created_at": at,
            "updated_at": at,
            "source": source,
            "logged_model_id": model_id,
            "run_link": ask.text_or_none("run_link"),
            "description": ask.text_or_none("description"),
            "stage": "None",
        }
        connection.execute(insert(model_versions).values(row))
        _put_tags(connection, model_version_tags, {"model": name, "version": number}, tags)
        return {"model_version": _version(connection, name, str(number))}


def _lineage(
    connection: Connection, source: str, run_id: str | None, model_id: str | None
) -> tuple[str | None, str | None]:
    """The run and the logged model of a source; both must be ones that hold it."""
    scheme, _, rest = source.partition(":")
    rest = rest.strip("/")
    if scheme == "models" and "@" not in rest and "/" not in rest:
        if model_id not in (None, rest):
            raise _foreign(source, "model_id")
        model_id = rest
    elif scheme == "models":
        held = _by_uri(connection, rest)
        run_id, model_id = run_id or held.run_id, model_id or held.logged_model_id
    if model_id:
        made_by = source_run(connection, model_id)
        _check_within(source, model_root(connection, model_id), "model_id")
        return run_id or made_by or None, model_id
    if scheme == "runs" and rest.partition("/")[0] != run_id:
        raise _foreign(source, "run_id")
    if run_id:
        found = load_runs(connection, [run_id])
        if not found and scheme in ("runs", PROXIED):
            raise _foreign(source, "run_id")
        if found:
            _check_within(source, shape.run_root(found[0]), "run_id")
    elif scheme == PROXIED:
        raise _foreign(source, "run_id")
    return run_id, model_id


def _check_within(source: str, root: str, which: str) -> None:
    if source.startswith(f"{PROXIED}:") and not f"{source}/".startswith(f"{root}/"):
        raise _foreign(source, which)


def _foreign(source: str, which: str) -> Exception:
    return invalid(f"Invalid model version source: '{source}'. The {which} must identify what contains the source.")


def _by_uri(connection: Connection, rest: str) -> Any:
    """The version that `models:/NAME/VERSION` or `models:/NAME@ALIAS` names."""
    name, at, alias = rest.partition("@")
    if not at:
        name, _, number = rest.partition("/")
        return _version_row(connection, name, number)
    known = connection.execute(select(aliases.c.version).filter_by(model=name, alias=alias)).scalar()
    if known is None:
        raise invalid(f"Registered model alias {alias} not found.")
    return _version_row(connection, name, str(known))


def get_version(store: Store, ask: Ask) -> dict[str, Any]:
    """One version."""
    with store.database.read() as connection:
        return {"model_version": _version(connection, ask.text("name"), ask.text("version"))}


def _version_row(connection: Connection, name: str, version: str) -> Any:
    if not version.isdigit() or len(version) > 9:
        raise invalid(f"Parameter 'version' must be an integer, got '{version[:50]}'.")
    row = connection.execute(select(model_versions).filter_by(model=_name(name), version=int(version))).first()
    if row is None:
        raise missing(f"Model Version (name={name}, version={version}) not found")
    return row


def _version(connection: Connection, name: str, version: str) -> dict[str, Any]:
    return _shown(connection, [_version_row(connection, name, version)])[0]


def update_version(store: Store, ask: Ask) -> dict[str, Any]:
    """Describe a version."""
    return _change(store, ask, description=ask.text_or_none("description"))


def _change(store: Store, ask: Ask, **values: Any) -> dict[str, Any]:
    name, version = ask.text("name"), ask.text("version")
    with store.database.begin() as connection:
        row = _version_row(connection, name, version)
        _change_row(connection, row, **values)
        return {"model_version": _version(connection, name, version)}


def _change_row(connection: Connection, row: Any, **values: Any) -> None:
    v = model_versions.c
    changed = update(model_versions).where(v.model == row.model, v.version == row.version)
    connection.execute(changed.values(updated_at=now(), **values))


def transition(store: Store, ask: Ask) -> dict[str, Any]:
    """Move a version to a stage."""
    name, version, stage = ask.text("name"), ask.text("version"), _stage(ask.text("stage"))
    archive = ask.flag("archive_existing_versions")
    if archive and stage not in ("Staging", "Production"):
        raise invalid(f"Versions can't be archived for the stage {stage}: it is not an active one.")
    v = model_versions.c
    with store.database.begin() as connection:
        row = _version_row(connection, name, version)
        if archive:
            others = update(model_versions).where(v.model == name, v.version != row.version, v.stage == stage)
            connection.execute(others.values(stage="Archived", updated_at=now()))
        _change_row(connection, row, stage=stage)
        _touch(connection, name)
        return {"model_version": _version(connection, name, version)}


def delete_version(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a version and the aliases that point to it. One that Assay published stays: its ledger says what served."""
    name, version = ask.text("name"), ask.text("version")
    with store.database.begin() as connection:
        row = _version_row(connection, name, version)
        _check_not_ours(connection, name, row.version)
        for table in (aliases, model_version_tags, model_versions):
            connection.execute(delete(table).where(table.c.model == name, table.c.version == row.version))
        _touch(connection, name)
    return {}


def search_versions(store: Store, ask: Ask) -> dict[str, Any]:
    """A page of those a filter finds, the newest change first."""
    limit = ask.limit(10_000, 200_000)
    with store.database.read() as connection:
        found = _shown(connection, connection.execute(select(model_versions)).all())
    found = among.chosen(found, ask.text_or_none("filter") or "", _VERSION_ATTRIBUTES, _look_at_version)
    order = ask.texts("order_by") or ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
    last = [] if any("version_number" in one for one in order) else ["version_number DESC"]
    last = ([] if any(one.startswith("name") for one in order) else ["name ASC"]) + last
    found = among.ordered(found, order, _VERSION_ATTRIBUTES, _look_at_version, last)
    some, token = among.page(found, limit, ask.text_or_none("page_token"))
    return shape.without_none(model_versions=list(some), next_page_token=token)


def _look_at_version(thing: Any, kind: str, name: str) -> Any:
    if kind == "tag":
        return _tag_of(thing, name)
    if kind != "attribute":
        raise invalid(f"model versions have no {kind}s")
    if name == "version_number":
        return int(thing["version"])
    return thing.get("source" if name == "source_path" else name)


def download_uri(store: Store, ask: Ask) -> dict[str, Any]:
    """Where a client finds the files of a version."""
    with store.database.read() as connection:
        row = _version_row(connection, ask.text("name"), ask.text("version"))
        return {"artifact_uri": _files(connection, row)}


def _files(connection: Connection, row: Any) -> str:
    source = _source(row)
    if not source.startswith(("models:", "runs:")):
        return source
    if row.logged_model_id:
        return model_root(connection, row.logged_model_id)
    if source.startswith("runs:"):
        run_id, _, path = source.removeprefix("runs:").strip("/").partition("/")
        found = load_runs(connection, [run_id])
        return f"{shape.run_root(found[0])}/{path}" if found else source
    return _files(connection, _by_uri(connection, source.removeprefix("models:").strip("/")))


def _source(row: Any) -> str:
    return row.source or f"assay-bundle:{row.bundle}"


def set_version_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep a tag of a version."""
    name, version, tags = ask.text("name"), ask.text("version"), _tag(ask)
    with store.database.begin() as connection:
        row = _version_row(connection, name, version)
        _put_tags(connection, model_version_tags, {"model": name, "version": row.version}, tags)
    return {}


def delete_version_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag of a version."""
    name, version, key = ask.text("name"), ask.text("version"), check_key(ask.text("key"))
    t = model_version_tags.c
    with store.database.begin() as connection:
        row = _version_row(connection, name, version)
        connection.execute(delete(model_version_tags).where(t.model == name, t.version == row.version, t.name == key))
    return {}


def set_alias(store: Store, ask: Ask) -> dict[str, Any]:
    """Point an alias to a version."""
    name, alias = ask.text("name"), _alias(ask)
    if _RESERVED.fullmatch(alias):
        raise invalid(f"'{alias}' is reserved and can't be an alias.")
    with store.database.begin() as connection:
        row = _version_row(connection, name, ask.text("version"))
        upsert(connection, aliases, [{"model": name, "alias": alias, "version": row.version}])
    return {}


def _alias(ask: Ask) -> str:
    alias = check_length("alias", ask.text("alias"), LONGEST_ALIAS)
    if not _ALIAS.fullmatch(alias):
        raise invalid(f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores and dashes.")
    return alias


def delete_alias(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove an alias."""
    name, alias = ask.text("name"), _alias(ask)
    with store.database.begin() as connection:
        _model(connection, name)
        connection.execute(delete(aliases).where(aliases.c.model == name, aliases.c.alias == alias))
    return {}


def get_by_alias(store: Store, ask: Ask) -> dict[str, Any]:
    """The version an alias points to; "latest" is the newest."""
    name, alias = ask.text("name"), _alias(ask)
    with store.database.read() as connection:
        _model(connection, name)
        if alias.lower() == "latest":
            newest = connection.execute(select(func.max(model_versions.c.version)).filter_by(model=name)).scalar()
            if newest is None:
                raise missing(f"Latest version not found for model {name}.")
            return {"model_version": _version(connection, name, str(newest))}
        return {"model_version": _shown(connection, [_by_uri(connection, f"{name}@{alias}")])[0]}


def _models(connection: Connection, names: Sequence[str] | None) -> list[dict[str, Any]]:
    asked = select(registered_models).order_by(registered_models.c.name)
    of = select(model_versions)
    if names is not None:
        asked = asked.where(registered_models.c.name.in_(names))
        of = of.where(model_versions.c.model.in_(names))
    rows = connection.execute(asked).mappings().all()
    tags = _tags(connection, registered_model_tags, names)
    pointing = _aliases(connection, names)
    newest: dict[tuple[str, str], Any] = {}
    for row in connection.execute(of.order_by(model_versions.c.version)):
        newest[row.model, row.stage] = row
    latest: dict[str, list[dict[str, Any]]] = {}
    for shown in _shown(connection, list(newest.values())):
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


def _tags(connection: Connection, table: Any, names: Sequence[str] | None) -> dict[tuple[Any, ...], dict[str, str]]:
    asked = select(table).order_by(table.c.name)
    if names is not None:
        asked = asked.where(table.c.model.in_(names))
    found: dict[tuple[Any, ...], dict[str, str]] = {}
    rows: Any = connection.execute(asked)
    for *key, name, value in rows:
        found.setdefault(tuple(key), {})[name] = value
    return found


def _aliases(connection: Connection, names: Sequence[str] | None) -> dict[str, list[tuple[str, int]]]:
    asked = select(aliases.c.model, aliases.c.alias, aliases.c.version).order_by(aliases.c.alias)
    if names is not None:
        asked = asked.where(aliases.c.model.in_(names))
    found: dict[str, list[tuple[str, int]]] = {}
    for model, alias, version in connection.execute(asked):
        found.setdefault(model, []).append((alias, version))
    return found


def _shown(connection: Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    names = list({row.model for row in rows})
    tags, pointing = _tags(connection, model_version_tags, names), _aliases(connection, names)
    return [
        shape.without_none(
            name=row.model,
            version=str(row.version),
            creation_timestamp=shape.milliseconds(row.created_at),
            last_updated_timestamp=shape.milliseconds(row.updated_at),
            user_id=row.user or "",
            current_stage=row.stage,
            description=row.description or "",
            source=_source(row),
            run_id=row.run_id or "",
            run_link=row.run_link or "",
            model_id=row.logged_model_id,
            status="READY",
            tags=shape.pairs(tags.get((row.model, row.version), {})) or None,
            aliases=[one for one, version in pointing.get(row.model, []) if version == row.version] or None,
        )
        for row in rows
    ]
