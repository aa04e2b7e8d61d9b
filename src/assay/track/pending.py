"""Files of runs that wait in this home for the place of the artifacts.

Where the place is a bucket, or a folder that other homes share, every file of a run is written to `.assay/pending` at
once and handed on afterwards, once its row is in the database. So a bucket that hangs slows no run, and whatever lies
in the place without a row is of nobody: `gc` of one machine can't remove what the spool of another still brings
(docs/decisions/0018).
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from time import monotonic

from sqlalchemy import Connection, select

from assay.errors import Corrupt, NotFound, Unavailable
from assay.store import Artifacts, Store
from assay.store.marks import going
from assay.store.schema import run_artifacts, runs

log = logging.getLogger(__name__)
#: After the place did not answer it is asked again so much later, then after twice as long each time.
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
_AT_ONCE = 500


@lru_cache(maxsize=4)
def pending(home: Path) -> Artifacts:
    """The files that wait in a home."""
    return Artifacts(home / "pending")


def keep_file(store: Store, content: bytes | Path) -> tuple[str, int]:
    """Keep a file; its digest and size. Costs no network: what belongs elsewhere waits here until it is handed on.

    Raises `Unavailable` when this disk is full, `NotFound` for a path that can't be read.
    """
    waiting = pending(store.home.path)
    if store.keeps_files_elsewhere:
        return _into(waiting, content)
    try:
        return _into(store.artifacts, content)
    except Unavailable:
        return _into(waiting, content)


def _into(artifacts: Artifacts, content: bytes | Path) -> tuple[str, int]:
    if isinstance(content, bytes):
        return artifacts.put(content), len(content)
    stored = artifacts.put_file(content)
    return stored.digest, stored.size


class Breaker:
    """Whether the place of the artifacts is asked now: one that did not answer is left alone for a while."""

    def __init__(self) -> None:
        self._failures = 0
        self._not_before = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether it may be asked."""
        return monotonic() >= self._not_before

    def failed(self) -> None:
        """It did not answer."""
        self._not_before = monotonic() + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        self._failures += 1

    def answered(self) -> None:
        """It did."""
        self._failures, self._not_before = 0, 0.0


def hand_on(store: Store, breaker: Breaker | None = None) -> None:
    """Hand on the files whose rows are in the database.

    Raises `Unavailable` when the place of the artifacts or the database does not answer; with a breaker, not again
    before it is time to ask again.
    """
    waiting = pending(store.home.path)
    digests = [digest for digest, _, _ in waiting.digests()]
    if not digests or (breaker and not breaker.is_closed):
        return
    try:
        for digest in _ready(store, digests):
            _hand_on_one(store, waiting, digest)
    except Unavailable:
        if breaker:
            breaker.failed()
        raise
    if breaker:
        breaker.answered()


def _ready(store: Store, digests: list[str]) -> list[str]:
    """Those that may be handed on: first the row is looked for, then the marks of a clean-up."""
    if not store.keeps_files_elsewhere:
        return digests
    with store.database.read() as connection:
        with_row = referred_by_runs(connection, digests)
    held = going(store.database, with_row)
    return [digest for digest in digests if digest in with_row - held]


def _hand_on_one(store: Store, waiting: Artifacts, digest: str) -> None:
    path = waiting.path(digest)
    try:
        seen = path.stat().st_mtime
        store.artifacts.put_stream(waiting.read(digest))
    except (NotFound, FileNotFoundError):
        return  # another process was quicker
    except Corrupt as error:
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(".damaged"))
        log.warning("a file that waited for the artifact store is lost: %s; see %s", error.what, path.parent)
    else:
        waiting.delete(digest, kept_before=_just_after(seen))


def _just_after(seen: float) -> datetime:
    return datetime.fromtimestamp(seen, UTC) + timedelta(microseconds=10)


def referred_by_runs(connection: Connection, digests: Iterable[str]) -> set[str]:
    """Those of `digests` that a run speaks of: as one of its files, its environment or its changes."""
    ordered, found = sorted(digests), set[str]()
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        for column in (run_artifacts.c.digest, runs.c.environment, runs.c.code_diff):
            found.update(connection.execute(select(column).where(column.in_(some)).distinct()).scalars())
    return found
