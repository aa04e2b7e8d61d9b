"""Leases: who works on something, in the database that all machines share, by the database's clock.

A lease ends some time after it was last renewed, so what a machine held that went away becomes free. Its token grows
with each holder: who lost a lease without noticing, because it was stopped, is refused by the transaction in which it
would write (Kleppmann 2016, How to do distributed locking: the fencing token).
"""

import os
import secrets
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, update

from assay.errors import LeaseLost
from assay.store.among import among
from assay.store.database import WRITES, Database, dialect_of
from assay.store.locks import lock_one
from assay.store.schema import leases
from assay.times import now


@dataclass(frozen=True)
class Lease:
    """What a holder was given."""

    name: str
    holder: str
    token: int


def host() -> str:
    """The name of this machine, as holders begin with it."""
    return socket.gethostname() or "localhost"


def new_holder() -> str:
    """A name that no other holder has, like "trainer-1/4711-9f86d081884c7d65"."""
    return f"{host()}/{os.getpid()}-{secrets.token_hex(8)}"


def clock(connection: Connection, after_s: float = 0.0) -> Any:
    """The database's time, so much later, for a statement; of SQLite it is this machine's."""
    later = timedelta(seconds=after_s)
    return now() + later if connection.dialect.name == "sqlite" else func.clock_timestamp() + later


def acquire(connection: Connection, name: str, holder: str, lasts_s: float, before: Sequence[str] = ()) -> Lease | str:
    """Take a lease that is free, ended, or held by one of `before`, which the caller knows to be dead.

    Returns the name of its holder when another one has it.
    """
    c = leases.c
    times = {"renewed_at": clock(connection), "expires_at": clock(connection, lasts_s)}
    made = dialect_of(connection).insert(leases)
    free = or_(c.expires_at <= clock(connection), c.holder.in_(["", *before]))
    statement = made.values(name=name, holder=holder, token=1, **times).on_conflict_do_update(
        index_elements=["name"], set_={"holder": holder, "token": c.token + 1, **times}, where=free
    )
    token = connection.execute(statement.returning(c.token)).scalar()
    if token is not None:
        return Lease(name, holder, token)
    return connection.execute(select(c.holder).where(c.name == name)).scalar() or "another process"


def renew(connection: Connection, lease: Lease, lasts_s: float) -> bool:
    """Have a lease end later; False when it is another's, or was removed."""
    times = {"renewed_at": clock(connection), "expires_at": clock(connection, lasts_s)}
    return connection.execute(_of(lease, update(leases)).values(**times)).rowcount == 1


def release(connection: Connection, lease: Lease) -> None:
    """Give a lease back, if it is held; the row stays, so that its token goes on growing."""
    connection.execute(_of(lease, update(leases)).values(holder="", expires_at=clock(connection)))


def forget(connection: Connection, names: Sequence[str]) -> None:
    """Remove leases of what is gone for good."""
    connection.execute(delete(leases).where(among(leases.c.name, names)))


def _of(lease: Lease, statement: Any) -> Any:
    c = leases.c
    return statement.where(c.name == lease.name, c.holder == lease.holder, c.token == lease.token)


_held: ContextVar[tuple[Database, Lease] | None] = ContextVar("lease", default=None)


@contextmanager
def holding(database: Database, lease: Lease) -> Generator[None]:
    """What is written in this block is written under a lease: `confirm` asks for it."""
    token = _held.set((database, lease))
    try:
        yield
    finally:
        _held.reset(token)


def held() -> Lease | None:
    """The lease of the work at hand."""
    found = _held.get()
    return found[1] if found else None


def confirm(connection: Connection) -> None:
    """Raise `LeaseLost` unless the lease of the work at hand, if there is one, is still its holder's.

    In a transaction that writes, nobody can take the lease before its end.
    """
    found = _held.get()
    if found is None or found[0].engine.url != connection.engine.url:  # a lease says nothing of another database
        return
    lease = found[1]
    if connection.get_execution_options().get(WRITES):
        row = lock_one(connection, leases, lease.name, leases.c.token, leases.c.holder, purpose="keep")
    else:
        row = connection.execute(select(leases.c.token, leases.c.holder).where(leases.c.name == lease.name)).first()
    if row is None or row.token != lease.token or row.holder != lease.holder:
        raise LeaseLost(
            f"{lease.name.partition('/')[2]} was taken over by another process",
            f"holder: {row.holder or 'it has ended' if row else 'it was removed'}",
            "this process was stopped, or cut off from the database, for longer than its lease lasted",
            do="Nothing more of this process is stored. Follow the run: assay runs",
        )
