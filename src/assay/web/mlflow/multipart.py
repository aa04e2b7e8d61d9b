"""Uploads in parts: parts are kept on the disk of the server until the last one is there.

The id of an upload is a secret of 32 bytes, so that a part needs no other right than to know it, as with S3.
"""

import hashlib
import re
import secrets
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import Any, BinaryIO

from assay.errors import Unavailable
from assay.store import Store
from assay.store.durable import make_folder, share_file, share_open_file
from assay.web.http import Answer
from assay.web.mlflow.ask import Ask, safe_path
from assay.web.mlflow.errors import MlflowError, invalid, missing
from assay.web.mlflow.files import keep, locate

MOST_PARTS = 10_000
#: An upload that nobody completed is removed after so long.
FORGOTTEN_S = 7 * 24 * 3600
_ID = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
_PIECE = 1 << 20
_PATH = "path"


def create(store: Store, ask: Ask) -> dict[str, Any]:
    """Begin an upload; says where each part goes."""
    path, count = _path(ask), ask.number("num_parts", 1)
    if not 1 <= count <= MOST_PARTS:
        raise invalid(f"An upload has 1 to {MOST_PARTS} parts, not {count}.")
    with store.database.read() as connection:
        if not locate(connection, path).name:
            raise invalid(f"{path!r} names a folder, not a file")
    _forget_old(store)
    upload = secrets.token_hex(32)
    folder = _root(store) / upload
    with _on_disk():
        make_folder(folder)
        (folder / _PATH).write_text(path)
        share_file(folder / _PATH)
    base = f"{ask.request.base}/api/2.0/mlflow-artifacts/mpu/part/{upload}"
    parts = [{"part_number": number, "url": f"{base}/{number}", "headers": {}} for number in range(1, count + 1)]
    return {"upload_id": upload, "credentials": parts}


def _path(ask: Ask) -> str:
    # The folder is in the URL, the name of the file at the client in the body.
    name = ask.text("path").replace("\\", "/").rsplit("/", 1)[-1]
    return safe_path(f"{ask.request.places[0].strip('/')}/{name}")


def begin_part(store: Store, upload: str, number: str) -> "_Part":
    """Begin to take in a part. Raises an error of MLflow's for an upload that nobody began."""
    folder = _folder(store, upload)
    if not _NUMBER.fullmatch(number) or int(number) > MOST_PARTS:
        raise invalid(f"{number[:20]!r} is not the number of a part")
    return _Part(folder, int(number))


class _Part:
    def __init__(self, folder: Path, number: int) -> None:
        self._goal, self._half = folder / str(number), folder / f"half-{secrets.token_hex(8)}"
        self._digest = hashlib.sha256()
        with _on_disk():
            self._file = self._half.open("xb")
            share_open_file(self._file.fileno(), folder)

    def write(self, piece: bytes) -> None:
        self._digest.update(piece)
        with _on_disk():
            self._file.write(piece)

    def keep(self) -> Answer:
        with _on_disk():
            self._file.close()
            self._half.replace(self._goal)
        return Answer(headers={"etag": f'"{self._digest.hexdigest()}"'})

    def drop(self) -> None:
        with suppress(OSError):  # what a full disk did not take is not wanted any more
            self._file.close()
        with suppress(OSError):  # the upload was completed or aborted meanwhile
            self._half.unlink(missing_ok=True)


def complete(store: Store, ask: Ask) -> dict[str, Any]:
    """Make the parts one file."""
    folder = _folder(store, ask.text("upload_id"))
    path = _path(ask)
    if _text(folder / _PATH) != path:
        raise invalid("The upload was started for another path.")
    parts = sorted((one.get("part_number", 0), one.get("etag", "")) for one in ask.items("parts"))
    files = [folder / str(number) for number, _ in parts]
    if not files or [number for number, _ in parts] != list(range(1, len(parts) + 1)):
        raise invalid("The parts must be numbered 1, 2, 3 and so on, none twice.")
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise invalid(f"Parts are missing: {', '.join(absent[:10])}.")
    with store.database.read() as connection:
        place = locate(connection, path)
    stored = store.artifacts.put_stream(_checked(files, [etag for _, etag in parts]))
    keep(store, place, stored.digest, stored.size)
    shutil.rmtree(folder, ignore_errors=True)
    return {}


def _checked(files: list[Path], tags: list[str]) -> Iterator[bytes]:
    for file, tag in zip(files, tags, strict=True):
        digest = hashlib.sha256()
        with _opened(file) as opened:
            while piece := opened.read(_PIECE):
                digest.update(piece)
                yield piece
        if tag and tag.strip('"') != digest.hexdigest():
            raise invalid(f"Part {file.name} is not the one that was sent: its ETag differs.")


def _text(path: Path) -> str:
    with _opened(path) as file:
        return file.read().decode()


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:  # the same upload was completed or aborted meanwhile
        raise _no_upload() from None


def _no_upload() -> MlflowError:
    return missing("There is no such upload.")


def abort(store: Store, ask: Ask) -> dict[str, Any]:
    """Forget an upload."""
    shutil.rmtree(_folder(store, ask.text("upload_id")), ignore_errors=True)
    return {}


def _root(store: Store) -> Path:
    return store.home.path / "uploads"


def _folder(store: Store, upload: str) -> Path:
    folder = _root(store) / upload
    if not _ID.fullmatch(upload) or _age_s(folder / _PATH) > FORGOTTEN_S:
        raise _no_upload()
    return folder


def _age_s(path: Path) -> float:
    """How long ago a file was written, or something came into a folder; for ever when there is none."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return inf


def _forget_old(store: Store) -> None:
    for folder in _root(store).glob("*"):
        if _age_s(folder) > FORGOTTEN_S:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _on_disk() -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _no_upload() from None
    except OSError as error:
        raise Unavailable(f"the upload can't be stored: {error.strerror}", do="Free some disk space.") from None
