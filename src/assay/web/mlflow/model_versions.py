"""Versions of registered models: their stages and tags."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from assay.store import Store
from assay.store.schema import model_version_tags, model_versions
from assay.times import now
from assay.track import aliases, entities
from assay.track.versions import next_version
from assay.web.mlflow import shape
from assay.web.mlflow.ask import Ask, check_key
from assay.web.mlflow.errors import invalid
from assay.web.mlflow.logged import hold_logged, note_version
from assay.web.mlflow.registry_rows import (
    LONGEST_TAG,
    asked_tag,
    by,
    check_name,
    check_not_published,
    check_stage,
    held_models,
    held_version,
    put_tags,
    shown_version,
    shown_versions,
    touch,
    version_row,
)
from assay.web.mlflow.searched import VERSIONS
from assay.web.mlflow.sources import check_source
from assay.web.mlflow.version_sources import files_uri, keep_files_of_others, lineage, models_of

#: Versions whose tags and aliases are read by one query.
_AT_ONCE = 10_000


def create_version(store: Store, ask: Ask) -> dict[str, Any]:
    """Register a version: where its files are, and which run or logged model made them."""
    name, source = check_name(ask.text("name")), check_source(ask.text("source"))
    tags = ask.keyed("tags", LONGEST_TAG)
    run_id, model_id = ask.text_or_none("run_id"), ask.text_or_none("model_id")
    with store.database.begin() as connection:
        made_of = lineage(connection, source, run_id, model_id)
        if made_of.model_id:
            hold_logged(connection, made_of.model_id)
        held_models(connection, [name, *models_of(source)])
        if models_of(source):  # the version that it names may have been deleted before its model was held
            made_of = lineage(connection, made_of.source, run_id, model_id)
        number, at = next_version(connection, name), now()
        row = {
            "model": name,
            "version": number,
            "run_id": made_of.run_id,
            "created_at": at,
            "updated_at": at,
            "source": made_of.source,
            "logged_model_id": made_of.model_id,
            "run_link": ask.text_or_none("run_link"),
            "description": ask.text_or_none("description"),
            "stage": "None",
        }
        connection.execute(insert(model_versions).values(row))
        put_tags(connection, model_version_tags, {"model": name, "version": number}, tags)
        if made_of.model_id:
            note_version(connection, made_of.model_id, name, number)
        return {"model_version": shown_version(connection, name, str(number))}


def get_version(store: Store, ask: Ask) -> dict[str, Any]:
    """One version."""
    with store.database.read() as connection:
        return {"model_version": shown_version(connection, ask.text("name"), ask.text("version"))}


def update_version(store: Store, ask: Ask) -> dict[str, Any]:
    """Describe a version."""
    return _change(store, ask, description=ask.text_or_none("description"))


def _change(store: Store, ask: Ask, **values: Any) -> dict[str, Any]:
    name, version = ask.text("name"), ask.text("version")
    with store.database.begin() as connection:
        row = held_version(connection, name, version)
        _change_row(connection, row, **values)
        return {"model_version": shown_version(connection, name, version)}


def _change_row(connection: Connection, row: Any, **values: Any) -> None:
    v = model_versions.c
    changed = update(model_versions).where(v.model == row.model, v.version == row.version)
    connection.execute(changed.values(updated_at=now(), **values))


def transition(store: Store, ask: Ask) -> dict[str, Any]:
    """Move a version to a stage."""
    name, version, stage = ask.text("name"), ask.text("version"), check_stage(ask.text("stage"))
    archive = ask.flag("archive_existing_versions")
    if archive and stage not in ("Staging", "Production"):
        raise invalid(f"Versions can't be archived for the stage {stage}: it is not an active one.")
    v = model_versions.c
    with store.database.begin() as connection:
        row = held_version(connection, name, version)
        if archive:
            others = update(model_versions).where(v.model == name, v.version != row.version, v.stage == stage)
            connection.execute(others.values(stage="Archived", updated_at=now()))
        _change_row(connection, row, stage=stage)
        touch(connection, name)
        return {"model_version": shown_version(connection, name, version)}


def delete_version(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a version and the aliases that point to it. One that Assay published stays: its ledger says what served."""
    name, version = ask.text("name"), ask.text("version")
    with store.database.begin() as connection:
        row = held_version(connection, name, version)
        check_not_published(connection, name, row.version)
        keep_files_of_others(connection, name, row.version)
        aliases.remove_those_of(connection, name, row.version, by(ask))
        for table in (model_version_tags, model_versions):
            connection.execute(delete(table).where(table.c.model == name, table.c.version == row.version))
        touch(connection, name)
    return {}


def search_versions(store: Store, ask: Ask) -> dict[str, Any]:
    """A page of those a filter finds, the newest change first."""
    order = ask.texts("order_by") or ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
    last = [] if any("version_number" in one for one in order) else ["version_number DESC"]
    asked = entities.Search(
        filter=ask.text_or_none("filter") or "",
        order_by=order,
        last=([] if any(one.startswith("name") for one in order) else ["name ASC"]) + last,
        limit=ask.limit(10_000, 200_000),
        token=ask.text_or_none("page_token"),
    )
    with store.database.read() as connection:
        found, token = entities.page(connection, VERSIONS, select(model_versions), asked)
        parts = [found[start : start + _AT_ONCE] for start in range(0, len(found), _AT_ONCE)]
        shown = [one for part in parts for one in shown_versions(connection, part)]
    return shape.without_none(model_versions=shown, next_page_token=token)


def download_uri(store: Store, ask: Ask) -> dict[str, Any]:
    """Where a client finds the files of a version."""
    with store.database.read() as connection:
        row = version_row(connection, ask.text("name"), ask.text("version"))
        return {"artifact_uri": files_uri(connection, row)}


def set_version_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep a tag of a version."""
    name, version, tags = ask.text("name"), ask.text("version"), asked_tag(ask)
    with store.database.begin() as connection:
        row = held_version(connection, name, version)
        put_tags(connection, model_version_tags, {"model": name, "version": row.version}, tags)
    return {}


def delete_version_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag of a version."""
    name, version, key = ask.text("name"), ask.text("version"), check_key(ask.text("key"))
    t = model_version_tags.c
    with store.database.begin() as connection:
        row = held_version(connection, name, version)
        connection.execute(delete(model_version_tags).where(t.model == name, t.version == row.version, t.name == key))
    return {}
