"""What came from another tracker, as rows of this store; keeping the same again changes nothing."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, exists, func, insert, select, update

from assay.exchange.records import (
    FROM,
    WHOLE,
    SourceDataset,
    SourceExperiment,
    SourceModel,
    SourceRegistered,
    SourceRun,
)
from assay.store.database import insert_new, upsert
from assay.store.schema import (
    aliases,
    datasets,
    experiment_tags,
    experiments,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    metric_points,
    metric_series,
    model_version_tags,
    model_versions,
    params,
    registered_model_tags,
    registered_models,
    run_datasets,
    run_models,
    runs,
    tags,
)
from assay.times import now
from assay.track.values import LONGEST_NAME, storable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARENT = "mlflow.parentRunId"


def moment(ms: int) -> datetime:
    """Milliseconds since 1970 as a time."""
    return _EPOCH + timedelta(milliseconds=ms)


def said_of(connection: Connection, table: Table, key: str, of: Any) -> dict[str, str]:
    """What is kept of an earlier import: the tags FROM and WHOLE, as far as they are there."""
    asked = select(table.c.name, table.c.value).where(table.c[key] == of, table.c.name.in_([FROM, WHOLE]))
    return {row.name: row.value for row in connection.execute(asked)}


def find_experiment(connection: Connection, name: str) -> tuple[int, bool] | None:
    """The number of an experiment, and whether it was deleted here."""
    found = connection.execute(select(experiments.c.id, experiments.c.deleted_at).where(experiments.c.name == name))
    row = found.first()
    return (row.id, row.deleted_at is not None) if row else None


def keep_experiment(connection: Connection, one: SourceExperiment, said: dict[str, str]) -> int:
    """The number of the experiment, which is made or changed; one that was made here stays undeleted."""
    at, changed = moment(one.created_ms), moment(one.updated_ms)
    row = {"name": one.name, "created_at": at, "updated_at": changed}
    known = find_experiment(connection, one.name)
    insert_new(connection, experiments, [row], on=["name"])
    number = connection.execute(select(experiments.c.id).where(experiments.c.name == one.name)).scalar_one()
    if known is None or said_of(connection, experiment_tags, "experiment_id", number):
        gone = changed if one.deleted else None
        connection.execute(
            update(experiments).where(experiments.c.id == number).values(deleted_at=gone, updated_at=changed)
        )
        one_tags = one.tags | said
    else:
        one_tags = one.tags
    _keep_texts(connection, experiment_tags, {"experiment_id": number}, one_tags)
    return number


def begin(connection: Connection, number: int, run: SourceRun, source: str) -> None:
    """The run's row, marked as coming from `source`, before what belongs to it comes."""
    row = {
        "id": run.id,
        "experiment_id": number,
        "name": storable(run.name),
        "kind": "tracked",
        "status": run.status,
        "started_at": moment(run.started_ms),
        "ended_at": None if run.ended_ms is None else moment(run.ended_ms),
        "user": run.user,
        "code_version": run.code_version,
        "command": run.command,
    }
    row["deleted_at"] = _deleted_at(connection, run)
    upsert(connection, runs, [row])
    upsert(connection, tags, [{"run_id": run.id, "name": FROM, "value": source}])


def _deleted_at(connection: Connection, run: SourceRun) -> datetime | None:
    if not run.deleted:
        return None
    if run.deleted_ms is not None:
        return moment(run.deleted_ms)
    return connection.execute(select(runs.c.deleted_at).where(runs.c.id == run.id)).scalar() or now()


def finish(connection: Connection, number: int, run: SourceRun, whole: str) -> None:
    """What belongs to the run beside points and files, and the mark that all of it is there."""
    _keep_params(connection, run)
    _keep_datasets(connection, number, run)
    if run.links:
        links = [{"run_id": run.id, **asdict(link)} for link in run.links]
        upsert(connection, run_models, links)
    _keep_texts(connection, tags, {"run_id": run.id}, run.tags | {WHOLE: whole})


def _keep_params(connection: Connection, run: SourceRun) -> None:
    rows = [
        {"run_id": run.id, "name": storable(name), "value": storable(value), "text": storable(value)}
        for name, value in run.params.items()
        if len(name) <= LONGEST_NAME
    ]
    if rows:
        upsert(connection, params, rows)


def _keep_datasets(connection: Connection, number: int, run: SourceRun) -> None:
    for one in run.datasets:
        row = {
            "run_id": run.id,
            "dataset_id": _dataset(connection, number, one),
            "context": one.context,
            "tags": one.tags,
        }
        upsert(connection, run_datasets, [row])


def _dataset(connection: Connection, number: int, one: SourceDataset) -> int:
    key = {"experiment_id": number, "name": one.name, "digest": one.digest}
    said = {name: getattr(one, name) for name in ("source_type", "source", "schema", "profile")}
    insert_new(connection, datasets, [key | said], on=list(key))
    return connection.execute(select(datasets.c.id).filter_by(**key)).scalar_one()


def link_parents(connection: Connection) -> None:
    """Give every run that came the parent that its tag names, once that is here too."""
    parent = tags.alias()
    here = runs.alias()
    said = select(parent.c.value).where(parent.c.run_id == runs.c.id, parent.c.name == _PARENT)
    there = exists(
        select(here.c.id)
        .join(parent, and_(parent.c.value == here.c.id, parent.c.name == _PARENT))
        .where(parent.c.run_id == runs.c.id)
    )
    came = exists(select(tags.c.name).where(tags.c.run_id == runs.c.id, tags.c.name == FROM))
    connection.execute(
        update(runs).where(runs.c.parent_id.is_(None), came, there).values(parent_id=said.scalar_subquery())
    )


def count_points(connection: Connection, run_id: str) -> int:
    """How many points of a run are here."""
    asked = select(func.count()).select_from(
        metric_points.join(metric_series, metric_points.c.series_id == metric_series.c.id)
    )
    return connection.execute(asked.where(metric_series.c.run_id == run_id)).scalar_one()


def keep_model(connection: Connection, number: int, one: SourceModel, said: dict[str, str]) -> None:
    """A logged model without its files."""
    row = {
        "id": one.id,
        "experiment_id": number,
        "name": one.name,
        "model_type": one.model_type,
        "source_run_id": one.run_id,
        "status": one.status,
        "created_at": moment(one.created_ms),
        "updated_at": moment(one.updated_ms),
        "deleted_at": moment(one.updated_ms) if one.deleted else None,
    }
    upsert(connection, logged_models, [row])
    _keep_texts(connection, logged_model_params, {"model_id": one.id}, one.params)
    connection.execute(delete(logged_model_metrics).where(logged_model_metrics.c.model_id == one.id))
    names = ("name", "value", "step", "at_us", "run_id", "dataset_name", "dataset_digest")
    rows = [
        {"model_id": one.id}
        | dict(zip(names, (name, None if isnan(value) else value, step, at_ms * 1000, *of), strict=True))
        for name, value, step, at_ms, *of in one.metrics
    ]
    if rows:
        connection.execute(insert(logged_model_metrics), rows)
    _keep_texts(connection, logged_model_tags, {"model_id": one.id}, one.tags | said)


def knows_model(connection: Connection, name: str) -> bool:
    """Whether a registered model of that name is here."""
    return connection.execute(select(registered_models.c.name).filter_by(name=name)).first() is not None


def keep_registered(connection: Connection, one: SourceRegistered, said: dict[str, str]) -> None:
    """A registered model with its versions, aliases and tags."""
    at, changed = moment(one.created_ms), moment(one.updated_ms)
    row = {"name": one.name, "description": one.description, "created_at": at, "updated_at": changed}
    upsert(connection, registered_models, [row])
    for version in one.versions:
        key = {"model": one.name, "version": version.version}
        fields = asdict(version)
        kept = {name: fields[name] for name in _VERSION}
        times = {"created_at": moment(version.created_ms), "updated_at": moment(version.updated_ms)}
        upsert(connection, model_versions, [key | kept | times])
        _keep_texts(connection, model_version_tags, key, version.tags)
    rows = [{"model": one.name, "alias": name, "version": version} for name, version in one.aliases.items()]
    if rows:
        upsert(connection, aliases, rows)
    _keep_texts(connection, registered_model_tags, {"model": one.name}, one.tags | said)


_VERSION = ("run_id", "source", "logged_model_id", "run_link", "user", "description", "stage")


def known_runs(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of some ids that a run here has."""
    return set(connection.execute(select(runs.c.id).where(runs.c.id.in_(ids))).scalars())


def _keep_texts(connection: Connection, table: Table, key: dict[str, Any], texts: dict[str, str]) -> None:
    rows = [
        key | {"name": storable(name), "value": storable(value)}
        for name, value in texts.items()
        if len(name) <= LONGEST_NAME
    ]
    if rows:
        upsert(connection, table, rows)
