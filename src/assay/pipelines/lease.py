"""One process at a time works on a run, on whatever machine it is."""

import fcntl
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import quote

from assay.errors import AssayError, BadInput, Unavailable
from assay.store import Home, Store, leases
from assay.store.database import retried
from assay.store.delivery import Loop
from assay.store.durable import make_folder, open_writable
from assay.store.leases import Lease

log = logging.getLogger(__name__)
#: A run is free so long after its holder last renewed the lease, thrice in that time.
LASTS_S = 30.0
_LONGEST = 4096


@contextmanager
def leased(store: Store, run_id: str, *, lasts_s: float = LASTS_S) -> Generator[Lease]:
    """Hold the run for the length of a block, in which `leases.confirm` asks whether it is still held.

    A lease in the database tells the processes of all machines. A lock of this home, which the kernel lets go when a
    process ends, however it ends, tells those of this home, so that a killed run goes on at once.
    Raises `BadInput` when another process works on it.
    """
    holder = leases.new_holder()
    with _locked(store.home, run_id) as file:
        before = _holders(file)
        # The one before stays in the file until this one is in the database: a kill in between loses neither.
        _write(file, [*before[-1:], holder])
        lease = _acquire(store, run_id, holder, lasts_s, before)
        loop = Loop(f"the lease of {run_id}", lambda: _renew(store, lease, lasts_s), every_s=lasts_s / 3)
        loop.start()
        try:
            with leases.holding(store.database, lease):
                yield lease
        finally:
            loop.cancel()
            _release(store, lease)


@contextmanager
def _locked(home: Home, run_id: str) -> Generator[int]:
    path = home.path / "locks" / quote(run_id, safe="")
    try:
        make_folder(path.parent)
        file = open_writable(path, os.O_RDWR)
    except OSError as error:
        raise Unavailable(f"can't write {path}: {error.strerror}", do="Correct the path or its permissions.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise BadInput(f"{run_id} is running in another process", do="Wait for it, or stop that process.") from None
    try:
        yield file
        path.unlink(missing_ok=True)  # while it is held: who opened it before is refused, or asks the lease
    finally:
        os.close(file)


def _holders(file: int) -> list[str]:
    """Holders of this machine that had the lock of this file, and so have ended."""
    said = os.pread(file, _LONGEST, 0).decode(errors="replace").split("\n")
    return [holder for holder in said if holder.startswith(f"{leases.host()}/")]


def _write(file: int, holders: list[str]) -> None:
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, "\n".join(holders).encode(), 0)
    except OSError as error:  # then the lease ends by itself, should this process be killed
        log.warning("the holder of a run can't be recorded: %s", error.strerror)


@retried
def _acquire(store: Store, run_id: str, holder: str, lasts_s: float, before: list[str]) -> Lease:
    with store.database.begin() as connection:
        lease = leases.acquire(connection, f"run/{run_id}", holder, lasts_s, before)
    if isinstance(lease, str):
        raise BadInput(
            f"{run_id} is running in another process",
            f"holder: {lease}",
            do=f"Wait for it, or stop that process; after a kill the run is free within {lasts_s:g} s.",
        )
    return lease


@retried
def _renew(store: Store, lease: Lease, lasts_s: float) -> None:
    with store.database.begin() as connection:
        kept = leases.renew(connection, lease, lasts_s)
    if not kept:
        raise BadInput(f"another process took over {lease.name.partition('/')[2]}")  # logged once, by the loop


def _release(store: Store, lease: Lease) -> None:
    try:
        with store.database.begin() as connection:
            leases.release(connection, lease)
    except AssayError as error:
        log.info("the lease of %s ends by itself: %s", lease.name, error.what)
