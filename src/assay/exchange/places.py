"""Where another tracker keeps its files: artifact URIs as folders of this machine, and what is in them."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from assay.exchange.records import OutOfReach, SourceFile

#: Files of a server that hands them out itself.
PROXIED = "mlflow-artifacts"


def local_folder(uri: str, proxied: Path | None) -> Path:
    """The folder that an artifact URI names; `proxied` is the one that a server keeps proxied artifacts in.

    Raises `OutOfReach` for what is on another machine.

    >>> local_folder("file:///tmp/a%20b", None).as_posix()
    '/tmp/a b'
    """
    parts = urlsplit(uri)
    if parts.scheme == PROXIED:
        if proxied is None:
            raise OutOfReach("a server keeps its files: name their folder with --artifacts, or import from the server")
        inside = unquote(parts.path).strip("/").split("/")
        if ".." in inside:
            raise OutOfReach(f"{uri} leaves its folder")
        return proxied.joinpath(*inside)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if len(parts.scheme) > 1:
        raise OutOfReach(f"its files are in {parts.scheme}://{parts.hostname or ''}, which is not read")
    return Path(uri)


def list_folder(folder: Path, *, links: bool = False) -> list[SourceFile]:
    """Every file below a folder by its relative path, none when there is no such folder; `links` follows those out of it."""
    found: list[SourceFile] = []
    root = folder.resolve()
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(here, name)
            if not path.is_file() or not (links or path.resolve().is_relative_to(root)):
                continue
            seen = path.stat()
            relative = path.relative_to(folder).as_posix()
            found.append(SourceFile(relative, seen.st_size, str(seen.st_mtime_ns), str(path)))
    return found
