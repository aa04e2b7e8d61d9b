"""Metrics and parameters, one or many at once: the hot path of every training run."""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select

from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import params
from assay.track.points import Point, add_points
from assay.web.fields import whole
from assay.web.mlflow.ask import Ask, check_key, check_length
from assay.web.mlflow.errors import invalid
from assay.web.mlflow.known import active_run
from assay.web.mlflow.logged import ModelPoint, add_model_metrics
from assay.web.mlflow.runs import LONGEST_TAG, put_tags

LONGEST_PARAM = 6000
METRICS, PARAMS, TAGS, ALL = 1000, 100, 100, 1000
_LARGEST = 2**63
_NAMED = {"NaN": nan, "Infinity": inf, "-Infinity": -inf}
_PARAMS = select(params.c.name, params.c.text).where(
    params.c.run_id == bindparam("run"), params.c.name.in_(bindparam("names", expanding=True))
)


class MetricIn(msgspec.Struct):
    """A point as MLflow sends it: numbers of 64 bits may be texts, and so must be what JSON has no number for."""

    key: str
    value: float | str
    timestamp: int | str
    step: int | str | None = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    # The same in camel case, as protobuf's JSON has them.
    modelId: str | None = None
    datasetName: str | None = None
    datasetDigest: str | None = None


def log_metric(store: Store, ask: Ask) -> dict[str, Any]:
    """Append one point."""
    run_id = ask.text("run_id", "run_uuid")
    _add_metrics(store, run_id, [ask.fields])
    return {}


def log_param(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep one parameter; it can't be changed later."""
    run_id, key = ask.text("run_id", "run_uuid"), ask.text("key")
    with store.database.begin() as connection:
        active_run(connection, run_id)
        _put_params(connection, run_id, _checked_params([{"key": key, "value": ask.text_or_none("value") or ""}]))
    return {}


def log_batch(store: Store, ask: Ask) -> dict[str, Any]:
    """Append many points and keep parameters and tags, all or none of them."""
    run_id = ask.text("run_id", "run_uuid")
    metrics, given, tagged = ask.items("metrics"), ask.items("params"), ask.items("tags")
    for what, many, most in (("metrics", metrics, METRICS), ("params", given, PARAMS), ("tags", tagged, TAGS)):
        _check_count(what, len(many), most)
    _check_count("metrics, params, and tags", len(metrics) + len(given) + len(tagged), ALL)
    kept = _checked_params(given)
    texts = {key: value[:LONGEST_TAG] for key, value in ask.keyed("tags", 10_000_000).items()}
    _add_metrics(store, run_id, metrics, kept, texts)
    return {}


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise invalid(f"A batch logging request can contain at most {most} {what}. Got {count} {what}.")


def _add_metrics(
    store: Store,
    run_id: str,
    metrics: Sequence[Any],
    kept: dict[str, str] | None = None,
    texts: dict[str, str] | None = None,
) -> None:
    points, of_models = _points(metrics)

    def add(connection: Connection) -> None:
        active_run(connection, run_id)
        if kept:
            _put_params(connection, run_id, kept)
        add_points(connection, run_id, points)
        if of_models:
            add_model_metrics(connection, run_id, of_models)
        put_tags(connection, run_id, texts or {})

    store.database.write_together(add)


def _points(metrics: Sequence[Any]) -> tuple[list[Point], list[ModelPoint]]:
    try:
        given = msgspec.convert(metrics, list[MetricIn])
    except msgspec.ValidationError as error:
        raise invalid(f"A metric misses a field or has one of another type: {error}") from None
    points: list[Point] = []
    of_models: list[ModelPoint] = []
    checked: set[str] = set()
    for one in given:
        if one.key not in checked:
            checked.add(check_key(one.key, "name"))
        at = one.timestamp if type(one.timestamp) is int else whole(one.timestamp, "timestamp")
        if not 0 <= at < 2**53:
            raise invalid(f"Invalid value {at} for parameter 'timestamp' supplied: milliseconds since 1970 are meant.")
        step = one.step if type(one.step) is int else whole(one.step or 0, "step")
        if not -_LARGEST <= step < _LARGEST:
            raise invalid(f"Invalid value {step} for parameter 'step' supplied: it must have 64 bits.")
        value = one.value if type(one.value) is float else _value(one.value)
        point = Point(one.key, value, step, at * 1000)
        points.append(point)
        if model_id := one.model_id or one.modelId:
            name, digest = one.dataset_name or one.datasetName, one.dataset_digest or one.datasetDigest
            of_models.append(ModelPoint(model_id, point, name or None, digest or None))
    return points, of_models


def _value(value: float | str) -> float:
    if not isinstance(value, str):
        return value
    try:
        return _NAMED[value] if value in _NAMED else float(value)
    except ValueError:
        raise invalid(f"Invalid value {value[:50]!r} for parameter 'value' supplied: it must be a number.") from None


def _checked_params(given: Sequence[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for index, one in enumerate(given):
        key = one.get("key")
        if key is None:
            raise invalid(f"Missing value for required parameter 'params[{index}].key'.")
        if key in found:
            raise invalid(f"Duplicate parameter keys have been submitted: [{key!r}].")
        found[check_key(key)] = check_length(f"params[{index}].value", one.get("value", ""), LONGEST_PARAM, cut=True)
    return found


def _put_params(connection: Connection, run_id: str, given: dict[str, str]) -> None:
    known = {row[0]: row[1] for row in connection.execute(_PARAMS, {"run": run_id, "names": list(given)})}
    changed = [
        f"{key} from {known[key]!r} to {value!r}" for key, value in given.items() if known.get(key, value) != value
    ]
    if changed:
        raise invalid(f"Changing param values is not allowed: {'; '.join(changed)} of run {run_id}.")
    rows = [
        {"run_id": run_id, "name": key, "value": value, "text": value}
        for key, value in given.items()
        if key not in known
    ]
    if rows:
        upsert(connection, params, rows)
