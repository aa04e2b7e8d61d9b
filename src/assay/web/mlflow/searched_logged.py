"""Logged models as searches see them. The newest value of a metric counts, on all datasets or on those named."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, exists, literal, or_, select, tuple_

from assay.store.schema import logged_model_metrics, logged_model_params, logged_model_tags, logged_models
from assay.track.entities import Attribute, Entity, Kept

#: A dataset by its name and digest; without a digest, all of that name.
Dataset = tuple[str, str | None]
STATUS = {1: "LOGGED_MODEL_PENDING", 2: "LOGGED_MODEL_READY", 3: "LOGGED_MODEL_UPLOAD_FAILED"}
UNSPECIFIED = "LOGGED_MODEL_STATUS_UNSPECIFIED"
_M = logged_models.c
_ATTRIBUTES = {
    "name": Attribute(_M.name, is_text=True),
    "model_id": Attribute(_M.id, is_text=True),
    "model_type": Attribute(_M.model_type, is_text=True),
    "status": Attribute(
        case(*((_M.status == number, literal(text, Text)) for number, text in STATUS.items()), else_=UNSPECIFIED),
        is_text=True,
    ),
    "source_run_id": Attribute(_M.source_run_id, is_text=True),
    "experiment_id": Attribute(cast(_M.experiment_id, Text), is_text=True),
    "creation_timestamp": Attribute(_M.created_at),
    "creation_time": Attribute(_M.created_at),
    "last_updated_timestamp": Attribute(_M.updated_at),
    "last_updated_time": Attribute(_M.updated_at),
}


def searched_models(of: Sequence[Dataset], sorted_by: Mapping[str, tuple[str, Sequence[Dataset]]]) -> Entity:
    """Logged models, whose metrics are compared as they were measured on these datasets.

    `sorted_by` says for each metric key of the order which metric it is, and on which datasets; on all when none is given.
    """
    return Entity("logged models", _ATTRIBUTES, _kept(of), {"metric": lambda key: _newest(*sorted_by[key])})


def measured_on(of: Sequence[Dataset]) -> ColumnElement[bool]:
    """What holds for the models that were measured on one of the datasets."""
    return exists().where(logged_model_metrics.c.model_id == _M.id, _is_of(of))


def _kept(of: Sequence[Dataset]) -> Kept:
    return {
        "tag": lambda name: _value(logged_model_tags, name),
        "param": lambda name: _value(logged_model_params, name),
        "metric": lambda name: _newest(name, of),
    }


def _value(table: Any, name: str) -> ColumnElement[Any]:
    return select(table.c.value).where(table.c.model_id == _M.id, table.c.name == name).scalar_subquery()


def _newest(name: str, of: Sequence[Dataset]) -> ColumnElement[Any]:
    m = logged_model_metrics.c
    measured = select(m.value).where(m.model_id == _M.id, m.name == name)
    measured = measured.where(_is_of(of)) if of else measured
    return measured.order_by(m.at_us.desc(), m.step.desc(), m.id).limit(1).scalar_subquery()


def _is_of(of: Sequence[Dataset]) -> ColumnElement[bool]:
    m = logged_model_metrics.c
    names = [name for name, digest in of if not digest]
    pairs = [(name, digest) for name, digest in of if digest]
    return or_(m.dataset_name.in_(names), tuple_(m.dataset_name, m.dataset_digest).in_(pairs))
