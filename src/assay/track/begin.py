"""Begins a run, with what it was made of: code, environment, command line."""

import logging
import sys
from datetime import datetime
from typing import Literal
from uuid import uuid4

from assay.errors import NotFound, Unavailable
from assay.store import Store
from assay.store.schema import runs
from assay.times import now
from assay.track.events import Started, apply, known, start
from assay.track.experiments import check_name
from assay.track.outbox import begun, keep_file, outbox
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
    )
    try:
        _start(store, event)
    except Unavailable:
        outbox(store).begin(event)
    return run


def _start(store: Store, event: Started) -> None:
    above = {event.parent} if event.parent else set[str]()
    with store.database.begin() as connection:
        missing = above - known(connection, runs, above)
        if missing:
            apply(connection, begun(store, missing))
        if missing - known(connection, runs, missing):
            raise NotFound(
                f"there is no run {event.parent!r} to be the parent of {event.run}", do="See them: assay runs"
            )
        start(connection, event)


def _put(store: Store, data: bytes) -> str | None:
    try:
        return keep_file(store, data)[0]
    except Unavailable as error:  # the disk is full, and a run is worth more than what it was made of
        log.warning("neither code nor environment of a run are kept: %s", error.what)
        return None


def _slug(name: str) -> str:
    """The name as a part of ids and URLs.

    >>> _slug("Flight delay (ü)"), _slug("??")
    ('Flight-delay', 'run')
    """
    words = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else " " for sign in name).split()
    return "-".join(words)[:100] or "run"
