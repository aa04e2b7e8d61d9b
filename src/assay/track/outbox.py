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

from assay.errors import AssayError, BadInput, Corrupt, NotFound, Unavailable
from assay.store import Artifacts, Store
from assay.store.drain import Drained, drain, segments
from assay.store.schema import runs
from assay.store.segment import Segment, read
from assay.store.spool import Spool
from assay.track.events import META, AnyEvent, Started, apply, decode, encode, known, named

log = logging.getLogger(__name__)
TOPIC = "track"
#: Others see what a run says about so long after it said it.
DRAIN_EVERY_S = 1.0
#: A run that logs very much is drained less often, so that draining takes at most a fifth of its time.
REST = 4.0
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
        #: How runs began that the disk had no room for.
        self._late: list[Started] = []
        self.append = self._first

    def _first(self, event: AnyEvent) -> bool:
        """Keep an event; True once a kill can't lose it, False when the disk has no room for it."""
        self._begin_thread()
        self.append = self._append
        return self._append(event)

    def _append(self, event: AnyEvent) -> bool:
        return self._spool.append(encode(event))

    def begin(self, event: Started) -> None:
        """Keep how a run began; when the disk has no room for it, then before the first event for which it has."""
        if not self.append(event):
            self._late.append(event)
            self.append = self._append_late

    def _append_late(self, event: AnyEvent) -> bool:
        kept = self._spool.append(*map(encode, [*self._late, event]))
        if kept:
            self._late.clear()
            self.append = self._append
        return kept

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
        rest = DRAIN_EVERY_S
        while not stop.wait(rest):
            started = monotonic()
            self._spool.tick()
            self._spool.rotate()
            self._drain()
            rest = max(DRAIN_EVERY_S, REST * (monotonic() - started))

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
        if not store.home.artifacts_url.startswith("s3:"):  # a look-up does not wait for a bucket that may be silent
            _hand_on(store)
    except Unavailable as error:
        log.info("what runs said stays in the spool: %s", error.what)


def begun(store: Store, run_ids: set[str]) -> list[Started]:
    """How runs began as far as the spool knows, those above them first.

    Segments come in no sure order: a clock may go backwards, and the child of a fork may end before its parent's
    segment does.
    """
    found: dict[str, Started] = {}
    for path in segments(store.home.spool, TOPIC):
        try:
            records = read(path).records
        except (FileNotFoundError, Corrupt):  # drained meanwhile; or for the drainer to report
            continue
        starts = (decode(record) for record in records if b"Started" in record[:12])
        found |= {event.run: event for event in starts if isinstance(event, Started)}
    ordered: list[Started] = []
    for run_id in sorted(run_ids):
        line: list[Started] = []
        event = found.pop(run_id, None)
        while event:
            line.append(event)
            event = found.pop(event.parent or "", None)
        ordered += reversed(line)
    return ordered


def _bring_in(store: Store) -> Drained:
    if not segments(store.home.spool, TOPIC):
        return Drained()
    return drain(store.home.spool, TOPIC, lambda segment: _apply(store, segment))


def _apply(store: Store, segment: Segment) -> None:
    events = deque(map(decode, segment.records))
    events.extendleft(reversed(_earlier(store, events)))
    while events:
        _apply_some(store, [events.popleft() for _ in range(min(_AT_ONCE, len(events)))])


def _earlier(store: Store, events: deque[AnyEvent]) -> list[Started]:
    """How those runs began that only another segment knows."""
    asked = named(events) - {event.run for event in events if isinstance(event, Started)}
    with store.database.read() as connection:
        missing = asked - known(connection, runs, asked)
    return begun(store, missing) if missing else []


def _apply_some(store: Store, events: list[AnyEvent]) -> None:
    """Bring events in; one that the database can't keep is left out, with a warning, and does not hold up the others."""
    try:
        with store.database.begin() as connection:
            apply(connection, events)
    except BadInput as error:
        if len(events) == 1:
            log.warning("left out %s of run %s: %s", type(events[0]).__name__, events[0].run, error)
            return
        _apply_some(store, events[: len(events) // 2])
        _apply_some(store, events[len(events) // 2 :])


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


def keep_file(store: Store, content: bytes | Path) -> tuple[str, int]:
    """Keep a file; its digest and size. One that the artifact store does not take is handed on once it is back.

    Raises `Unavailable` when this disk is full too, `NotFound` for a path that can't be read.
    """
    try:
        return _into(store.artifacts, content)
    except Unavailable:
        return _into(pending(store.home.path), content)


def _into(artifacts: Artifacts, content: bytes | Path) -> tuple[str, int]:
    if isinstance(content, bytes):
        return artifacts.put(content), len(content)
    stored = artifacts.put_file(content)
    return stored.digest, stored.size


def _close() -> None:
    for one in list(_outboxes.values()):
        one.close()


def _begin_in_child() -> None:
    global _lock  # noqa: PLW0603 another thread may have held it
    _lock = threading.Lock()
    for one in _outboxes.values():
        one.begin_in_child()


atexit.register(_close)
os.register_at_fork(after_in_child=_begin_in_child)
