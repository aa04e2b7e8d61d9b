"""What came from another tracker, as rows of this store; keeping the same again changes nothing."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, and_, delete, exists, func, insert, select, update

from assay.exchange.records import (
    FROM,
    WHOLE,
    OutOfReach,
    SourceDataset,
    SourceExperiment,
    SourceModel,
    SourceRegistered,
    SourceRun,
    SourceVersion,
)
from assay.store.database import insert_new, upsert
from assay.store.locks import lock_one
from assay.store.schema import (
    datasets,
    experiment_tags,
    experiments,
    ledger,
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
from assay.track import By, aliases
from assay.track.points import Point, add_points
from assay.track.provenance import user
from assay.track.values import LONGEST_NAME, plain_params, storable
from assay.track.whole import LEAST, MOST

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARENT = "mlflow.parentRunId"
LONGEST_ID, LONGEST_EXPERIMENT, LONGEST_MODEL = 200, 500, 256
#: What an import is called in the ledger.
THROUGH = "assay import"
OURS_LOGGED = "a logged model of that id was made here"
T = TypeVar("T")


def moment(us: int) -> datetime:
    """Microseconds since 1970 as a time. Raises `OutOfReach` for one before the year 1 or after 9999."""
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        raise OutOfReach(f"it has a time that no calendar has: {us} microseconds since 1970") from None


def batches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Portions of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))


def said_of(connection: Connection, table: Table, key: str, of: Any) -> dict[str, str]:
    """What is kept of an earlier import: the tags FROM and WHOLE, as far as they are there."""
    asked = select(table.c.name, table.c.value).where(table.c[key] == of, table.c.name.in_([FROM, WHOLE]))
    return {row.name: row.value for row in connection.execute(asked)}


def _texts_of(connection: Connection, table: Table, key: str, of: Any) -> dict[str, str]:
    asked = select(table.c.name, table.c.value).where(table.c[key] == of)
    return {row.name: row.value for row in connection.execute(asked)}


def find_experiment(connection: Connection, name: str) -> tuple[int, bool] | None:
    """The number of an experiment, and whether it was deleted here."""
    found = connection.execute(select(experiments.c.id, experiments.c.deleted_at).where(experiments.c.name == name))
    row = found.first()
    return (row.id, row.deleted_at is not None) if row else None


def keep_experiment(connection: Connection, one: SourceExperiment, said: dict[str, str]) -> tuple[int, bool, list[str]]:
    """Make or change an experiment: its number, whether anything changed, and the tags that have another value here.

    Of one that was made here or came from another source nothing changes: tags are added.
    """
    if not one.name or len(one.name) > LONGEST_EXPERIMENT:
        raise OutOfReach(f"its name has {len(one.name):,} characters; 1 to {LONGEST_EXPERIMENT} are kept")
    at, changed = moment(one.created_us), moment(one.updated_us)
    row = {"name": storable(one.name), "created_at": at, "updated_at": changed}
    new = insert_new(connection, experiments, [row], on=["name"]) > 0
    asked = select(experiments.c.id).where(experiments.c.name == storable(one.name))
    number = connection.execute(asked).scalar_one()
    lock_one(connection, experiments, number, experiments.c.id)
    if new or said_of(connection, experiment_tags, "experiment_id", number).get(FROM) == said[FROM]:
        gone = moment(one.deleted_us or one.updated_us) if one.deleted else None
        fields = {"deleted_at": gone, "updated_at": changed}
        connection.execute(update(experiments).where(experiments.c.id == number).values(fields))
        _keep_texts(connection, experiment_tags, {"experiment_id": number}, one.tags | said)
        return number, True, []
    here = _texts_of(connection, experiment_tags, "experiment_id", number)
    added = {name: value for name, value in one.tags.items() if name not in here}
    _keep_texts(connection, experiment_tags, {"experiment_id": number}, added)
    return number, bool(added), [name for name, value in one.tags.items() if here.get(name, value) != value]


def why_not(connection: Connection, run_id: str, number: int, source: str) -> str:
    """Why a run can't be brought into an experiment from a source: it is another's. Empty when it can."""
    there = connection.execute(select(runs.c.experiment_id).filter_by(id=run_id)).scalar()
    came = said_of(connection, tags, "run_id", run_id).get(FROM)
    if there is None:
        return ""
    if came is None:
        return "a run of that id was made here"
    if there != number and came != source:
        return f"a run of that id, in another experiment, came from {came}"
    return ""


def begin(connection: Connection, number: int, run: SourceRun, source: str) -> str:
    """The run's row, marked as coming from `source`, before what belongs to it comes; else why it can't be brought."""
    if not run.id or len(run.id) > LONGEST_ID:
        raise OutOfReach(f"its id has {len(run.id):,} characters; 1 to {LONGEST_ID} are kept")
    row: dict[str, Any] = {
        "id": run.id,
        "experiment_id": number,
        "name": storable(run.name),
        "kind": "tracked",
        "status": run.status,
        "started_at": moment(run.started_us),
        "ended_at": None if run.ended_us is None else moment(run.ended_us),
        "user": storable(run.user) if run.user else None,
        "code_version": storable(run.code_version) if run.code_version else None,
        "command": storable(run.command) if run.command else None,
        **run.columns,
    }
    if not insert_new(connection, runs, [row | {"deleted_at": _deleted_at(connection, run)}], on=["id"]):
        lock_one(connection, runs, run.id, runs.c.id)
        if why := why_not(connection, run.id, number, source):
            return why
        upsert(connection, runs, [row | {"deleted_at": _deleted_at(connection, run)}])
    upsert(connection, tags, [{"run_id": run.id, "name": FROM, "value": source}])
    return ""


def keep_points(connection: Connection, run_id: str, points: Sequence[Point]) -> None:
    """Points of a run that began to come."""
    lock_one(connection, runs, run_id, runs.c.id)
    add_points(connection, run_id, points)


def storable_points(points: Sequence[Point]) -> list[Point]:
    """The points whose names a database holds; the others are named by `finish`. Raises `OutOfReach` for odd numbers."""
    fitting = [one if one.name.isascii() else one._replace(name=storable(one.name)) for one in points]
    for one in fitting:
        if not (LEAST <= one.step <= MOST and LEAST <= one.at_us <= MOST):
            raise OutOfReach(f"metric {one.name[:80]} has a step or a time of more than 64 bits: {one.step}")
    return [one._replace(name=storable(one.name)) for one in fitting if len(one.name) <= LONGEST_NAME]


def _deleted_at(connection: Connection, run: SourceRun) -> datetime | None:
    if not run.deleted:
        return None
    if run.deleted_us is not None:
        return moment(run.deleted_us)
    return connection.execute(select(runs.c.deleted_at).where(runs.c.id == run.id)).scalar() or now()


def finish(connection: Connection, number: int, run: SourceRun, whole: str | None) -> list[str]:
    """What belongs to the run beside points and files, and, with `whole`, the mark that all of it is there.

    Returns the names that are too long to be kept.
    """
    lock_one(connection, runs, run.id, runs.c.id)
    _keep_params(connection, run)
    _keep_datasets(connection, number, run)
    if run.links:
        links = [{"run_id": run.id, **asdict(link)} for link in run.links]
        upsert(connection, run_models, links)
    _keep_texts(connection, tags, {"run_id": run.id}, run.tags | ({WHOLE: whole} if whole else {}))
    return [name for name in (*run.metrics, *run.params, *run.tags) if len(name) > LONGEST_NAME]


def _keep_params(connection: Connection, run: SourceRun) -> None:
    kept = plain_params({storable(name): value for name, value in run.params.items() if len(name) <= LONGEST_NAME})
    rows = [
        {"run_id": run.id, "name": name, "value": value, "text": storable(str(value))} for name, value in kept.items()
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


def link(connection: Connection, pairs: Sequence[tuple[str, str]]) -> None:
    """Give runs that are here the parents that the source names, when they have none and the parents are here."""
    here = known_runs(connection, [parent for _, parent in pairs])
    for run_id, parent in sorted(pairs):
        if parent in here and parent != run_id:
            alone = update(runs).where(runs.c.id == run_id, runs.c.parent_id.is_(None))
            connection.execute(alone.values(parent_id=parent))


def count_points(connection: Connection, run_id: str) -> int:
    """How many points of a run are here."""
    asked = select(func.count()).select_from(
        metric_points.join(metric_series, metric_points.c.series_id == metric_series.c.id)
    )
    return connection.execute(asked.where(metric_series.c.run_id == run_id)).scalar_one()


def keep_model(connection: Connection, number: int, one: SourceModel, said: dict[str, str]) -> bool:
    """A logged model without its files; False for one that was made here."""
    row = {
        "id": one.id,
        "experiment_id": number,
        "name": one.name,
        "model_type": one.model_type,
        "source_run_id": one.run_id,
        "status": one.status,
        "created_at": moment(one.created_us),
        "updated_at": moment(one.updated_us),
        "deleted_at": moment(one.deleted_us or one.updated_us) if one.deleted else None,
    }
    if not insert_new(connection, logged_models, [row], on=["id"]):
        lock_one(connection, logged_models, one.id, logged_models.c.id)
        if FROM not in said_of(connection, logged_model_tags, "model_id", one.id):
            return False
        upsert(connection, logged_models, [row])
    _keep_texts(connection, logged_model_params, {"model_id": one.id}, one.params)
    connection.execute(delete(logged_model_metrics).where(logged_model_metrics.c.model_id == one.id))
    names = ("name", "value", "step", "at_us", "run_id", "dataset_name", "dataset_digest")
    rows = [
        {"model_id": one.id} | dict(zip(names, (name, None if isnan(value) else value, step, at_us, *of), strict=True))
        for name, value, step, at_us, *of in one.metrics
    ]
    if rows:
        connection.execute(insert(logged_model_metrics), rows)
    _keep_texts(connection, logged_model_tags, {"model_id": one.id}, one.tags | said)
    return True


def why_not_registered(connection: Connection, name: str, source: str, whole: str) -> str:
    """Why a registered model can't be brought under a name: that is another's. Empty when it can."""
    if connection.execute(select(registered_models.c.name).filter_by(name=name)).first() is None:
        return ""
    here = said_of(connection, registered_model_tags, "model", name)
    if source == here.get(FROM) or whole == here.get(WHOLE):
        return ""
    whose = f"came from {here[FROM]}" if FROM in here else "was made here"
    return f"a registered model of that name {whose}: import this one with --prefix"


def knows_logged(connection: Connection, model_id: str) -> bool:
    """Whether a logged model of that id is here."""
    return connection.execute(select(logged_models.c.id).filter_by(id=model_id)).first() is not None


def keep_registered(
    connection: Connection, one: SourceRegistered, name: str, said: dict[str, str], whole: str
) -> list[tuple[str, str]]:
    """A registered model under a name, with its versions, aliases and tags; what would overwrite something, and why.

    One that another source brought is not touched, unless it is the same: `whole` is the mark of all of it.
    """
    if not name or len(name) > LONGEST_MODEL:
        return [(f"names of registered models have 1 to {LONGEST_MODEL} characters", name[:80])]
    refused: list[tuple[str, str]] = []
    at, changed = moment(one.created_us), moment(one.updated_us)
    row = {"name": name, "description": one.description, "created_at": at, "updated_at": changed}
    new = insert_new(connection, registered_models, [row], on=["name"])
    aliases.hold(connection, name)
    if not new:
        if why := why_not_registered(connection, name, said[FROM], whole):
            return [(why, name)]
        upsert(connection, registered_models, [row])
    came = _versions_that_came(connection, name)
    for version in one.versions:
        if came.get(version.version) is False:
            refused.append(("a version of that number was made here", f"{name}/{version.version}"))
        else:
            _keep_version(connection, name, version, said[FROM])
    refused += _move_aliases(connection, name, one.aliases, {v for _, v in refused})
    _keep_texts(connection, registered_model_tags, {"model": name}, one.tags | said)
    return refused


def _keep_version(connection: Connection, model: str, version: SourceVersion, source: str) -> None:
    key = {"model": model, "version": version.version}
    fields = asdict(version)
    kept = {name: fields[name] for name in _VERSION} | version.columns
    times = {"created_at": moment(version.created_us), "updated_at": moment(version.updated_us)}
    upsert(connection, model_versions, [key | kept | times])
    _keep_texts(connection, model_version_tags, key, version.tags | {FROM: source})


def _versions_that_came(connection: Connection, model: str) -> dict[int, bool]:
    """The versions of a model that are here, and whether an import brought them."""
    v, t = model_versions.c, model_version_tags.c
    named = (t.model == v.model) & (t.version == v.version) & (t.name == FROM)
    asked = select(v.version, t.value).join_from(model_versions, model_version_tags, named, isouter=True)
    return {version: value is not None for version, value in connection.execute(asked.where(v.model == model))}


def _move_aliases(
    connection: Connection, model: str, wanted: dict[str, int], refused: set[str]
) -> list[tuple[str, str]]:
    """Move aliases as the source has them, unless Assay publishes the model here or a person moved one of them."""
    here = dict(aliases.pointing(connection, [model]).get(model, []))
    moving = {name: version for name, version in wanted.items() if here.get(name) != version}
    lines = connection.execute(select(ledger.c.kind, ledger.c.body).where(ledger.c.model == model)).all()
    if any(kind != "moved" or json.loads(body).get("through") != THROUGH for kind, body in lines):
        why = "the aliases of this model are moved here, by publishing or by hand, and stay"
        return [(why, f"{model}@{name}") for name in moving]
    for name, version in moving.items():
        if f"{model}/{version}" not in refused:
            aliases.move(connection, model, version, By(user(), through=THROUGH), name=name)
    return []


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
