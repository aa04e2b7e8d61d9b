"""What a run says of itself, as records of a spool, and how they come into the database.

Applying the same events twice, or again after newer ones of other runs, changes nothing: every one is a replacement of
what has its key, and a point is kept once.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, case, exists, null, select, update

from assay.errors import first_few
from assay.store.database import upsert
from assay.store.locks import lock
from assay.store.schema import leases, params, run_artifacts, runs, tags
from assay.track.alive import register
from assay.track.datasets import use_dataset
from assay.track.experiments import experiment_id
from assay.track.points import Point, add_points

log = logging.getLogger(__name__)
META = b"assay.track/1"
_AT_ONCE = 500


class Event(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Something that a run said."""

    run: str


class Started(Event, array_like=True, frozen=True, tag=True, kw_only=True):
    """The run began, or goes on."""

    experiment: str
    name: str
    kind: str
    at: datetime
    parent: str | None = None
    asof: datetime | None = None
    user: str | None = None
    code_version: str | None = None
    code_diff: str | None = None
    environment: str | None = None
    command: str | None = None
    #: The process that writes the run: `alive.present`.
    owner: str | None = None


class Measured(Event, array_like=True, frozen=True, tag=True):
    """A point of one metric; the hot path."""

    name: str
    value: float
    step: int
    at_us: int


class ParamsSet(Event, array_like=True, frozen=True, tag=True):
    """Parameters: the value and its text, by name."""

    values: dict[str, tuple[Any, str]]


class TagsSet(Event, array_like=True, frozen=True, tag=True):
    """Tags by name."""

    values: dict[str, str]


class ArtifactKept(Event, array_like=True, frozen=True, tag=True):
    """A file was kept under a name."""

    name: str
    digest: str
    size_bytes: int


class DataSeen(Event, array_like=True, frozen=True, tag=True):
    """What the data was: `provenance.data_identity`."""

    identity: dict[str, Any]


class DatasetUsed(Event, array_like=True, frozen=True, tag=True, kw_only=True):
    """The run used a dataset: `datasets.describe`, and what for."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str
    profile: str
    context: str


class Ended(Event, array_like=True, frozen=True, tag=True):
    """The run ended."""

    status: str
    at: datetime
    error: str | None
    #: Of the lease under which the run was worked on: one that lost it does not end the run of its successor.
    token: int | None = None


AnyEvent = Started | Measured | ParamsSet | TagsSet | ArtifactKept | DataSeen | DatasetUsed | Ended
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(AnyEvent).decode


def apply(connection: Connection, events: Iterable[AnyEvent]) -> None:
    """Bring events into the database, in their order. Those of runs that nobody knows are left out, with a warning."""
    given = list(events)
    register_owners(connection, given)
    begun = {event.experiment for event in given if isinstance(event, Started)}
    numbers = {name: experiment_id(connection, name) for name in sorted(begun)}
    there = {row.id for row in lock(connection, runs, named(given), runs.c.id)}
    left_out: dict[str, int] = {}
    points: dict[str, list[Point]] = {}
    for event in given:
        if isinstance(event, Started):
            first = event if event.parent in there else _orphaned(event)
            start(connection, first, numbers[first.experiment], told_later=True)
            there.add(event.run)
        elif event.run not in there:
            left_out[event.run] = left_out.get(event.run, 0) + 1
        elif isinstance(event, Measured):
            points.setdefault(event.run, []).append(Point(event.name, event.value, event.step, event.at_us))
        else:
            _apply_one(connection, event)
    for run_id, measured in points.items():
        add_points(connection, run_id, measured)
    if left_out:
        said = [f"{number:,} of {run_id}" for run_id, number in sorted(left_out.items())]
        log.warning("left out events of unknown runs: %s", ", ".join(first_few(said, len(said))))


def register_owners(connection: Connection, events: Iterable[AnyEvent]) -> None:
    """Have the processes that began runs count as alive: before any row is locked, as everybody does who asks both."""
    for owner in sorted({event.owner for event in events if isinstance(event, Started) and event.owner}):
        register(connection, owner)


def named(events: Iterable[AnyEvent]) -> set[str]:
    """The runs that events are of, and those said to be above them."""
    found = set[str]()
    for event in events:
        found.add(event.run)
        if isinstance(event, Started) and event.parent:
            found.add(event.parent)
    return found


def _orphaned(event: Started) -> Started:
    if event.parent:
        log.warning("run %s is stored without its unknown parent %s", event.run, event.parent)
    return msgspec.structs.replace(event, parent=None)


def start(connection: Connection, event: Started, experiment: int, *, told_later: bool = False) -> None:
    """Make the run in the experiment of this id, or mark the one of that id as running again; its owner is registered.

    The same event again changes nothing. What a spool told later may have come in before: a run that ended after it began so stays ended.
    """
    row = {name: getattr(event, name) for name in _COLUMNS}
    row |= {"id": event.run, "parent_id": event.parent, "started_at": event.at, "status": "running"}
    row["experiment_id"] = experiment
    known = runs.c.started_at == event.at
    if told_later:
        known |= runs.c.ended_at >= event.at
    change = {"status": case((known, runs.c.status), else_="running"), "owner": _owner(event, known)}
    change |= {name: case((known, runs.c[name]), else_=null()) for name in ("ended_at", "error")}
    upsert(connection, runs, [row], change=change)


def _owner(event: Started, known: ColumnElement[bool]) -> ColumnElement[Any]:
    """Several processes may write one run; of a pipeline one does, which holds its lease."""
    new = event.owner
    if new is None:
        return case((known, runs.c.owner), else_=null())
    kept = known | runs.c.owner.contains(new, autoescape=True)
    if event.kind == "pipeline":
        return case((kept, runs.c.owner), else_=new)
    others = (runs.c.status == "running") & runs.c.owner.is_not(None)
    return case((kept, runs.c.owner), (others, runs.c.owner + f"\n{new}"), else_=new)


_COLUMNS = ("name", "kind", "asof", "user", "code_version", "code_diff", "environment", "command", "owner")
_FACTS = ("name", "digest", "source_type", "source", "schema", "profile")


def _apply_one(connection: Connection, event: AnyEvent) -> None:
    match event:
        case ParamsSet(run, values):
            rows = [{"run_id": run, "name": k, "value": value, "text": text} for k, (value, text) in values.items()]
            upsert(connection, params, rows)
        case TagsSet(run, values):
            upsert(connection, tags, [{"run_id": run, "name": k, "value": value} for k, value in values.items()])
        case ArtifactKept(run, name, digest, size):
            upsert(connection, run_artifacts, [{"run_id": run, "name": name, "digest": digest, "size_bytes": size}])
        case DataSeen(run, identity):
            _change(connection, run, data_identity=identity)
        case DatasetUsed(run=run, context=context):
            facts = {name: getattr(event, name) for name in _FACTS}
            use_dataset(connection, run, facts, context)
        case Ended():
            _end(connection, event)
        case _:
            raise TypeError(type(event))


def _end(connection: Connection, event: Ended) -> None:
    ended = update(runs).where(runs.c.id == event.run)
    if event.token is not None:
        ended = ended.where(~exists().where(leases.c.name == f"run/{event.run}", leases.c.token > event.token))
    connection.execute(ended.values(status=event.status, ended_at=event.at, error=event.error, owner=None))


def _change(connection: Connection, run_id: str, **values: Any) -> None:
    connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def known(connection: Connection, table: Table, ids: set[str]) -> set[str]:
    """Those of `ids` that the table has."""
    ordered, found = sorted(ids), set[str]()
    for start_at in range(0, len(ordered), _AT_ONCE):
        some = ordered[start_at : start_at + _AT_ONCE]
        found.update(connection.execute(select(table.c.id).where(table.c.id.in_(some))).scalars())
    return found
