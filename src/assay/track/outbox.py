"""The way of a run's events: into a spool at once, and from there into the database as soon as it answers.

So logging costs microseconds, outlives a killed process, and neither fails nor waits when the store is away.
"""

import atexit
import logging
import os
import threading
from collections import deque
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from time import monotonic, sleep

from assay.errors import AssayError, Corrupt, NotFound, Unavailable
from assay.store import Artifacts, Store
from assay.store.drain import Drained, drain, segments
from assay.store.segment import Segment
from assay.store.spool import Spool
from assay.track.events import META, AnyEvent, apply, decode, encode

log = logging.getLogger(__name__)
TOPIC = "track"
#: Others see what a run says about so long after it said it.
DRAIN_EVERY_S = 1.0
#: How long the end of a run waits for another process that is draining its events.
WAIT_S = 10.0
_AT_ONCE = 20_000


class Outbox:
    """Takes events of this process; one for each store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._spool = Spool(store.home.spool, TOPIC, META)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._refusal = ""
        self.append = self._first

    def _first(self, event: AnyEvent) -> bool:
        """Keep an event; True once a kill can't lose it, False when the disk has no room for it."""
        self._begin_thread()
        self.append = self._append
        return self._append(event)

    def _append(self, event: AnyEvent) -> bool:
        return self._spool.append(encode(event))

    def flush(self, *, wait_s: float = WAIT_S) -> bool:
        """Bring everything said so far into the database; False, with a warning, when it does not take it now."""
        mine = segments(self._store.home.spool, TOPIC)
        self._spool.rotate()
        until = monotonic() + wait_s
        while self._drain():
            if not any(path.exists() for path in mine) or monotonic() > until:
                return True
            sleep(0.01)  # another process has taken it
        return False

    def _drain(self) -> bool:
        try:
            deliver(self._store)
        except AssayError as error:
            if error.what != self._refusal:  # said once, not each second
                log.warning(
                    "what runs say is kept in %s until the store takes it: %s", self._store.home.path, error.what
                )
            self._refusal = error.what
            return False
        self._refusal = ""
        return True

    def _begin_thread(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, args=(self._stop,), name="assay-track", daemon=True)
        self._thread.start()

    def _keep(self, stop: threading.Event) -> None:
        while not stop.wait(DRAIN_EVERY_S):
            self._spool.tick()
            self._spool.rotate()
            self._drain()

    def close(self) -> None:
        """Bring in what is left; nothing is lost when that fails."""
        self._stop.set()
        if self._thread:
            self.flush(wait_s=0.0)

    def begin_in_child(self) -> None:
        """Threads do not come along with a fork."""
        self._thread = None
        self.append = self._first


_outboxes: dict[Store, Outbox] = {}
_lock = threading.Lock()


def outbox(store: Store) -> Outbox:
    """The outbox of this process for a store."""
    found = _outboxes.get(store)
    if found is None:
        with _lock:
            found = _outboxes.setdefault(store, Outbox(store))
    return found


def deliver(store: Store) -> Drained:
    """Bring the events of ended and orphaned processes into the database, then hand on the files that wait.

    Raises `Unavailable` when the database or the artifact store is away; one never waits for the other.
    """
    drained = _bring_in(store)
    _hand_on(store)
    return drained


def deliver_if_possible(store: Store) -> None:
    """Bring in what others left, before something is looked up; what fails is left for later."""
    try:
        _bring_in(store)
    except Unavailable as error:
        log.info("events of runs stay in the spool: %s", error.what)


def _bring_in(store: Store) -> Drained:
    if not segments(store.home.spool, TOPIC):
        return Drained()
    return drain(store.home.spool, TOPIC, lambda segment: _apply(store, segment))


def _apply(store: Store, segment: Segment) -> None:
    events = deque(map(decode, segment.records))
    while events:
        with store.database.begin() as connection:
            apply(connection, [events.popleft() for _ in range(min(_AT_ONCE, len(events)))])


def _hand_on(store: Store) -> None:
    """Give the artifact store what it did not take when it was logged."""
    waiting = pending(store.home.path)
    for digest, _, _ in list(waiting.digests()):
        try:
            store.artifacts.put_stream(waiting.read(digest))
        except NotFound:
            continue  # another process was quicker
        except Corrupt as error:
            path = waiting.path(digest)
            with suppress(FileNotFoundError):
                path.rename(path.with_suffix(".damaged"))
            log.warning("a file that waited for the artifact store is lost: %s; see %s", error.what, path.parent)
        else:
            waiting.delete(digest)


@lru_cache(maxsize=4)
def pending(home: Path) -> Artifacts:
    """Files that the artifact store has not taken yet."""
    return Artifacts(home / "pending")


def _close() -> None:
    for one in list(_outboxes.values()):
        one.close()


def _begin_in_child() -> None:
    for one in _outboxes.values():
        one.begin_in_child()


atexit.register(_close)
os.register_at_fork(after_in_child=_begin_in_child)
