"""Files in the making: there whole or not at all, also after a full disk, a kill or a power cut."""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Self
from uuid import uuid4

from assay.errors import NotFound, Unavailable
from assay.store.durable import make_folder, share_open_file, sync_folder

#: Bytes that are read or written at a time.
PIECE = 1 << 20
#: Bytes of content that are given out at a time: whoever passes them on to a slow client holds a few of them.
READ = 256 << 10
#: A part that nobody has touched for so long belongs to a process that was killed.
LEFT_S = 3600.0
#: Content that is kept again and is older than this is made young again, so that no clean-up by age takes it: half of
#: the age that a clean-up spares.
RENEW_AFTER = timedelta(hours=12)
_MARK = ".part-"


class Part:
    """A file that has no name yet: `keep` gives it one; without, nothing is left of it at the end of the block.

    Raises `Unavailable`, which says `goal`, when the disk is full or the folder can't be written.
    """

    def __init__(self, folder: Path, goal: str) -> None:
        self.path = folder / f"{_MARK}{uuid4().hex}"
        self.size = 0
        self._goal = goal

    def __enter__(self) -> Self:
        with self._disk():
            make_folder(self.path.parent)
            self._file = self.path.open("xb")
        return self

    def write(self, piece: bytes) -> None:
        """Append to it."""
        with self._disk():
            self.size += self._file.write(piece)

    def flush(self) -> None:
        """Let others who open `path` see everything."""
        with self._disk():
            self._file.flush()

    def keep(self, path: Path) -> None:
        """Make it the file at `path`, on the same disk, in place of what was there.

        Its mode is that of the umask; in a folder of the group, the group may write it.
        """
        with self._disk():
            self._file.flush()
            make_folder(path.parent)
            share_open_file(self._file.fileno(), path.parent)
            os.fsync(self._file.fileno())
            self._file.close()
            self.path.replace(path)
            sync_folder(path.parent)

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what a full disk did not take is not wanted any more
            self._file.close()
        with self._disk():
            self.path.unlink(missing_ok=True)

    @contextmanager
    def _disk(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(
                f"can't write {self._goal}: {error.strerror}", do="Free some disk space or correct the permissions."
            ) from None


def pieces(path: Path) -> Iterator[bytes]:
    """The content of a file, about 1 MiB at a time. Raises `NotFound` when it can't be read."""
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except OSError as error:
        raise NotFound(f"can't read {path}: {error.strerror}") from None


def sweep(folder: Path) -> int:
    """Remove the parts that killed processes left in a folder and in those right below it; returns how many.

    Raises `Unavailable` for one that can't be removed.
    """
    until = time() - LEFT_S
    swept = 0
    for part in (*folder.glob(f"{_MARK}*"), *folder.glob(f"*/{_MARK}*")):
        try:
            if part.stat().st_mtime < until:
                part.unlink()
                swept += 1
        except FileNotFoundError:
            continue  # its process, or another sweep, was quicker
        except OSError as error:
            raise Unavailable(f"can't remove {part}: {error.strerror}", do="Correct the permissions.") from None
    return swept
