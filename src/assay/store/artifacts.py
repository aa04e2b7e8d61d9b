"""Content-addressed files: the name of a file is the hash of what is in it."""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from assay.errors import BadInput, Corrupt, NotFound, Unavailable

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Stored:
    """A file that is kept."""

    digest: str
    size: int


class Artifacts:
    """A folder of immutable files, each found by the SHA-256 of its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Keep `data`; returns its digest. Keeping it twice keeps it once, and mends a damaged file."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if not _holds(path, data):
            write_whole(path, data)
        return digest

    def put_file(self, path: Path) -> Stored:
        """Keep a file. Raises `NotFound` when it can't be read."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise NotFound(f"can't read {path}: {error.strerror}") from None
        return Stored(self.put(data), len(data))

    def put_stream(self, chunks: Iterable[bytes]) -> Stored:
        """Keep what comes piece by piece."""
        data = b"".join(chunks)
        return Stored(self.put(data), len(data))

    def read(self, digest: str) -> Iterator[bytes]:
        """The content of `digest`, piece by piece."""
        yield self.get(digest)

    def get(self, digest: str) -> bytes:
        """The content of `digest`; raises `NotFound`, or `Corrupt` when the file no longer matches its name."""
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"there is no artifact {digest[:12]} in {self.folder}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise Corrupt(f"artifact {digest[:12]} is damaged", str(self.path(digest)), do="Restore it from a backup.")
        return data

    def path(self, digest: str) -> Path:
        """Where `digest` is kept; a digest never becomes another path."""
        if not _DIGEST.fullmatch(digest):
            raise NotFound(f"{digest!r} is not an artifact digest")
        return self.folder / digest[:2] / digest


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either there whole or not at all, also after a power cut; who may read it, the umask says."""
    temporary = path.parent / f".part-{uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync(path.parent)
    except OSError as error:
        raise Unavailable(
            f"can't write {path}: {error.strerror}", do="Free some disk space or mend the rights."
        ) from None


def _sync(folder: Path) -> None:
    """Make the names in a folder outlive a power cut, so that nobody refers to a file that is gone."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
