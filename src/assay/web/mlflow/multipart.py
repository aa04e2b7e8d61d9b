"""Uploads in parts: parts are kept on the disk of the server until the last one is there.

The id of an upload is a secret of 32 bytes, so that a part needs no other right than to know it, as with S3.
"""

import hashlib
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from assay.errors import Unavailable
from assay.store import Store
from assay.web.http import Request
from assay.web.mlflow.ask import Ask, safe_path
from assay.web.mlflow.errors import invalid, missing
from assay.web.mlflow.files import keep, locate

MOST_PARTS = 10_000
#: An upload that nobody completed is removed after so long.
FORGOTTEN_S = 7 * 24 * 3600
_ID = re.compile(r"[0-9a-f]{64}")
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
    try:
        folder.mkdir(parents=True)
        (folder / _PATH).write_text(path)
    except OSError as error:
        raise _full(error) from None
    base = f"{_scheme(ask.request)}://{ask.request.headers.get('host', '')}/api/2.0/mlflow-artifacts/mpu/part/{upload}"
    parts = [{"part_number": number, "url": f"{base}/{number}", "headers": {}} for number in range(1, count + 1)]
    return {"upload_id": upload, "credentials": parts}


def _scheme(request: Request) -> str:
    return "https" if request.headers.get("x-forwarded-proto") == "https" else "http"


def _path(ask: Ask) -> str:
    # The folder is in the URL, the name of the file at the client in the body.
    name = ask.text("path").replace("\\", "/").rsplit("/", 1)[-1]
    return safe_path(f"{ask.request.places[0].strip('/')}/{name}")


def put_part(store: Store, upload: str, number: str, chunks: Iterable[bytes]) -> str:
    """Keep a part; returns its tag."""
    folder = _folder(store, upload)
    if not number.isdigit() or not 1 <= int(number) <= MOST_PARTS:
        raise invalid(f"{number[:20]!r} is not the number of a part")
    digest = hashlib.sha256()
    half = folder / f"half-{secrets.token_hex(8)}"
    try:
        with half.open("xb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        half.replace(folder / str(int(number)))
    except OSError as error:
        raise _full(error) from None
    finally:
        half.unlink(missing_ok=True)
    return digest.hexdigest()


def complete(store: Store, ask: Ask) -> dict[str, Any]:
    """Make the parts one file."""
    folder = _folder(store, ask.text("upload_id"))
    path = _path(ask)
    if (folder / _PATH).read_text() != path:
        raise invalid("The upload was begun for another path.")
    parts = sorted((one.get("part_number"), one.get("etag")) for one in ask.items("parts"))
    files = [folder / str(number) for number, _ in parts if isinstance(number, int)]
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


def _checked(files: list[Path], tags: list[Any]) -> Iterator[bytes]:
    for file, tag in zip(files, tags, strict=True):
        digest = hashlib.sha256()
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                digest.update(piece)
                yield piece
        if tag and str(tag).strip('"') != digest.hexdigest():
            raise invalid(f"Part {file.name} is not the one that was sent: its ETag differs.")


def abort(store: Store, ask: Ask) -> dict[str, Any]:
    """Forget an upload."""
    shutil.rmtree(_folder(store, ask.text("upload_id")), ignore_errors=True)
    return {}


def _root(store: Store) -> Path:
    return store.home.path / "uploads"


def _folder(store: Store, upload: str) -> Path:
    folder = _root(store) / upload
    if not _ID.fullmatch(upload) or not folder.is_dir():
        raise missing("There is no such upload.")
    return folder


def _forget_old(store: Store) -> None:
    for folder in _root(store).glob("*"):
        try:
            if time.time() - folder.stat().st_mtime > FORGOTTEN_S:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def _full(error: OSError) -> Unavailable:
    return Unavailable(f"the upload can't be kept: {error.strerror}", do="Free some disk space.")
