"""Runs, found again."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from assay.errors import NotFound
from assay.store import Store
from assay.store.schema import metrics, params, runs


@dataclass(frozen=True)
class RunRow:
    """One run as it stands in the store."""

    id: str
    name: str
    kind: str
    status: str
    parent_id: str | None
    asof: datetime | None
    started_at: datetime
    ended_at: datetime | None
    code_version: str | None
    data_identity: dict[str, Any] | None
    error: str | None
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    #: The last value of each metric.
    metrics: dict[str, float] = field(default_factory=dict[str, float])


def find_runs(
    store: Store,
    *,
    name: str | None = None,
    run_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 20,
) -> list[RunRow]:
    """The newest runs first; `since` and `until` bound when they started."""
    asked = select(runs).order_by(runs.c.started_at.desc(), runs.c.id).limit(limit)
    for column, value in ((runs.c.name, name), (runs.c.id, run_id)):
        asked = asked.where(column == value) if value is not None else asked
    asked = asked.where(runs.c.started_at >= since) if since else asked
    asked = asked.where(runs.c.started_at < until) if until else asked
    return _rows(store, asked)


def get_run(store: Store, run_id: str) -> RunRow:
    """One run; raises `NotFound` when there is none of that id."""
    found = find_runs(store, run_id=run_id)
    if not found:
        raise NotFound(f"there is no run {run_id!r}", do="See them: assay runs")
    return found[0]


def _rows(store: Store, asked: Select[Any]) -> list[RunRow]:
    with store.database.read() as connection:
        found = connection.execute(asked).all()
        ids = [row.id for row in found]
        chosen = select(params.c.run_id, params.c.name, params.c.value).where(params.c.run_id.in_(ids))
        kept: dict[str, dict[str, Any]] = {}
        for run, name, value in connection.execute(chosen):
            kept.setdefault(run, {})[name] = value
    last = last_metrics(store, ids)
    return [
        RunRow(
            row.id,
            row.name,
            row.kind,
            row.status,
            row.parent_id,
            row.asof,
            row.started_at,
            row.ended_at,
            row.code_version,
            row.data_identity,
            row.error,
            kept.get(row.id, {}),
            last.get(row.id, {}),
        )
        for row in found
    ]


def last_metrics(store: Store, run_ids: list[str]) -> dict[str, dict[str, float]]:
    """The value last logged of each metric, by run."""
    newest = (
        select(func.max(metrics.c.id)).where(metrics.c.run_id.in_(run_ids)).group_by(metrics.c.run_id, metrics.c.name)
    )
    asked = select(metrics.c.run_id, metrics.c.name, metrics.c.value).where(metrics.c.id.in_(newest))
    found: dict[str, dict[str, float]] = {}
    with store.database.read() as connection:
        for run, name, value in connection.execute(asked):
            found.setdefault(run, {})[name] = value
    return found
