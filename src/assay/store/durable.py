"""Folders that outlive a power cut and that a team can share.

Syncing a file keeps its content, but the folder that holds it keeps its name, and the folder above that one's. So a
folder's name is put on the disk before anything is put into the folder. One that holds something is there for good;
one that is empty may be of a process that was killed before it could sync, and is synced by the next that needs it.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

#: What file systems answer that have no fsync for folders: names are as safe there as they make them.
_HAVE_NONE = (errno.EINVAL, errno.ENOTSUP)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing; each new name is on the disk when this returns.

    Below a folder that its group may write, the new ones are its group's too, whatever the umask says: a home is
    shared by `chmod 2770`, as with git's `core.sharedRepository`. Raises `OSError`.
    """
    if _holds_something(folder) or folder.parent == folder:
        return
    make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        share_folder(folder)
    try:
        sync_folder(folder.parent)  # also when another process made it: it may not have come so far
    except OSError:
        with suppress(OSError):  # a second fsync would say yes whatever the first one lost: it has to be made again
            folder.rmdir()
        raise


def _holds_something(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False
    except PermissionError:  # of another user, who has made it
        return True


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk. Raises `OSError`."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:  # one that we may write but not read can't be synced either
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _HAVE_NONE:
            raise
    finally:
        os.close(handle)


def is_shared(folder: Path) -> bool:
    """Whether the group of a folder may write into it."""
    try:
        return bool(folder.stat().st_mode & stat.S_IWGRP)
    except OSError:
        return False


def share_folder(folder: Path) -> None:
    """Give a new folder to the group, when the one above it is the group's."""
    if is_shared(folder.parent):
        with suppress(OSError):  # a file system without modes
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_ISGID | stat.S_IRWXG)


def share_file(path: Path) -> None:
    """Let the group read and write a file of ours, when it may write the folder."""
    if is_shared(path.parent):
        with suppress(OSError):  # another's, who does it himself; or gone
            mode = path.stat().st_mode
            if mode & 0o060 != 0o060:
                path.chmod(stat.S_IMODE(mode) | 0o060)


def share_open_file(file: int, folder: Path) -> None:
    """The same of an open file that is, or will be, in `folder`."""
    if is_shared(folder):
        with suppress(OSError):
            mode = os.fstat(file).st_mode
            if mode & 0o060 != 0o060:
                os.fchmod(file, stat.S_IMODE(mode) | 0o060)


def open_writable(path: Path, flags: int) -> int:
    """Open a file for writing; a new one is readable by the group at most, or shared with it as the folder is."""
    file = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o640)
    share_open_file(file, path.parent)
    return file


def can_write(folder: Path) -> bool:
    """Whether this process may make and remove files in a folder; not on a read-only disk."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
