"""What a run says of itself, as records of a spool, and how they come into the database.

Applying the same events twice, or again after newer ones of other runs, changes nothing: every one is a replacement of
what has its key, and a point is kept once.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, case, null, select, update

from assay.errors import first_few
from assay.store.database import upsert
from assay.store.schema import params, run_artifacts, runs, tags
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


AnyEvent = Started | Measured | ParamsSet | TagsSet | ArtifactKept | DataSeen | DatasetUsed | Ended
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(AnyEvent).decode


def apply(connection: Connection, events: Iterable[AnyEvent]) -> None:
    """Bring events into the database, in their order. Those of runs that nobody knows are left out, with a warning."""
    given = list(events)
    there = known(connection, runs, named(given))
    left_out: dict[str, int] = {}
    points: dict[str, list[Point]] = {}
    for event in given:
        if isinstance(event, Started):
            start(connection, event if event.parent in there else _orphaned(event))
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
        log.warning("left out events of runs that nobody knows: %s", ", ".join(first_few(said, len(said))))


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
        log.warning("run %s is kept without its parent %s, which nobody knows", event.run, event.parent)
    return msgspec.structs.replace(event, parent=None)


def start(connection: Connection, event: Started) -> None:
    """Make the run, or mark the one of that id as running again; the same event again changes nothing."""
    row = {name: getattr(event, name) for name in _COLUMNS}
    row |= {"id": event.run, "parent_id": event.parent, "started_at": event.at, "status": "running"}
    row["experiment_id"] = experiment_id(connection, event.experiment)
    again = runs.c.started_at == event.at
    change = {"status": case((again, runs.c.status), else_="running")}
    change |= {name: case((again, runs.c[name]), else_=null()) for name in ("ended_at", "error")}
    upsert(connection, runs, [row], change=change)


_COLUMNS = ("name", "kind", "asof", "user", "code_version", "code_diff", "environment", "command")
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
        case Ended(run, status, at, error):
            _change(connection, run, status=status, ended_at=at, error=error)
        case _:
            raise TypeError(type(event))


def _change(connection: Connection, run_id: str, **values: Any) -> None:
    connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def known(connection: Connection, table: Table, ids: set[str]) -> set[str]:
    """Those of `ids` that the table has."""
    ordered, found = sorted(ids), set[str]()
    for start_at in range(0, len(ordered), _AT_ONCE):
        some = ordered[start_at : start_at + _AT_ONCE]
        found.update(connection.execute(select(table.c.id).where(table.c.id.in_(some))).scalars())
    return found
