"""Registered models, without their versions."""

from typing import Any

from sqlalchemy import delete, select, update

from assay.errors import Taken
from assay.store import Store
from assay.store.database import insert_new
from assay.store.schema import model_version_tags, model_versions, registered_model_tags, registered_models
from assay.times import now
from assay.track import aliases, entities
from assay.web.mlflow import shape
from assay.web.mlflow.ask import Ask, check_key
from assay.web.mlflow.errors import MlflowError, taken
from assay.web.mlflow.registry_rows import (
    LONGEST_TAG,
    STAGES,
    asked_tag,
    by,
    check_name,
    check_not_published,
    check_stage,
    held,
    put_tags,
    shown_model,
    shown_models,
    touch,
)
from assay.web.mlflow.searched import MODELS, PROMPT
from assay.web.mlflow.version_sources import keep_files_of_others, rename_sources


def create_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Register one, without a version."""
    name, at = check_name(ask.text("name")), now()
    tags = ask.keyed("tags", LONGEST_TAG)
    if tags.get(PROMPT, "false").lower() == "true":
        raise MlflowError(
            "NOT_IMPLEMENTED", "Assay does not keep prompts: of MLflow it serves tracking, models and artifacts."
        )
    row = {"name": name, "description": ask.text_or_none("description"), "created_at": at, "updated_at": at}
    with store.database.begin() as connection:
        if not insert_new(connection, registered_models, [row], on=["name"]):
            raise taken(f"Registered Model (name={name}) already exists.")
        put_tags(connection, registered_model_tags, {"model": name}, tags)
        return {"registered_model": shown_models(connection, [name])[0]}


def get_model(store: Store, ask: Ask) -> dict[str, Any]:
    """One with its newest versions."""
    with store.database.read() as connection:
        return {"registered_model": shown_model(connection, ask.text("name"))}


def update_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Describe one."""
    name = ask.text("name")
    with store.database.begin() as connection:
        held(connection, name)
        touch(connection, name, description=ask.text_or_none("description"))
        return {"registered_model": shown_model(connection, name)}


def rename_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Give one another name, with all that belongs to it."""
    name, new = ask.text("name"), check_name(ask.text("new_name"), "new_name")
    with store.database.begin() as connection:
        held(connection, name, "delete")
        at = now()
        aliases.rename(connection, name, new)
        renamed = update(registered_models).where(registered_models.c.name == name)
        try:
            connection.execute(renamed.values(name=new, updated_at=at))
        except Taken:
            raise taken(f"Registered Model (name={new}) already exists.") from None
        for table in (registered_model_tags, model_version_tags):
            connection.execute(update(table).where(table.c.model == name).values(model=new))
        changed = update(model_versions).where(model_versions.c.model == name)
        connection.execute(changed.values(model=new, updated_at=at))
        rename_sources(connection, name, new)
        return {"registered_model": shown_model(connection, new)}


def delete_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove one with its versions. A model that Assay blessed stays: its ledger says what served."""
    name = ask.text("name")
    with store.database.begin() as connection:
        held(connection, name, "delete")
        check_not_published(connection, name)
        keep_files_of_others(connection, name)
        aliases.remove_those_of(connection, name, None, by(ask))
        for table in (registered_model_tags, model_version_tags, model_versions):
            connection.execute(delete(table).where(table.c.model == name))
        connection.execute(delete(registered_models).where(registered_models.c.name == name))
    return {}


def search_models(store: Store, ask: Ask) -> dict[str, Any]:
    """A page of those a filter finds, by name."""
    asked = entities.Search(
        filter=ask.text_or_none("filter") or "",
        order_by=ask.texts("order_by"),
        last=["name ASC"],
        limit=ask.limit(100, 1000),
        token=ask.text_or_none("page_token"),
    )
    with store.database.read() as connection:
        found, token = entities.page(connection, MODELS, select(registered_models.c.name), asked)
        names = [row.name for row in found]
        shown = {one["name"]: one for one in shown_models(connection, names)}
    return shape.without_none(registered_models=[shown[name] for name in names], next_page_token=token)


def latest_versions(store: Store, ask: Ask) -> dict[str, Any]:
    """The newest version of each stage."""
    with store.database.read() as connection:
        found = shown_model(connection, ask.text("name")).get("latest_versions", [])
    stages = {check_stage(one) for one in ask.texts("stages")} or set(STAGES)
    return {"model_versions": [one for one in found if one["current_stage"] in stages]}


def set_model_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep a tag."""
    name, tags = ask.text("name"), asked_tag(ask)
    with store.database.begin() as connection:
        held(connection, name)
        put_tags(connection, registered_model_tags, {"model": name}, tags)
    return {}


def delete_model_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag."""
    name, key = ask.text("name"), check_key(ask.text("key"))
    t = registered_model_tags.c
    with store.database.begin() as connection:
        held(connection, name)
        connection.execute(delete(registered_model_tags).where(t.model == name, t.name == key))
    return {}
