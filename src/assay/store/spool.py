"""The fast way to keep something: one `write` to an append-only file that this process alone has.

What is written is in the kernel when `append` returns, so killing the process loses nothing; a power cut loses at
most what came after the last `tick`. A drainer (`drain.py`) moves whole segments to where they are queried.

An fsync that failed is never tried again on the same file: the kernel may have dropped the pages and would say yes.
The segment is written again instead, as a new file of the same name, from what can be read of it; where that fails
too, it is closed, reported and left to the drainer, whose destination is then the first safe place of its records.

A process holds a lock on the segment that it writes. The kernel drops it when the process ends, however it ends, so
a segment without a lock is closed or orphaned, and any drainer may take it.
"""

import errno
import fcntl
import logging
import os
import secrets
import threading
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self
from weakref import WeakSet

from assay.errors import BadInput
from assay.store.delivery import faults
from assay.store.durable import make_folder, open_writable, sync_folder
from assay.store.segment import QUARANTINE, SUFFIX, frame, is_whole, opening

log = logging.getLogger(__name__)
WARN_EVERY_S = 60.0
#: After the topic was found full, or the disk, records are dropped for so long before it is looked at again.
LOOK_AGAIN_S = 1.0


class Spool:
    """Appends records to segments `<folder>/<topic>/<id>.seg`; safe to use from several threads and across forks.

    `meta` opens every segment and says what its records are. A segment is closed, and so free to be drained, when
    it would grow beyond `max_bytes` or when `append` or `tick` finds it older than `max_age_s`. When the topic holds
    `bound_bytes` that nobody drained, or the disk is full, records are dropped and counted: an append never raises
    for the state of a disk, and neither does one after `close`. The child of a fork goes on in a segment of its own.
    """

    def __init__(
        self,
        folder: Path,
        topic: str,
        meta: bytes,
        *,
        max_bytes: int = 64 << 20,
        max_age_s: float = 60.0,
        bound_bytes: int = 4 << 30,
    ) -> None:
        """Name the spool; the first segment is made by the first append, so an idle process leaves no file."""
        if not meta:
            raise BadInput("a spool needs a meta record", do="Pass a description of its records.")
        if topic in ("", QUARANTINE) or topic.startswith(".") or Path(topic).name != topic:
            raise BadInput(
                f"{topic!r} can't be the name of a spool", do="Use one word that can be the name of a folder."
            )
        self.folder = folder / topic
        #: Records that this process could not keep.
        self.dropped = 0
        self._sync = secrets.randbits(32)
        self._opening = opening(self._sync, meta)
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._bound_bytes = bound_bytes
        self._closed = False
        self._warned = -inf
        self._without_segment()
        _spools.add(self)

    def _without_segment(self) -> None:
        # Reentrant, so that a signal handler that logs into the spool that it interrupted does not wait for itself.
        self._lock = threading.RLock()
        self._file = -1
        self._path: Path | None = None
        self._size = 0
        #: How far the segment may grow; 0 while there is none, so that an append compares once.
        self._limit = 0
        self._synced = 0
        self._expires = inf
        self._turning = False
        self._refusal = ""
        self._unsaid = ""
        self._look_again = 0.0

    def append(self, *payloads: bytes) -> bool:
        """Keep records, all or none; True once they are written, False when they were dropped.

        Raises `BadInput` for an empty record and for one of more than 16 MiB.
        """
        if len(payloads) == 1:
            data = frame(self._sync, payloads[0])
        elif payloads:
            data = b"".join([frame(self._sync, payload) for payload in payloads])
        else:
            return True
        size = len(data)
        with self._lock:
            why = "" if self._size + size <= self._limit and monotonic() < self._expires else self._turn(size)
            if not why:
                try:
                    written = os.write(self._file, data)
                except OSError as error:
                    why = self._cut_back(0, error.strerror or str(error))
                else:
                    if written == size:
                        self._size += size
                        return True
                    why = self._cut_back(written, "the disk took only a part")
            self.dropped += len(payloads)
        self._warn(why)
        return False

    def tick(self) -> None:
        """Call this each second or so: puts what was written on the disk for good and closes a segment that is old."""
        self._say()
        with self._lock:
            self._look_again = 0.0
            path, size, synced = self._path, self._size, self._synced
        if path is None:
            return
        try:  # outside of the lock: appends do not wait for the disk
            _put_on_disk(path, size, synced)
        except FileNotFoundError:
            self._left(path)
            return
        except NotSynced as error:
            with self._lock:
                if self._path == path:
                    self._write_again(error)
            self._say()
            return
        except OSError as error:
            log.warning("spool %s: can't be synced now: %s", self.folder, error.strerror)
            return  # nothing was synced, and nothing was lost: the next tick tries again
        with self._lock:
            if self._path == path:
                self._synced = size
                if monotonic() >= self._expires:
                    self._close_segment()

    def rotate(self) -> None:
        """Close the segment, so that it can be drained; the next append begins another."""
        with self._lock:
            self._close_segment()
        self._say()

    def close(self) -> None:
        """Close for good; what is appended after this is dropped and counted."""
        with self._lock:
            self._closed = True
            self._close_segment()
        self._say()

    def begin_in_child(self) -> None:
        """Leave the segment to the parent of a fork; Python calls this in the child."""
        # The lock on the segment belongs to the open file that both share: closing this copy keeps it for the parent,
        # and the child does not keep it when the parent dies. A fork while another thread stands between `os.open`
        # and the assignment leaves the child a copy: that segment is then drained when both are gone.
        file = self._file
        self._without_segment()
        self.dropped = 0
        if file >= 0:
            os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _turn(self, coming: int) -> str:
        """Begin another segment; what stands against it, or nothing."""
        if self._closed:
            return f"{self.folder} is closed"
        if self._turning:
            return f"a signal came while a segment of {self.folder} was made"
        if monotonic() < self._look_again:
            return self._refusal
        self._turning = True
        try:
            self._close_segment()
            room = self._bound_bytes - _held(self.folder)
            if len(self._opening) + coming <= room:
                self._open_segment(room)
                return ""
            self._refusal = f"{self.folder} holds its bound of {self._bound_bytes:,} undrained bytes"
        except OSError as error:
            self._refusal = f"{error.strerror} at {self.folder}"
        finally:
            self._turning = False
        self._look_again = monotonic() + LOOK_AGAIN_S
        return self._refusal

    def _open_segment(self, room: int) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        path, hidden = self.folder / name, self.folder / f".{name}"
        make_folder(self.folder)
        self._file = _new_file(hidden)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)  # before anyone can see the segment
            _write_whole(self._file, self._opening)
            hidden.rename(path)
        except BaseException:
            self._let_go()
            hidden.unlink(missing_ok=True)
            raise
        self._path, self._size, self._synced = path, len(self._opening), 0
        self._expires = monotonic() + self._max_age_s
        self._limit = min(self._max_bytes, room)

    def _close_segment(self) -> None:
        path = self._path
        if path is not None:
            self._expires = inf  # what a signal handler appends meanwhile still goes into this segment
            try:
                _put_on_disk(path, self._size, self._synced)
            except NotSynced as error:
                self._write_again(error)
            except OSError as error:
                self._report(path, f"a segment could not be put on the disk: {error.strerror}")
            self._let_go()

    def _write_again(self, failed: "NotSynced") -> None:
        """Put the records of a segment whose fsync failed into a new file of its name."""
        path, hidden, size = failed.path, failed.path.with_name(f".{failed.path.name}"), self._size
        file = -1
        try:
            data = path.read_bytes()[:size]
            if len(data) != size or not is_whole(data):
                raise OSError(errno.EIO, "not all of it can be read again")
            file = _new_file(hidden)
            fcntl.flock(file, fcntl.LOCK_EX)  # a drainer that waits at the old file finds that it is no longer the one
            _write_whole(file, data)
            os.fsync(file)
            hidden.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            if file >= 0:
                os.close(file)
            with suppress(OSError):  # it may not have come so far
                hidden.unlink()
            self._let_go()  # free for the drainer
            self._report(path, f"fsync failed ({failed.strerror}), and writing it again too ({error.strerror})")
            return
        old, self._file = self._file, file
        self._synced = size
        os.close(old)
        self._unsaid = f"fsync of {path.name} failed ({failed.strerror}); it was written again"

    def _report(self, path: Path, why: str) -> None:
        self._unsaid = f"{path.name}: {why}; until it is drained, a power cut can lose its records"
        faults.note(self.folder.parent, self.folder.name, {path.name: why})

    def _let_go(self) -> None:
        file, self._file, self._path, self._size, self._limit = self._file, -1, None, 0, 0
        if file >= 0:
            os.close(file)

    def _left(self, path: Path) -> None:
        """Begin anew after a segment that is no longer in its folder."""
        with self._lock:
            if self._path != path:  # closed and drained meanwhile
                return
            self._let_go()
        log.warning("spool: %s was removed while it was written; its records are lost", path)

    def _cut_back(self, written: int, why: str) -> str:
        """Take a part of a record off the end again."""
        try:
            # The file's own position, not `_size`: a KeyboardInterrupt after a write leaves `_size` behind.
            self._size = os.lseek(self._file, -written, os.SEEK_CUR)
            os.ftruncate(self._file, self._size)
        except OSError:
            self._let_go()  # a drainer cuts it off
        return f"{why} at {self.folder}"

    def _say(self) -> None:
        # Never under the lock: a logging handler that appends here waits for it while it holds its own.
        unsaid, self._unsaid = self._unsaid, ""
        if unsaid:
            log.warning("spool %s: %s", self.folder, unsaid)

    def _warn(self, why: str) -> None:
        if monotonic() - self._warned > WARN_EVERY_S:
            self._warned = monotonic()
            log.warning("spool: %s; %s records dropped so far", why, self.dropped)


def _write_whole(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class NotSynced(OSError):
    """An fsync failed: what the file holds may not be on the disk, and a second fsync would not tell."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.path = path


def _put_on_disk(path: Path, size: int, synced: int) -> None:
    # The file is opened again instead of shared: a process forked meanwhile would inherit the lock with it.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if size != synced:
            _fsync(file, path)
    finally:
        os.close(file)
    if not synced:  # a new file's name is in its folder
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _fsync(folder, path)
        finally:
            os.close(folder)


def _fsync(file: int, path: Path) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        raise NotSynced(path, error) from None


def _new_file(path: Path) -> int:
    """Open a file that is not there yet. Others may not read it; its group may write it where it may write the folder."""
    return open_writable(path, os.O_WRONLY | os.O_APPEND | os.O_EXCL)


def _held(folder: Path) -> int:
    """Bytes of the segments in a folder; drainers may take some away meanwhile."""
    held = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX):
                    try:
                        held += entry.stat().st_size
                    except FileNotFoundError:
                        continue
    except FileNotFoundError:
        return 0
    return held


_spools: WeakSet[Spool] = WeakSet()


def _begin_in_child() -> None:
    for spool in list(_spools):
        spool.begin_in_child()


os.register_at_fork(after_in_child=_begin_in_child)
