"""Files in the making: there whole or not at all, also after a full disk, a kill or a power cut."""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import Self
from uuid import uuid4

from assay.errors import NotFound, Unavailable

#: Bytes that are read or written at a time.
PIECE = 1 << 20
#: A part that nobody has touched for so long belongs to a process that was killed.
LEFT_S = 3600.0
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
            self.path.parent.mkdir(parents=True, exist_ok=True)
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
        """Make it the file at `path`, on the same disk, in place of what was there; who may read it, the umask says."""
        with self._disk():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            new_folder = not path.parent.is_dir()
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path.replace(path)
            _sync(path.parent)
            if new_folder:
                _sync(path.parent.parent)

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
                f"can't write {self._goal}: {error.strerror}", do="Free some disk space or mend the rights."
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
            raise Unavailable(f"can't remove {part}: {error.strerror}", do="Mend the rights.") from None
    return swept


def _sync(folder: Path) -> None:
    """Make the names in a folder outlive a power cut, so that nobody refers to a file that is gone."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
