"""Content-addressed files: the name of a file is the hash of what is in it."""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from assay.errors import BadInput, Corrupt, NotFound
from assay.store.folder import Folder
from assay.store.parts import Part, pieces, sweep

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Stored:
    """A file that is kept."""

    digest: str
    size: int


class Shelf(Protocol):
    """Where artifacts lie: `Folder` or `Bucket`. It is given digests that are digests, and checks no content."""

    #: How people know it.
    name: str
    #: The local folder in which a file grows before it is kept.
    spool: Path

    def size(self, digest: str) -> int:
        """Its size in bytes. Raises `NotFound`."""
        ...

    def holds(self, digest: str, size: int) -> bool:
        """Whether it need not be written."""
        ...

    def pieces(self, digest: str, size: int) -> Iterator[bytes]:
        """Its content."""
        ...

    def keep(self, part: Part, digest: str) -> None:
        """Make a part its content."""
        ...

    def names(self) -> Iterator[tuple[str, int, datetime]]:
        """Whatever lies there: name, size in bytes, when it was kept."""
        ...

    def delete(self, digest: str) -> None:
        """Remove it, if it is there."""
        ...


class Artifacts:
    """Immutable files of any size, each found by the SHA-256 of its content; never more than some MiB in memory.

    Every method raises `Unavailable` when the disk is full or the object store does not answer.
    """

    def __init__(self, where: Shelf | Path) -> None:
        self._shelf: Shelf = Folder(where) if isinstance(where, Path) else where

    def put(self, data: bytes) -> str:
        """Keep `data`; returns its digest. Keeping it twice keeps it once, and mends a damaged file."""
        digest = hashlib.sha256(data).hexdigest()
        if not self._shelf.holds(digest, len(data)):
            with self._part() as part:
                part.write(data)
                self._shelf.keep(part, digest)
        return digest

    def put_file(self, path: Path) -> Stored:
        """Keep a file. Raises `NotFound` when it can't be read."""
        digest, size = hashlib.sha256(), 0
        for piece in pieces(path):
            digest.update(piece)
            size += len(piece)
        if self._shelf.holds(digest.hexdigest(), size):
            return Stored(digest.hexdigest(), size)
        return self.put_stream(pieces(path))

    def put_stream(self, chunks: Iterable[bytes]) -> Stored:
        """Keep what comes piece by piece; nothing is kept when `chunks` raises."""
        digest = hashlib.sha256()
        with self._part() as part:
            for chunk in chunks:
                digest.update(chunk)
                part.write(chunk)
            if not self._shelf.holds(digest.hexdigest(), part.size):
                self._shelf.keep(part, digest.hexdigest())
            return Stored(digest.hexdigest(), part.size)

    def get(self, digest: str) -> bytes:
        """The content of `digest`; raises `NotFound`, or `Corrupt` when it no longer matches its name."""
        whole = io.BytesIO()
        whole.writelines(self.read(digest))
        return whole.getvalue()

    def read(self, digest: str) -> Iterator[bytes]:
        """The content of `digest` in pieces of about 1 MiB.

        Raises `NotFound` at once. Raises `Corrupt` after the last piece when they do not match the digest: trust
        nothing before the end.
        """
        return self._checked(digest, self.size(digest))

    def fetch(self, digest: str, to: Path) -> None:
        """Write the content of `digest` into a file, which changes only once all of it is there and is checked."""
        found = self.read(digest)
        with Part(to.parent, str(to)) as part:
            for piece in found:
                part.write(piece)
            part.keep(to)

    def size(self, digest: str) -> int:
        """The size of `digest` in bytes. Raises `NotFound`."""
        return self._shelf.size(_sound(digest))

    def path(self, digest: str) -> Path:
        """Where `digest` is kept in a local folder; a digest never becomes another path. `BadInput` for a bucket."""
        if not isinstance(self._shelf, Folder):
            raise BadInput(f"an artifact in {self._shelf.name} has no path", do="Fetch it into a file.")
        return self._shelf.path(_sound(digest))

    def digests(self) -> Iterator[tuple[str, int, datetime]]:
        """Every artifact: digest, size in bytes, when it was kept; in no order."""
        for name, size, modified in self._shelf.names():
            first, _, digest = name.partition("/")
            if _DIGEST.fullmatch(digest) and digest.startswith(first) and len(first) == 2:
                yield digest, size, modified

    def delete(self, digest: str) -> None:
        """Remove `digest`, if it is there."""
        self._shelf.delete(_sound(digest))

    def sweep(self) -> int:
        """Remove what killed processes left half written more than an hour ago; returns how many files."""
        return sweep(self._shelf.spool)

    def _part(self) -> Part:
        return Part(self._shelf.spool, f"an artifact into {self._shelf.spool}")

    def _checked(self, digest: str, size: int) -> Iterator[bytes]:
        seen = hashlib.sha256()
        for piece in self._shelf.pieces(digest, size):
            seen.update(piece)
            yield piece
        if seen.hexdigest() != digest:
            where = f"{self._shelf.name}/{digest[:2]}/{digest}"
            raise Corrupt(f"artifact {digest[:12]} is damaged", where, do="Restore it from a backup.")


def _sound(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise NotFound(f"{digest!r} is not an artifact digest")
    return digest


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either there whole or not at all, also after a power cut; who may read it, the umask says."""
    with Part(path.parent, str(path)) as part:
        part.write(data)
        part.keep(path)


def pack(files: Mapping[str, bytes]) -> bytes:
    """Named files as one tar of reproducible bytes: the same files always give the same digest.

    Names are relative paths with "/"; raises `BadInput` for others.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
                raise BadInput(f"{name!r} can't be the name of a packed file")
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of `pack`; nothing is written, so no name can leave a folder. Raises `Corrupt` for other bytes."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            found = ((entry.name, tar.extractfile(entry)) for entry in tar.getmembers())
            return {name: file.read() for name, file in found if file}
    except tarfile.TarError as error:
        raise Corrupt(f"a pack of files can't be read: {error}", do="Restore it from a backup.") from None
