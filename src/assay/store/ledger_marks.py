"""Marks of the ledger's newest line, beside the artifacts, so that a cut-off tail of the table is seen.

    ASSAY_ARTIFACTS/ledger/<seal of the first line, 16 digits>/<number>-<seal>

A mark is never overwritten. Who has written the mark of a line removes that of the line before, by its seal, and no
other: so the newest mark stays whatever several processes do, and one that tells of a lost line is never removed.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from assay.errors import AssayError, Unavailable
from assay.store.bucket import Bucket
from assay.store.parts import Part
from assay.store.sealed import Mark, Sealed
from assay.store.soon import soon

log = logging.getLogger(__name__)
PREFIX = "ledger"
_NAME = re.compile(r"(?P<chain>[0-9a-f]{16})/(?P<number>[0-9]{1,18})-(?P<seal>[0-9a-f]{64})")


class Marks(Protocol):
    """Where marks lie. All methods raise `Unavailable`."""

    #: How people know it.
    name: str

    def names(self) -> Iterator[str]:
        """Whatever lies there."""
        ...

    def put(self, name: str) -> None:
        """Make a mark; it is on the disk when this returns."""
        ...

    def delete(self, name: str) -> None:
        """Remove a mark, if it is there."""
        ...


class MarksInFolder:
    """In the folder of the artifacts."""

    def __init__(self, artifacts: Path) -> None:
        self._folder = artifacts / PREFIX
        self.name = str(self._folder)

    def names(self) -> Iterator[str]:
        """Whatever lies there."""
        for path in self._folder.glob("*/*"):
            yield path.relative_to(self._folder).as_posix()

    def put(self, name: str) -> None:
        """Make a mark; it is on the disk when this returns."""
        path = self._folder / name
        with Part(path.parent, str(path)) as part:
            part.write(name.encode())
            part.keep(path)

    def delete(self, name: str) -> None:
        """Remove a mark, if it is there."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"can't delete {self._folder / name}: {error.strerror}") from None


class MarksInBucket:
    """In the bucket of the artifacts."""

    def __init__(self, url: str, spool: Path) -> None:
        self._bucket = Bucket(f"{url.rstrip('/')}/{PREFIX}", spool)
        self._spool = spool
        self.name = self._bucket.name

    def names(self) -> Iterator[str]:
        """Whatever lies there."""
        return self._bucket.below("")

    def put(self, name: str) -> None:
        """Make a mark; S3 keeps it whole or not at all."""
        with Part(self._spool, f"a mark of the ledger into {self._spool}") as part:
            part.write(name.encode())
            part.flush()
            self._bucket.put(name, part.path)

    def delete(self, name: str) -> None:
        """Remove a mark, if it is there."""
        self._bucket.delete_named(name)


def name_of(mark: Mark) -> str:
    """The file of a mark."""
    return f"{mark.chain[:16]}/{mark.number}-{mark.seal}"


def read_marks(marks: Marks) -> list[Mark]:
    """Every mark that lies there, of every ledger; the chain is known by 16 digits. Other files are left alone."""
    found = (_NAME.fullmatch(name) for name in marks.names())
    return [Mark(one["chain"], int(one["number"]), one["seal"]) for one in found if one]


def mark(place: Callable[[], Marks], lines: Sequence[Sealed]) -> None:
    """Mark the newest of some new lines, if that ends soon; a fault is logged, and the mark of the next line covers these too."""

    def made() -> None:
        marks = place()
        marks.put(name_of(lines[-1].mark))
        if before := lines[0].before:
            marks.delete(name_of(before))

    try:
        soon(made)
    except AssayError as error:
        log.warning("line %s of the ledger has no mark beside the artifacts: %s", lines[-1].mark.number, error)
