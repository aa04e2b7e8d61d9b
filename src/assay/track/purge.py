"""Deleting for good: what was deleted long ago, and files that nothing refers to."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import Connection, String, cast, delete, literal, or_, select, union, union_all

from assay.errors import Unavailable
from assay.store import Artifacts, Store, leases
from assay.store.database import retried
from assay.store.locks import lock
from assay.store.marks import REMOVE_WITHIN_S, marked
from assay.store.schema import (
    datasets,
    experiment_tags,
    experiments,
    journal,
    logged_model_artifacts,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    metric_points,
    metric_series,
    model_versions,
    params,
    run_artifacts,
    run_datasets,
    run_models,
    runs,
    tags,
    what_ifs,
)
from assay.times import now
from assay.track.outbox import deliver, on_its_way
from assay.track.pending import pending

#: A file is written before the row that refers to it: younger ones are left alone.
YOUNG = timedelta(days=1)
_AT_ONCE = 500
_MARKED_AT_ONCE = 5_000
_OF_RUNS = (params, tags, run_artifacts, run_datasets, run_models, journal, what_ifs)
_OF_MODELS = (logged_model_params, logged_model_tags, logged_model_metrics, logged_model_artifacts)


@dataclass
class Purged:
    """What went for good, or would."""

    runs: int = 0
    experiments: int = 0
    logged_models: int = 0
    files: int = 0
    bytes: int = 0


def purge(store: Store, *, older_than: timedelta, young: timedelta = YOUNG, dry_run: bool = False) -> Purged:
    """Remove what was deleted longer ago than `older_than`, and files that nothing refers to and that are not `young`.

    Runs of which a run that stays is the child, and runs that made a version of a model, stay. Safe while others
    write. Raises `Unavailable` when the database or the artifact store is away; what was done by then is whole.
    """
    if not dry_run:
        store.database.check_writable()
    deliver(store)
    before = now() - older_than
    done = Purged()
    with store.database.read() as connection:
        deleted = _deleted(connection, before)
        gone = _runs(connection, before) if deleted["run"] else []
    models = deleted["logged model"]
    done.runs, done.logged_models = len(gone), len(models)
    if not dry_run:
        for start in range(0, len(models), _AT_ONCE):
            _remove_models(store, models[start : start + _AT_ONCE])
        for start in range(0, len(gone), _AT_ONCE):
            _remove_runs(store, gone[start : start + _AT_ONCE], before)
        done.experiments = _remove_experiments(store, before) if deleted["experiment"] else 0
    _remove_files(store, done, now() - young, dry_run=dry_run)
    if not dry_run:
        _remove_waiting(store, now() - young)
        store.artifacts.sweep()
    return done


def _deleted(connection: Connection, before: datetime) -> dict[str, list[str]]:
    """The ids of what was deleted before then, by what it is: one question, because the database may be far."""
    found: dict[str, list[str]] = {"run": [], "logged model": [], "experiment": []}
    tables = zip(found, (runs, logged_models, experiments), strict=True)
    asked = (
        select(literal(kind), cast(table.c.id, String)).where(table.c.deleted_at < before) for kind, table in tables
    )
    for kind, id_ in connection.execute(union_all(*asked)):
        found[kind].append(id_)
    return found


def _runs(connection: Connection, before: datetime) -> list[str]:
    """Runs that can go, children before their parents."""
    asked = select(runs.c.id, runs.c.parent_id).where(runs.c.deleted_at < before)
    going: dict[str, str | None] = {row.id: row.parent_id for row in connection.execute(asked)}
    needed = set(
        connection.execute(select(model_versions.c.run_id).where(model_versions.c.bundle.is_not(None))).scalars()
    )
    children = connection.execute(select(runs.c.id, runs.c.parent_id).where(runs.c.parent_id.is_not(None))).all()
    stays = needed & set(going)
    while True:
        more = {
            child.parent_id
            for child in children
            if child.parent_id in going and (child.id not in going or child.id in stays)
        }
        if more <= stays:
            break
        stays |= more
    depth = {run_id: _depth(run_id, going) for run_id in going if run_id not in stays}
    return sorted(depth, key=lambda run_id: (-depth[run_id], run_id))


def _depth(run_id: str, parents: dict[str, str | None]) -> int:
    depth, above = 0, parents.get(run_id)
    while above and depth < len(parents):
        depth, above = depth + 1, parents.get(above)
    return depth


@retried
def _remove_runs(store: Store, going: list[str], before: datetime) -> None:
    with store.database.begin() as connection:
        held = lock(connection, runs, going, runs.c.id, runs.c.deleted_at, purpose="delete")
        still = {row.id for row in held if row.deleted_at and row.deleted_at < before}  # not restored meanwhile
        ids = [run_id for run_id in going if run_id in still]
        series = select(metric_series.c.id).where(metric_series.c.run_id.in_(ids))
        connection.execute(delete(metric_points).where(metric_points.c.series_id.in_(series)))
        connection.execute(delete(metric_series).where(metric_series.c.run_id.in_(ids)))
        for table in _OF_RUNS:
            connection.execute(delete(table).where(table.c.run_id.in_(ids)))
        leases.forget(connection, [f"run/{run_id}" for run_id in ids])
        for run_id in ids:  # in their order: children first
            connection.execute(delete(runs).where(runs.c.id == run_id))


@retried
def _remove_models(store: Store, ids: list[str]) -> None:
    with store.database.begin() as connection:
        lock(connection, logged_models, ids, logged_models.c.id, purpose="delete")
        for table in _OF_MODELS:
            connection.execute(delete(table).where(table.c.model_id.in_(ids)))
        connection.execute(delete(logged_models).where(logged_models.c.id.in_(ids)))


@retried
def _remove_experiments(store: Store, before: datetime) -> int:
    with store.database.begin() as connection:
        used = or_(
            experiments.c.id.in_(select(runs.c.experiment_id)),
            experiments.c.id.in_(select(logged_models.c.experiment_id)),
        )
        deleted = connection.execute(select(experiments.c.id).where(experiments.c.deleted_at < before)).scalars()
        held = [row.id for row in lock(connection, experiments, deleted, experiments.c.id, purpose="delete")]
        asked = select(experiments.c.id).where(experiments.c.deleted_at < before, ~used)
        ids = sorted(set(connection.execute(asked).scalars()) & set(held))
        for table in (experiment_tags, datasets):
            connection.execute(delete(table).where(table.c.experiment_id.in_(ids)))
        connection.execute(delete(experiments).where(experiments.c.id.in_(ids)))
    return len(ids)


def _remove_files(store: Store, done: Purged, before: datetime, *, dry_run: bool) -> None:
    old = _old(store.artifacts, before)
    if not old:
        return
    going = sorted(old.keys() - _needed(store))
    for start in range(0, len(going), _MARKED_AT_ONCE):
        some = going[start : start + _MARKED_AT_ONCE]
        with marked(store.database, some) if not dry_run else nullcontext():
            for digest in _removed(store, some, before, dry_run=dry_run):
                done.files += 1
                done.bytes += old[digest]


def _removed(store: Store, going: list[str], before: datetime, *, dry_run: bool) -> Iterator[str]:
    """Remove what nothing refers to, looked up once more since it is marked; and only what nobody kept again."""
    until = monotonic() + REMOVE_WITHIN_S
    needed = _needed(store)
    for digest in going:
        if digest in needed:
            continue
        if monotonic() > until:
            raise Unavailable("the artifact store is too slow to clean it up", do="The rest stays. Run it again.")
        if dry_run or store.artifacts.delete(digest, kept_before=before):
            yield digest


def _remove_waiting(store: Store, before: datetime) -> None:
    """Remove files that waited for a row which never came: its record was dropped on a full disk, or the run purged."""
    waiting = pending(store.home.path)
    old = _old(waiting, before)
    if old:
        for digest in old.keys() - _needed(store):
            waiting.delete(digest, kept_before=before)


def _needed(store: Store) -> set[str]:
    """What the spool of this home still brings, then what the database speaks of: in this order nothing falls between."""
    return on_its_way(store) | _referred(store)


def _old(artifacts: Artifacts, before: datetime) -> dict[str, int]:
    """The sizes of the files that are old enough, by digest."""
    return {digest: size for digest, size, modified in artifacts.digests() if modified < before}


def _referred(store: Store) -> set[str]:
    """Every digest that the database speaks of."""
    columns = (
        run_artifacts.c.digest,
        logged_model_artifacts.c.digest,
        model_versions.c.bundle,
        what_ifs.c.bundle,
        runs.c.environment,
        runs.c.code_diff,
    )
    with store.database.read() as connection:
        found = set(connection.execute(union(*(select(column) for column in columns))).scalars())
        for result in connection.execute(select(journal.c.result)).scalars():
            found.update(_digests(result))
    return found


def _digests(value: Any) -> set[str]:
    """Every text in a step's result that can be a digest, however deep."""
    if isinstance(value, str):
        return {value} if len(value) == 64 else set()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {digest for part in parts for digest in _digests(part)}
