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

#: Bytes that are asked of a bucket at a time, few enough for a slow line: each request has a timeout.
AHEAD = 8 << 20
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

    def path(self, digest: str) -> Path | None:
        """Where it is, or would be, in a local folder; None in a bucket."""
        ...

    def size(self, digest: str) -> int:
        """Its size in bytes. Raises `NotFound`."""
        ...

    def holds(self, digest: str, size: int) -> bool:
        """Whether it need not be written."""
        ...

    def pieces(self, digest: str, size: int, ahead: int) -> Iterator[bytes]:
        """Its content; `ahead` bytes at a time are in memory where it does not lie in a local folder."""
        ...

    def keep(self, part: Part, digest: str) -> None:
        """Make a part its content."""
        ...

    def names(self) -> Iterator[tuple[str, int, datetime]]:
        """Whatever lies there: name, size in bytes, when it was kept."""
        ...

    def delete(self, digest: str, *, kept_before: datetime | None = None) -> bool:
        """Remove it, if it is there, and was not kept again since `kept_before`; whether it was removed."""
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
        growing = self.begin()
        try:
            for chunk in chunks:
                growing.write(chunk)
            return growing.keep()
        finally:
            growing.drop()

    def begin(self) -> "Growing":
        """Begin a file that comes piece by piece; whoever began it calls `drop` at the end, kept or not."""
        return Growing(self._shelf, self._part())

    def get(self, digest: str) -> bytes:
        """The content of `digest`; raises `NotFound`, or `Corrupt` when it no longer matches its name."""
        whole = io.BytesIO()
        whole.writelines(self.read(digest))
        return whole.getvalue()

    @property
    def in_folder(self) -> bool:
        """Whether they lie in a local folder, from which a piece is read when it is wanted."""
        return isinstance(self._shelf, Folder)

    def read(self, digest: str, *, ahead: int = AHEAD) -> Iterator[bytes]:
        """The content of `digest` in pieces of at most 256 KiB; of a bucket, `ahead` bytes are asked for at a time.

        Raises `NotFound` at once. Raises `Corrupt` after the last piece when they do not match the digest: trust
        nothing before the end.
        """
        return self._checked(digest, self.size(digest), ahead)

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
        path = self._shelf.path(_sound(digest))
        if path is None:
            raise BadInput(f"an artifact in {self._shelf.name} has no path", do="Use fetch() to write it into a file.")
        return path

    def digests(self) -> Iterator[tuple[str, int, datetime]]:
        """Every artifact: digest, size in bytes, when it was kept; in no order."""
        for name, size, modified in self._shelf.names():
            first, _, digest = name.partition("/")
            if _DIGEST.fullmatch(digest) and digest.startswith(first) and len(first) == 2:
                yield digest, size, modified

    def delete(self, digest: str, *, kept_before: datetime | None = None) -> bool:
        """Remove `digest`, if it is there, and was not kept again since `kept_before`; whether it was removed."""
        return self._shelf.delete(_sound(digest), kept_before=kept_before)

    def sweep(self) -> int:
        """Remove what killed processes left half written more than an hour ago; returns how many files."""
        return sweep(self._shelf.spool)

    def _part(self) -> Part:
        return Part(self._shelf.spool, f"an artifact into {self._shelf.spool}")

    def _checked(self, digest: str, size: int, ahead: int) -> Iterator[bytes]:
        seen = hashlib.sha256()
        for piece in self._shelf.pieces(digest, size, ahead):
            seen.update(piece)
            yield piece
        if seen.hexdigest() != digest:
            where = f"{self._shelf.name}/{digest[:2]}/{digest}"
            raise Corrupt(f"artifact {digest[:12]} is damaged", where, do="Restore it from a backup.")


class Growing:
    """A file that is not whole yet."""

    def __init__(self, shelf: Shelf, part: Part) -> None:
        self._shelf = shelf
        self._digest = hashlib.sha256()
        self._part = part.__enter__()

    def write(self, piece: bytes) -> None:
        """Append to it."""
        self._digest.update(piece)
        self._part.write(piece)

    def keep(self) -> Stored:
        """It is whole."""
        digest, size = self._digest.hexdigest(), self._part.size
        if not self._shelf.holds(digest, size):
            self._shelf.keep(self._part, digest)
        return Stored(digest, size)

    def drop(self) -> None:
        """Leave nothing of what was not kept."""
        self._part.__exit__()


def _sound(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise NotFound(f"{digest!r} is not an artifact digest")
    return digest


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either there whole or not at all, also after a power cut; its mode is as `Part.keep` says."""
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
            if not _relative(name):
                raise BadInput(f"{name!r} can't be the name of a packed file")
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of `pack`; nothing is written, so no name can leave a folder.

    Raises `Corrupt` for other bytes: links, sparse files (a few bytes that claim to be terabytes), names that `pack`
    refuses and names that stand twice.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for entry in tar:
                file = None if entry.issparse() or not entry.isreg() else tar.extractfile(entry)
                if file is None or not _relative(entry.name) or entry.name in found or not 0 <= entry.size <= len(data):
                    raise tarfile.ReadError(f"{entry.name[:100]!r} is not a file that a pack holds")
                found[entry.name] = file.read()
    except (tarfile.TarError, ValueError, OSError, RecursionError) as error:
        raise Corrupt(f"a pack of files can't be read: {error}", do="Restore it from a backup.") from None
    return found


def _relative(name: str) -> bool:
    return not any(part in ("", ".", "..") for part in name.split("/")) and "\0" not in name
