"""Registered models and their versions as searches see them."""

from typing import Any

from sqlalchemy import ColumnElement, Float, Text, cast, func, literal, select

from assay.store.schema import model_version_tags, model_versions, registered_model_tags, registered_models
from assay.track.entities import Attribute, Entity

PROMPT = "mlflow.prompt.is_prompt"


def _or_default(name: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
    # Clients leave out prompts by asking for what is not tagged as one; models don't have the tag at all.
    return func.coalesce(value, "false") if name == PROMPT else value


def _model_tag(name: str) -> ColumnElement[Any]:
    t = registered_model_tags.c
    value = select(t.value).where(t.model == registered_models.c.name, t.name == name).scalar_subquery()
    return _or_default(name, value)


def _version_tag(name: str) -> ColumnElement[Any]:
    t, v = model_version_tags.c, model_versions.c
    value = select(t.value).where(t.model == v.model, t.version == v.version, t.name == name).scalar_subquery()
    return _or_default(name, value)


MODELS = Entity(
    "registered models",
    {
        "name": Attribute(registered_models.c.name, is_text=True),
        "timestamp": Attribute(registered_models.c.updated_at, filtered=False),
        "last_updated_timestamp": Attribute(registered_models.c.updated_at, filtered=False),
        "creation_timestamp": Attribute(registered_models.c.created_at, filtered=False),
    },
    {"tag": _model_tag},
)
_SOURCE = func.coalesce(
    func.nullif(model_versions.c.source, "", type_=Text), literal("assay-bundle:") + model_versions.c.bundle, ""
)
VERSIONS = Entity(
    "model versions",
    {
        "name": Attribute(model_versions.c.model, is_text=True),
        "version_number": Attribute(cast(model_versions.c.version, Float(53)), sorted_by=model_versions.c.version),
        "run_id": Attribute(func.coalesce(model_versions.c.run_id, ""), is_text=True),
        "source_path": Attribute(_SOURCE, is_text=True),
        "creation_timestamp": Attribute(model_versions.c.created_at),
        "last_updated_timestamp": Attribute(model_versions.c.updated_at),
    },
    {"tag": _version_tag},
)
