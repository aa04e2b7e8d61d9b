"""Where another tracker keeps its files: artifact URIs as folders of this machine, and what is in them."""

import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from urllib.parse import unquote, urlsplit

from assay.exchange.records import OutOfReach, SourceFile

#: Files of a server that hands them out itself.
PROXIED = "mlflow-artifacts"
#: More files of one run are not listed.
MOST_FILES = 1_000_000


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
    """Every file below a folder by its relative path, none when there is no such folder; `links` follows those out of it.

    What can't be read is among them, with the reason. Raises `OutOfReach` when a folder can't be read, or holds more
    than `MOST_FILES`.
    """
    found: list[SourceFile] = []
    root = folder.resolve()

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError) or Path(error.filename) != folder:
            raise OutOfReach(f"folder {error.filename} can't be read: {error.strerror}")

    for here, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        linked = [name for name in folders if Path(here, name).is_symlink()]
        for name in sorted([*names, *linked]):
            path = Path(here, name)
            found.append(file_seen(path, path.relative_to(folder).as_posix(), root, links=links))
        if len(found) > MOST_FILES:
            raise OutOfReach(f"there are more than {MOST_FILES:,} files in {folder}")
    return found


def file_seen(path: Path, name: str, root: Path, *, links: bool = False) -> SourceFile:
    """A file, or why it can't be had: it can't be read, is no file, or is behind a link that leaves `root`."""
    try:
        seen = path.stat()
        inside = links or path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:
        return SourceFile(name, 0, "", str(path), f"it can't be read: {getattr(error, 'strerror', error)}")
    if not inside:
        return SourceFile(name, 0, "", str(path), "it is a symbolic link that leaves the folder, and is not followed")
    if not S_ISREG(seen.st_mode):
        kind = "a symbolic link to a folder" if S_ISDIR(seen.st_mode) else "neither a file nor a folder"
        return SourceFile(name, 0, "", str(path), f"it is {kind}, and is not read")
    return SourceFile(name, seen.st_size, str(seen.st_mtime_ns), str(path))
