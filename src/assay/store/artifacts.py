"""Content-addressed files: the name of a file is the hash of what is in it."""

import hashlib
import io
import os
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from assay.errors import Corrupt, NotFound, Unavailable

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Artifacts:
    """A folder of immutable files, each found by the SHA-256 of its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Keep `data`; returns its digest. Keeping the same content twice keeps it once."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if not path.exists():
            write_whole(path, data)
        return digest

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


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either there whole or not at all, also after a power cut."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Unavailable(
            f"can't write {path}: {error.strerror}", do="Free some disk space or mend the rights."
        ) from None


def pack(files: Mapping[str, bytes]) -> bytes:
    """Named files as one tar of reproducible bytes: the same files always give the same digest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of `pack`; nothing is written, so no name can leave a folder."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = ((entry.name, tar.extractfile(entry)) for entry in tar.getmembers())
        return {name: file.read() for name, file in found if file}
