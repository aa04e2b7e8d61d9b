"""A local folder of artifacts."""

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import time

from assay.errors import NotFound, Unavailable
from assay.store.durable import sync_folder
from assay.store.parts import LEFT_S, READ, RENEW_AFTER, Part

#: What a file is called while its removal is decided.
_ASIDE = ".aside"


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
            try:
                os.utime(path)
            except FileNotFoundError:  # removed meanwhile
                return False
            except OSError:  # a file of another user stays as old as it is: written again, it is ours and young
                if is_old(path):
                    return False
            self._sync(path)
        return whole

    def pieces(self, digest: str, size: int, ahead: int) -> Iterator[bytes]:  # noqa: ARG002 - a bucket needs them
        """Its content, not checked."""
        with self._reading(digest), self.path(digest).open("rb") as file:
            while piece := file.read(READ):
                yield piece

    def keep(self, part: Part, digest: str) -> None:
        """Make a part the content of `digest`."""
        path = self.path(digest)
        try:
            part.keep(path)
        except Unavailable:
            with suppress(OSError):  # it may stand there with a name that the disk does not have
                path.unlink()
            raise

    def names(self) -> Iterator[tuple[str, int, datetime]]:
        """Everything below: name, size in bytes, when it was kept."""
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):  # deleted meanwhile
                found = path.stat()
                if path.suffix == _ASIDE:
                    _put_back_when_left(path)
                    continue
                name = path.relative_to(self._folder).as_posix()
                yield name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def delete(self, digest: str, *, kept_before: datetime | None = None) -> bool:
        """Remove it, if it is there, and was not kept again since `kept_before`; whether it was removed.

        It is taken aside before its age is looked at: who keeps it again meanwhile finds that it is not there, and
        writes it anew.
        """
        path = self.path(digest)
        aside = path.with_suffix(_ASIDE)
        try:
            if kept_before is None:
                path.unlink(missing_ok=True)
                return True
            path.rename(aside)
            if datetime.fromtimestamp(aside.stat().st_mtime, UTC) < kept_before:
                aside.unlink()
                return True
            _put_back(aside)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable(f"can't delete {path}: {error.strerror}") from None
        return False

    def _sync(self, path: Path) -> None:
        """Whoever gave it its name may have been killed before the name was on the disk."""
        try:
            sync_folder(path.parent)
        except OSError as error:
            raise Unavailable(f"can't sync {path.parent}: {error.strerror}") from None

    @contextmanager
    def _reading(self, digest: str) -> Generator[None]:
        try:
            yield
        except FileNotFoundError:
            raise NotFound(f"there is no artifact {digest[:12]} in {self.name}") from None
        except OSError as error:
            raise Unavailable(f"can't read {self.path(digest)}: {error.strerror}") from None


def _put_back(aside: Path) -> None:
    with suppress(FileExistsError):  # kept anew meanwhile
        os.link(aside, aside.with_suffix(""))
    aside.unlink()


def _put_back_when_left(aside: Path) -> None:
    """What a killed clean-up took aside; the next one looks at it again."""
    if time() - aside.stat().st_ctime > LEFT_S:
        _put_back(aside)


def is_old(path: Path) -> bool:
    """Whether a file that is kept again should be young again."""
    return time() - path.stat().st_mtime > RENEW_AFTER.total_seconds()
