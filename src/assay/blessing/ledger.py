"""The append-only ledger: every verdict and every move of the champion, each sealed with the hash of the one before."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, insert, select, text

from assay.errors import Corrupt
from assay.store import Store
from assay.store.schema import ledger
from assay.times import now

Kind = Literal["verdict", "published", "rolled back"]
FIRST = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    id: int
    model: str
    kind: Kind
    bundle: str
    at: datetime
    #: JSON; a `Verdict` for verdicts.
    body: str
    previous_hash: str
    hash: str

    def decoded(self) -> Any:
        """The body as plain values."""
        return msgspec.json.decode(self.body)


def append(connection: Connection, model: str, kind: Kind, bundle: str, body: object) -> Entry:
    """Add a line, within the caller's transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE ledger IN EXCLUSIVE MODE"))
    last = connection.execute(select(ledger.c.id, ledger.c.hash).order_by(ledger.c.id.desc()).limit(1)).first()
    number, previous = (last.id + 1, last.hash) if last else (1, FIRST)
    at = now()
    encoded = msgspec.json.encode(body, order="sorted").decode()
    entry = Entry(
        number, model, kind, bundle, at, encoded, previous, _seal(previous, number, model, kind, bundle, at, encoded)
    )
    connection.execute(insert(ledger).values(vars(entry)))
    return entry


def entries(store: Store, model: str | None = None) -> list[Entry]:
    """The lines of one model, or all, oldest first."""
    asked = select(ledger).order_by(ledger.c.id)
    asked = asked.where(ledger.c.model == model) if model else asked
    with store.database.read() as connection:
        return [Entry(*row) for row in connection.execute(asked)]


def last_verdict(store: Store, bundle: str) -> Entry | None:
    """The newest verdict on a bundle."""
    asked = (
        select(ledger)
        .where(ledger.c.bundle == bundle, ledger.c.kind == "verdict")
        .order_by(ledger.c.id.desc())
        .limit(1)
    )
    with store.database.read() as connection:
        row = connection.execute(asked).first()
    return Entry(*row) if row else None


def last_move(connection: Connection, model: str) -> Entry | None:
    """The newest change of a model's champion, as the caller's transaction sees it."""
    asked = (
        select(ledger).where(ledger.c.model == model, ledger.c.kind != "verdict").order_by(ledger.c.id.desc()).limit(1)
    )
    row = connection.execute(asked).first()
    return Entry(*row) if row else None


def verify(store: Store) -> int:
    """Look at every seal; returns the lines looked at, raises `Corrupt` naming the first that was changed."""
    previous = FIRST
    lines = entries(store)
    for number, line in enumerate(lines, start=1):
        sealed = _seal(previous, line.id, line.model, line.kind, line.bundle, line.at, line.body)
        if line.id != number or line.previous_hash != previous or line.hash != sealed:
            raise Corrupt(f"line {line.id} of the ledger was changed", do="Compare it with a backup of the database.")
        previous = line.hash
    return len(lines)


def _seal(*parts: object) -> str:
    plain = [part.isoformat() if isinstance(part, datetime) else part for part in parts]
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()
