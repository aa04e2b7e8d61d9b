"""Moves segments that nobody writes any more to where they are queried."""

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from assay.errors import Corrupt
from assay.store.segment import QUARANTINE, SUFFIX, Segment, read

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


def segments(folder: Path, topic: str) -> list[Path]:
    """The files of a topic, oldest first, those being written included."""
    return sorted((folder / topic).glob(f"[!.]*{SUFFIX}"))


def snapshot(folder: Path, topic: str) -> list[Segment]:
    """What every segment holds right now, those being written included; damaged headers are left out."""
    found: list[Segment] = []
    for path in segments(folder, topic):
        try:
            found.append(read(path))
        except (FileNotFoundError, Corrupt):  # drained meanwhile; or for the drainer to report
            continue
    return found


def drain(folder: Path, topic: str, sink: Callable[[Segment], None]) -> Drained:
    """Give each segment that nobody writes to `sink`, and remove it.

    `sink` must take the same segment twice without harm: when it or this process dies, the segment stays and is given
    again. Whole records around damage reach the sink, and the damaged file is kept in `quarantine`.
    """
    done = Drained()
    _remove_leftovers(folder / topic)
    for path in segments(folder, topic):
        with _taken(path) as mine:
            if mine:
                _drain_one(folder, topic, path, sink, done)
    return done


def _drain_one(folder: Path, topic: str, path: Path, sink: Callable[[Segment], None], done: Drained) -> None:
    try:
        segment = read(path)
    except Corrupt as error:
        done.damaged.append(f"{error.what}; kept in {_quarantine(folder, topic, path)}")
        return
    if segment.records:
        sink(segment)
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
    kept.parent.mkdir(exist_ok=True)
    path.rename(kept)
    return kept


@contextmanager
def _taken(path: Path) -> Generator[bool]:
    """Hold the lock of a segment; False when its writer or another drainer has it, or it is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield _is_still(path, file)
    finally:
        os.close(file)


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _remove_leftovers(folder: Path) -> None:
    for path in folder.glob(f".*{SUFFIX}"):
        with _taken(path) as mine:
            if mine and time.time() - path.stat().st_mtime > LEFTOVER_S:
                path.unlink()
