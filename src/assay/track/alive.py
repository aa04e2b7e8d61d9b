"""Which processes that write runs are alive: a lock in the home for its own machine, a lease in the database for all.

The kernel lets the lock go when a process ends, however it ends; a forked child has it too, so what it goes on writing
lives. The lease ends when its process, its machine or its way to the database is gone.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

from sqlalchemy import Connection, delete, false, literal, select, union_all, update

from assay.store import Home, Store
from assay.store.database import dialect_of, retried
from assay.store.delivery import Loop
from assay.store.durable import make_folder, open_writable
from assay.store.leases import clock, host, new_holder
from assay.store.schema import leases, runs

log = logging.getLogger(__name__)
#: Other machines take a process for dead that did not renew its lease for so long.
LASTS_S = 60.0
RENEW_EVERY_S = 10.0
#: Why a run is killed whose processes are gone.
DIED = "its process ended without saying so"
_PREFIX = "process/"


@dataclass
class _Presence:
    """This process as an owner of runs."""

    owner: str
    #: Of the processes that forked this one: what they began may be written here.
    inherited: list[str] = field(default_factory=list[str])
    loop: Loop | None = None


_presences: dict[Store, _Presence] = {}
_lock = threading.Lock()


def present(store: Store) -> str:
    """The name of this process as an owner of runs; from now on it counts as alive until it ends."""
    with _lock:
        found = _presences.get(store) or _Presence("")
        _presences[store] = found
        if found.loop is None:
            found.owner = new_holder()
            _hold(store.home, found.owner)
            every = [*found.inherited, found.owner]
            found.loop = Loop("the lease of this process", lambda: renew(store, every), every_s=RENEW_EVERY_S)
            found.loop.start()
        return found.owner


def go_on(store: Store) -> None:
    """In the child of a fork: what its parent began lives as long as the child writes."""
    found = _presences.get(store)
    if found and found.inherited:
        present(store)


@retried
def renew(store: Store, owners: list[str]) -> None:
    """Renew leases of processes; runs of one that was taken for dead meanwhile are running again."""
    with store.database.begin() as connection:
        for owner in owners:
            if register(connection, owner, again=True):
                mine = (runs.c.owner.contains(owner, autoescape=True), runs.c.error == DIED, runs.c.status == "killed")
                revived = update(runs).where(runs.c.owner.is_not(None), *mine)
                connection.execute(revived.values(status="running", ended_at=None, error=None))


def register(connection: Connection, owner: str, *, again: bool = False) -> bool:
    """Have a process count as alive from now on; True when it did not. One that does is renewed by `again` only."""
    name, c = _PREFIX + owner, leases.c
    times = {"renewed_at": clock(connection), "expires_at": clock(connection, LASTS_S)}
    if again and connection.execute(update(leases).where(c.name == name).values(**times)).rowcount:
        return False
    made = dialect_of(connection).insert(leases)
    row = made.values(name=name, holder=owner, token=1, **times).on_conflict_do_nothing(index_elements=["name"])
    return connection.execute(row, execution_options={"preserve_rowcount": True}).rowcount == 1


@dataclass(frozen=True)
class Seen:
    """A process as its lease tells of it."""

    alive: bool
    renewed_at: datetime


def seen(connection: Connection) -> tuple[dict[str, Seen], list[tuple[str, str, datetime]]]:
    """The processes that have a lease, by the names of owners; and the runs that are running, with owners and start."""
    c, no_run = leases.c, literal("")
    asked = select(no_run.label("run"), c.holder, (c.expires_at > clock(connection)).label("alive"), c.renewed_at)
    running = select(runs.c.id, runs.c.owner, false(), runs.c.started_at).where(
        runs.c.status == "running", runs.c.owner.is_not(None)
    )
    rows = connection.execute(union_all(asked.where(c.name.startswith(_PREFIX)), running)).all()  # in one turn
    return (
        {row.holder: Seen(bool(row.alive), row.renewed_at) for row in rows if not row.run},
        [(row.run, row.holder, row.renewed_at) for row in rows if row.run],
    )


def remove(connection: Connection, dead: Iterable[str], silent: Iterable[str]) -> set[str]:
    """Remove the leases of dead processes, and those of silent ones that have ended; returns whose they were."""
    c, gone = leases.c, set[str]()
    of_dead = {_PREFIX + owner for owner in dead}
    for name in sorted(of_dead | {_PREFIX + owner for owner in silent}):  # in one order, whoever else removes them
        removed = delete(leases).where(c.name == name).returning(c.holder)
        ended = removed if name in of_dead else removed.where(c.expires_at <= clock(connection))
        gone.update(connection.execute(ended).scalars())
    return gone


def _hold(home: Home, owner: str) -> None:
    """Lock a file of the name of this process for as long as it, or a child of it, lives."""
    path = _folder(home) / quote(owner, safe="")
    hidden = path.with_name(f".{path.name}")
    try:
        make_folder(path.parent)
        file = open_writable(hidden, os.O_RDWR | os.O_EXCL)
        fcntl.flock(file, fcntl.LOCK_EX)  # before anyone can see the file
        hidden.rename(path)
    except OSError as error:  # a full disk: the lease tells
        log.info("this process has no lock that shows it is alive: %s", error)


def _folder(home: Home) -> Path:
    return home.path / "processes"


def held_here(home: Home) -> dict[str, int | None]:
    """The processes of this machine that have a file in this home: None for those alive, else its file, locked.

    The caller closes the files; with a file locked, no other process judges the dead one.
    """
    found: dict[str, int | None] = {}
    for path, owner in _files(home):
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # judged by another process, or of a user who does not let this one look
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            found[owner] = None
        else:
            found[owner] = file
    return found


def remove_file(home: Home, owner: str) -> None:
    """Remove the file of a dead process whose runs have been closed."""
    (_folder(home) / quote(owner, safe="")).unlink(missing_ok=True)


def _files(home: Home) -> Iterator[tuple[Path, str]]:
    folder = _folder(home)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        owner = unquote(path.name)
        if not path.name.startswith(".") and owner.startswith(f"{host()}/"):
            yield path, owner


def _begin_in_child() -> None:
    global _lock  # noqa: PLW0603 another thread may have held it
    _lock = threading.Lock()
    for one in _presences.values():
        if one.loop:
            one.inherited = [*one.inherited, one.owner]
            one.loop = None


os.register_at_fork(after_in_child=_begin_in_child)
