"""Begins a run, with what it was made of: code, environment, command line."""

import logging
import sys
from datetime import datetime
from typing import Literal
from uuid import uuid4

from assay.errors import NotFound, Unavailable
from assay.store import Store
from assay.store.database import retried
from assay.store.schema import runs
from assay.times import now
from assay.track.alive import present
from assay.track.events import Started, apply, known, register_owners, start
from assay.track.experiments import check_name, experiment_id
from assay.track.outbox import begun, outbox
from assay.track.pending import keep_file
from assay.track.provenance import code_diff, code_version, environment, user
from assay.track.runs import Run
from assay.track.values import storable

log = logging.getLogger(__name__)
Kind = Literal["pipeline", "training", "tracked"]


def begin_run(
    store: Store,
    experiment: str,
    *,
    name: str | None = None,
    kind: Kind = "training",
    run_id: str | None = None,
    parent: str | None = None,
    asof: datetime | None = None,
) -> Run:
    """Begin a run, or go on with the one whose id is given; code, environment and command line are kept with it.

    Its name is that of its experiment unless given. When the database does not answer, the run is kept in the spool.
    Raises `NotFound` when there is no run `parent`, `BadInput` for a name that nothing can have.
    """
    check_name(experiment)
    run_id = run_id or f"{_slug(experiment)}-{uuid4().hex[:12]}"
    run = Run(store, run_id)
    project = store.home.project
    event = Started(
        run=run_id,
        experiment=experiment,
        name=storable(name or experiment),
        kind=kind,
        at=now(),
        parent=parent,
        asof=asof,
        user=user(),
        code_version=code_version(project),
        command=storable(" ".join(sys.argv)),
        environment=_put(store, environment()),
        code_diff=_put(store, diff) if (diff := code_diff(project)) else None,
        owner=present(store),
    )
    try:
        _start(store, event)
    except Unavailable:
        outbox(store).begin(event)
    return run


@retried
def _start(store: Store, event: Started) -> None:
    if _started(store, event):
        return
    with store.database.begin() as connection:  # its parent began in this home, and is still on its way
        apply(connection, begun(store, {event.parent or ""}))
    if not _started(store, event):
        raise NotFound(f"there is no run {event.parent!r} to be the parent of {event.run}", do="List them: assay runs")


def _started(store: Store, event: Started) -> bool:
    """Make the run; False when its parent is not there."""
    above = {event.parent} if event.parent else set[str]()
    with store.database.begin() as connection:
        if known(connection, runs, above) != above:
            return False
        register_owners(connection, [event])
        start(connection, event, experiment_id(connection, event.experiment))
    return True


def _put(store: Store, data: bytes) -> str | None:
    try:
        return keep_file(store, data)[0]
    except Unavailable as error:  # the disk is full, and a run is worth more than what it was made of
        log.warning("code and environment of a run are not stored: %s", error.what)
        return None


def _slug(name: str) -> str:
    """The name as a part of ids and URLs.

    >>> _slug("Flight delay (ü)"), _slug("??")
    ('Flight-delay', 'run')
    """
    words = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else " " for sign in name).split()
    return "-".join(words)[:100] or "run"
