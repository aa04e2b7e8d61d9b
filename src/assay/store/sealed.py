"""Lines of the ledger that a transaction has sealed: once it is committed, the newest is marked outside of the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

_SEALED = "assay_sealed"


@dataclass(frozen=True)
class Mark:
    """A line that a ledger has, as it is known outside of the database."""

    #: Which ledger: the seal of its first line.
    chain: str
    number: int
    seal: str


@dataclass(frozen=True)
class Sealed:
    """A new line, and the one before it; None for the first."""

    mark: Mark
    before: Mark | None


def note(connection: Connection, line: Sealed) -> None:
    """Remember a line until the end of the transaction."""
    connection.info.setdefault(_SEALED, []).append(line)


def take(connection: Connection) -> Sequence[Sealed]:
    """The lines of a transaction that has ended; they are forgotten."""
    return connection.info.pop(_SEALED, [])
