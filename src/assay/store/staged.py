"""Artifacts that lie elsewhere, in a bucket or a folder of the team, with those that wait for it in front."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

from assay.errors import NotFound, Unavailable
from assay.store.artifacts import Shelf
from assay.store.bucket import Bucket
from assay.store.folder import Folder
from assay.store.parts import Part

#: How long a writer waits for a clean-up that is about to remove what he has just kept again.
WAIT_S = 60.0


class Staged:
    """A shelf elsewhere. What waits in this home for being handed on is found here already."""

    def __init__(self, place: Shelf, waiting: Folder, is_going: Callable[[str], bool]) -> None:
        """`is_going` says whether a clean-up is about to remove a digest: `marks.py`."""
        self.name = place.name
        self.spool = place.spool
        self._place = place
        self._waiting = waiting
        self._is_going = is_going

    def path(self, digest: str) -> Path | None:
        """Where it is in the place itself, if that is a folder."""
        return self._place.path(digest)

    def size(self, digest: str) -> int:
        """Its size in bytes. Raises `NotFound`."""
        try:
            return self._waiting.size(digest)
        except (NotFound, Unavailable):
            return self._place.size(digest)

    def holds(self, digest: str, size: int) -> bool:
        """Whether the place itself has it."""
        return self._place.holds(digest, size)

    def pieces(self, digest: str, size: int, ahead: int) -> Iterator[bytes]:
        """Its content, not checked."""
        here = self._waiting.pieces(digest, size, ahead)
        try:
            first = next(here, b"")  # from here on the file is open, and may be handed on meanwhile
        except (NotFound, Unavailable):
            yield from self._place.pieces(digest, size, ahead)
            return
        if first:
            yield first
        yield from here

    def keep(self, part: Part, digest: str) -> None:
        """Make a part its content in the place itself.

        A clean-up that looked before, when only an older copy was there, may still remove the new one (S3 has no way
        to delete only what is old). It has marked what it removes: so its end is waited for, and then looked.
        """
        self._place.keep(part, digest)
        if not isinstance(self._place, Bucket):  # a folder removes nothing that was kept again meanwhile
            return
        until = monotonic() + WAIT_S
        while True:
            while self._is_going(digest):
                if monotonic() > until:
                    raise Unavailable(f"a clean-up of {self.name} is still running", do="Try again in a moment.")
                sleep(0.1)
            if self._place.holds(digest, part.size):
                return
            self._place.keep(part, digest)

    def names(self) -> Iterator[tuple[str, int, datetime]]:
        """Whatever lies in the place itself."""
        return self._place.names()

    def delete(self, digest: str, *, kept_before: datetime | None = None) -> bool:
        """Remove it from the place itself."""
        return self._place.delete(digest, kept_before=kept_before)
