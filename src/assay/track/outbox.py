"""The way of a run's events: into a spool at once, and from there into the database as soon as it answers.

So logging costs microseconds, outlives a killed process, and neither fails nor waits when the store is away.
"""

import atexit
import logging
import os
import threading
from collections import deque
from time import monotonic, sleep

from assay.errors import AssayError, BadInput, Corrupt, Unavailable
from assay.store import Store
from assay.store.database import retried
from assay.store.delivery import Loop
from assay.store.drain import Drained, drain, is_due, segments
from assay.store.schema import runs
from assay.store.segment import Segment, read
from assay.store.spool import Spool
from assay.track.alive import go_on
from assay.track.died import close_died
from assay.track.events import META, AnyEvent, ArtifactKept, Started, apply, decode, encode, known, named
from assay.track.pending import Breaker, hand_on, pending

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
        self._loop: Loop | None = None
        self._refusal = ""
        self._breaker = Breaker()
        #: Set when a round of handing on files has ended.
        self._asked: list[threading.Event] = []
        #: How runs began that the disk had no room for.
        self._late: list[Started] = []
        self.append = self._first

    def _first(self, event: AnyEvent) -> bool:
        """Keep an event; True once a kill can't lose it, False when the disk has no room for it."""
        self._loop = Loop("assay-track", self._round, every_s=DRAIN_EVERY_S, rest=REST)
        self._loop.start()
        self._files = Loop("files of runs wait in this home", self._hand_on, every_s=DRAIN_EVERY_S, rest=REST)
        self._files.start()
        self.append = self._append
        go_on(self._store)
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
        """Bring everything said so far into the database; False, with a warning, when it does not take it now.

        Files are handed on meanwhile, if that takes no longer than `wait_s`; the rest is left to the next process.
        """
        until = monotonic() + wait_s
        flushed = self._flush_events(until)
        if flushed and self._loop and self._has_files():
            self._hand_on_until(until)
        return flushed

    def _flush_events(self, until: float) -> bool:
        mine = segments(self._store.home.spool, TOPIC)
        self._spool.rotate()
        while self._drain():
            left = [path for path in mine if path.exists()]
            if not any(map(is_due, left)) or monotonic() > until:
                return not left
            sleep(0.01)  # another process has taken it
        return False

    def _has_files(self) -> bool:
        return any(pending(self._store.home.path).digests())

    def _hand_on_until(self, until: float) -> None:
        """Have a round of handing on done in its own thread, which a bucket may hold up."""
        done = threading.Event()
        self._asked.append(done)
        self._files.wake()
        done.wait(max(0.0, until - monotonic()))

    def _hand_on(self) -> None:
        asked, self._asked = self._asked, []
        try:
            if self._has_files():
                hand_on(self._store, self._breaker)
        finally:
            for done in asked:
                done.set()

    def _drain(self) -> bool:
        try:
            _bring_in(self._store)
        except AssayError as error:
            if error.what != self._refusal:  # said once, not each second
                log.warning(
                    "events of runs are kept in %s until the database takes them: %s", self._store.home.path, error.what
                )
            self._refusal = error.what
            return False
        self._refusal = ""
        return True

    def _round(self) -> None:
        self._spool.tick()
        self._spool.rotate()
        self._drain()

    def close(self) -> None:
        """Bring in what is left; nothing is lost when that fails."""
        if self._loop:
            self._loop.cancel()
            self.flush(wait_s=0.0)
            self._files.cancel()

    def begin_in_child(self) -> None:
        """Threads do not come along with a fork."""
        self._loop = None
        self._asked = []
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

    Raises `Unavailable` when the database or the artifact store is away. Files wait for the database, since their rows
    come first; events never wait for the artifact store.
    """
    drained = _bring_in(store)
    hand_on(store)
    return drained


def deliver_if_possible(store: Store) -> None:
    """Bring in what others left, before something is looked up; what fails is left for later.

    Nothing is brought out of a home that can't be written, or into a database that would have to be upgraded first.
    """
    if store.home.is_read_only:
        return
    try:
        if segments(store.home.spool, TOPIC) and store.database.is_outdated():
            return
        _bring_in(store)
        if not store.keeps_files_elsewhere:  # a look-up does not wait for a bucket that may be silent
            hand_on(store)
    except (Unavailable, OSError) as error:  # a home that this user may not write is read all the same
        log.info("events of runs stay in the spool: %s", error)


def on_its_way(store: Store) -> set[str]:
    """The digests of files that events in this home's spool speak of, those being written included.

    Raises `Unavailable` when a segment can't be read: then nobody knows.
    """
    found = set[str]()
    for path in segments(store.home.spool, TOPIC):
        try:
            records = read(path).records
        except FileNotFoundError:  # drained meanwhile: its rows are in the database
            continue
        except OSError as error:
            raise Unavailable(
                f"can't read {path}: {error.strerror}",
                do="Its files are unknown. Let its owner drain it.",
            ) from None
        except Corrupt:
            continue  # for the drainer to report
        for record in records:
            match decode(record):
                case ArtifactKept(digest=digest):
                    found.add(digest)
                case Started(environment=environment, code_diff=code_diff):
                    found.update(filter(None, (environment, code_diff)))
                case _:
                    pass
    return found


def begun(store: Store, run_ids: set[str]) -> list[Started]:
    """How runs began as far as the spool knows, those above them first.

    Segments come in no sure order: a clock may go backwards, and the child of a fork may end before its parent's
    segment does.
    """
    found: dict[str, Started] = {}
    for path in segments(store.home.spool, TOPIC):
        try:
            records = read(path).records
        except (OSError, Corrupt):  # drained meanwhile; or for the drainer to report
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
    drained = Drained()
    if segments(store.home.spool, TOPIC):
        store.database.upgrade()
        drained = drain(store.home.spool, TOPIC, lambda segment: _apply(store, segment))
    close_died(store)
    return drained


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
        _apply_once(store, events)
    except BadInput as error:
        if len(events) == 1:
            log.warning("left out %s of run %s: %s", type(events[0]).__name__, events[0].run, error)
            return
        _apply_some(store, events[: len(events) // 2])
        _apply_some(store, events[len(events) // 2 :])


@retried
def _apply_once(store: Store, events: list[AnyEvent]) -> None:
    with store.database.begin() as connection:
        apply(connection, events)


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
