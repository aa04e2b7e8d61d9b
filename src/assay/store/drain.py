"""The hand-over: moves segments that nobody writes any more to where they are queried."""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from assay.errors import AssayError, Corrupt, Unavailable
from assay.store.delivery import faults
from assay.store.durable import can_write, make_folder, sync_folder
from assay.store.segment import QUARANTINE, SUFFIX, Segment, read

log = logging.getLogger(__name__)
#: So many segments one pass hands over at most; `Drained.left` says how many are for the next.
AT_MOST = 1000
#: A process killed while it made a segment leaves a hidden file without a record; it is removed when it is so old.
LEFTOVER_S = 3600.0


@dataclass
class Drained:
    """What a drainer did."""

    segments: int = 0
    records: int = 0
    #: Bytes of records that were never acknowledged, cut off.
    torn_bytes: int = 0
    #: What is damaged: file, offset and bytes, and where the file is kept.
    damaged: list[str] = field(default_factory=list[str])
    #: Segments that could not be handed over, by name, and why; they stay, and are tried again.
    faults: dict[str, str] = field(default_factory=dict[str, str])
    #: Segments that this pass did not come to.
    left: int = 0

    def followed_by(self, later: "Drained") -> "Drained":
        """What both passes did."""
        return Drained(
            self.segments + later.segments,
            self.records + later.records,
            self.torn_bytes + later.torn_bytes,
            self.damaged + later.damaged,
            self.faults | later.faults,
            later.left,
        )


_waits = faults.BackOff()
#: Segments that met a destination that was away; the others come first.
_met_away: set[Path] = set()


def segments(folder: Path, topic: str) -> list[Path]:
    """The files of a topic, oldest first, those being written included."""
    return sorted((folder / topic).glob(f"[!.]*{SUFFIX}"))


def snapshot(folder: Path, topic: str) -> list[Segment]:
    """What every segment holds right now, those being written included; damaged headers are left out."""
    found: list[Segment] = []
    for path in segments(folder, topic):
        try:
            found.append(read(path))
        except (OSError, Corrupt):  # drained meanwhile; or for the drainer to report
            continue
    return found


def is_due(path: Path) -> bool:
    """Whether a segment may be tried in the next pass of this process: it has not failed just now."""
    return _waits.is_due(path)


def drain(
    folder: Path,
    topic: str,
    sink: Callable[[Segment], None],
    *,
    away: tuple[type[Exception], ...] = (Unavailable,),
    at_most: int = AT_MOST,
) -> Drained:
    """Hand over segments that nobody writes to `sink`, oldest first, and remove each that is handed over.

    `sink` returns once all that it was given is on the disk at its destination, and takes the same segment twice
    without harm: when it or this process dies, the segment stays and is given again. Whole records around damage reach
    the sink, and the damaged file is kept in `quarantine`; so is the segment for which `sink` raises `Corrupt`.

    An error of one segment does not hold up the others: it is counted (`faults.py`), and the segment is tried again
    later, after ever longer waits. Only an error of `away` ends the pass and is raised: the destination takes nothing
    now. The segment that met it comes last in the next pass of this process.
    """
    done = Drained()
    where = folder / topic
    found = segments(folder, topic)
    _waits.keep(set(found), where)
    if found and not can_write(where):
        done.faults[where.name] = f"{where} can't be written by this user: its segments stay"
        return done
    _remove_leftovers(where)
    due = sorted((path for path in found if _waits.is_due(path)), key=lambda path: (path in _met_away, path))
    done.left = max(0, len(due) - at_most)
    try:
        for path in due[:at_most]:
            _try_one(folder, topic, path, sink, away, done)
    finally:
        faults.note(folder, topic, done.faults)
    return done


def _try_one(
    folder: Path,
    topic: str,
    path: Path,
    sink: Callable[[Segment], None],
    away: tuple[type[Exception], ...],
    done: Drained,
) -> None:
    try:
        with _taken(path) as mine:
            if not mine:
                return
            _drain_one(folder, topic, path, sink, done)
    except away:
        _met_away.add(path)
        raise
    except Exception as error:
        _waits.failed(path)
        done.faults[path.name] = faults.reason(error)
        log.warning("%s stays in the spool: %s", path, faults.reason(error), exc_info=_unexpected(error))
    else:
        _met_away.discard(path)
        _waits.forget(path)
        faults.forget(folder, topic, {path.name})


def _unexpected(error: Exception) -> Exception | None:
    return None if isinstance(error, (AssayError, OSError)) else error


def _drain_one(folder: Path, topic: str, path: Path, sink: Callable[[Segment], None], done: Drained) -> None:
    try:
        segment = read(path)
        if segment.records:
            sink(segment)
    except Corrupt as error:
        done.damaged.append(f"{error.what}; kept in {_quarantine(folder, topic, path)}")
        return
    done.segments += 1
    done.records += len(segment.records)
    done.torn_bytes += segment.torn_bytes
    if not segment.damaged:
        path.unlink()
        return
    places = ", ".join(f"{length:,} bytes at {offset:,}" for offset, length in segment.damaged)
    done.damaged.append(f"{path}: {places} damaged, the rest drained; kept in {_quarantine(folder, topic, path)}")


def _quarantine(folder: Path, topic: str, path: Path) -> Path:
    kept = folder / QUARANTINE / f"{topic}-{path.name}"
    make_folder(kept.parent)
    path.rename(kept)
    sync_folder(kept.parent)
    return kept


@contextmanager
def _taken(path: Path) -> Generator[bool]:
    """Hold the lock of a segment; False when its writer or another drainer has it, or it is gone."""
    try:
        file = _open(path)
    except FileNotFoundError:
        yield False
        return
    _open_here.add(file)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield _is_still(path, file)
        finally:
            # Not left to `close`: the child of a fork may have a copy of the file, and with it the lock.
            fcntl.flock(file, fcntl.LOCK_UN)
    finally:
        _open_here.discard(file)
        os.close(file)


#: Segments that this process is handing over. The child of a fork closes its copies, so that it does not hold the lock
#: of a segment when its parent is killed.
_open_here: set[int] = set()


def _begin_in_child() -> None:
    for file in _open_here:
        with suppress(OSError):
            os.close(file)
    _open_here.clear()


os.register_at_fork(after_in_child=_begin_in_child)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)  # NFS gives no exclusive lock on a file opened to be read
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _is_still(path: Path, file: int) -> bool:
    """Whether the locked file is the one of that name: its writer may have put another in its place meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _remove_leftovers(folder: Path) -> None:
    for path in folder.glob(f".*{SUFFIX}"):
        with suppress(OSError), _taken(path) as mine:  # another's, or gone
            if mine and time.time() - path.stat().st_mtime > LEFTOVER_S:
                path.unlink()
