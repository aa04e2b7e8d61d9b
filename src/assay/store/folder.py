"""A local folder of artifacts."""

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from assay.errors import NotFound, Unavailable
from assay.store.parts import PIECE, Part


class Folder:
    """Files under `ab/abcdef...` in a folder; on a shared disk several machines may use it."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self.spool = folder
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where `digest` is, or would be."""
        return self._folder / digest[:2] / digest

    def size(self, digest: str) -> int:
        """Its size in bytes. Raises `NotFound`."""
        with self._reading(digest):
            return self.path(digest).stat().st_size

    def holds(self, digest: str, size: int) -> bool:
        """Whether it is there and undamaged. One that is counts as new again, so that no clean-up takes it just now."""
        path = self.path(digest)
        try:
            if path.stat().st_size != size:
                return False
            with path.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            return False
        if whole:
            with suppress(OSError):  # a file of another user stays as old as it is
                os.utime(path)
        return whole

    def pieces(self, digest: str, size: int) -> Iterator[bytes]:  # noqa: ARG002 - a bucket needs it
        """Its content, not checked."""
        with self._reading(digest), self.path(digest).open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    def keep(self, part: Part, digest: str) -> None:
        """Make a part the content of `digest`."""
        part.keep(self.path(digest))

    def names(self) -> Iterator[tuple[str, int, datetime]]:
        """Everything below: name, size in bytes, when it was kept."""
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):  # deleted meanwhile
                found = path.stat()
                name = path.relative_to(self._folder).as_posix()
                yield name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def delete(self, digest: str) -> None:
        """Remove it, if it is there."""
        try:
            self.path(digest).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"can't delete {self.path(digest)}: {error.strerror}") from None

    @contextmanager
    def _reading(self, digest: str) -> Generator[None]:
        try:
            yield
        except FileNotFoundError:
            raise NotFound(f"there is no artifact {digest[:12]} in {self.name}") from None
        except OSError as error:
            raise Unavailable(f"can't read {self.path(digest)}: {error.strerror}") from None
