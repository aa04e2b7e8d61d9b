"""One process at a time works on a run."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import quote

from assay.errors import BadInput, Unavailable
from assay.store import Home


@contextmanager
def alone(home: Home, run_id: str) -> Generator[None]:
    """Hold the run for the length of a block; the kernel lets it go when the process ends, however it ends.

    Raises `BadInput` when another process of this machine works on it.
    """
    path = home.path / "locks" / quote(run_id, safe="")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise Unavailable(f"can't write {path}: {error.strerror}", do="Mend the path or its rights.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise BadInput(f"{run_id} is running in another process", do="Wait for it, or stop that process.") from None
    try:
        yield
        path.unlink(missing_ok=True)  # while it is held: who opened it before is refused, or works on a finished run
    finally:
        os.close(file)
