"""The append-only ledger: every verdict and every move of an alias, each sealed with the hash of the one before.

It is written in the transaction of what it tells of: by `aliases` for the moves, by `blessing` for the verdicts.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, insert, select, text

from assay.errors import BadInput, Corrupt, Refused
from assay.store import Store, leases
from assay.store.connect import UNANSWERED
from assay.store.ledger_marks import name_of, read_marks
from assay.store.schema import ledger
from assay.store.sealed import Mark, Sealed, note
from assay.times import now
from assay.track.values import storable

Kind = Literal["verdict", "published", "rolled back", "moved", "removed", "restored"]
CHAMPION = "champion"
LONGEST_REASON = 1000
FIRST = "0" * 64


@dataclass(frozen=True)
class LedgerEntry:
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

    def moves(self, alias: str = CHAMPION) -> bool:
        """Whether the line tells that an alias was moved or removed."""
        return self.kind not in ("verdict", "restored") and self.decoded().get("alias", CHAMPION) == alias


def append(connection: Connection, model: str, kind: Kind, bundle: str, body: object) -> LedgerEntry:
    """Add a line, within the caller's transaction; `LeaseLost` when another process works on the run at hand now."""
    leases.confirm(connection)
    _hold(connection)
    oldest = select(ledger.c.hash).order_by(ledger.c.id).limit(1).scalar_subquery()
    newest = select(ledger.c.id, ledger.c.hash, oldest.label("oldest")).order_by(ledger.c.id.desc()).limit(1)
    last = connection.execute(newest).first()
    number, previous = (last.id + 1, last.hash) if last else (1, FIRST)
    at = now()
    encoded = msgspec.json.encode(body, order="sorted").decode()
    entry = LedgerEntry(
        number, model, kind, bundle, at, encoded, previous, _seal(previous, number, model, kind, bundle, at, encoded)
    )
    connection.execute(insert(ledger).values(vars(entry)), execution_options=UNANSWERED)
    chain = last.oldest if last else entry.hash
    note(connection, Sealed(Mark(chain, number, entry.hash), Mark(chain, number - 1, previous) if last else None))
    return entry


def _hold(connection: Connection) -> None:
    """Have others who would add a line wait for the end of this transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE ledger IN EXCLUSIVE MODE"), execution_options=UNANSWERED)


def entries(store: Store, model: str | None = None) -> list[LedgerEntry]:
    """The lines of one model, or all, oldest first."""
    with store.database.read() as connection:
        return _entries(connection, model)


def _entries(connection: Connection, model: str | None = None) -> list[LedgerEntry]:
    asked = select(ledger).order_by(ledger.c.id)
    asked = asked.where(ledger.c.model == model) if model else asked
    return [LedgerEntry(*row) for row in connection.execute(asked)]


def last_verdict(connection: Connection, bundle: str) -> LedgerEntry | None:
    """The newest verdict on a bundle."""
    asked = select(ledger).where(ledger.c.bundle == bundle, ledger.c.kind == "verdict")
    row = connection.execute(asked.order_by(ledger.c.id.desc()).limit(1)).first()
    return LedgerEntry(*row) if row else None


def moves(connection: Connection, model: str) -> list[LedgerEntry]:
    """The lines that tell how the champion of a model moved, oldest first, as the caller's transaction sees them."""
    return [line for line in _told(connection, model) if line.moves()]


def last_told(connection: Connection, model: str) -> tuple[list[LedgerEntry], int]:
    """What `moves` gives, and the id of the last line that tells of any alias of the model; 0 for none."""
    lines = _told(connection, model)
    return [line for line in lines if line.moves()], lines[-1].id if lines else 0


def _told(connection: Connection, model: str) -> list[LedgerEntry]:
    asked = select(ledger).where(ledger.c.model == model, ledger.c.kind != "verdict").order_by(ledger.c.id)
    return [LedgerEntry(*row) for row in connection.execute(asked)]


def verify(store: Store) -> int:
    """Look at every seal, and whether the newest line that is known outside of the table is there; returns the lines.

    Raises `Corrupt` naming the first line that was changed, `Refused` when lines at the end are missing.
    """
    outside = read_marks(store.ledger_marks)  # before the table: it may only grow meanwhile
    lines = _whole(entries(store))
    missing, other = _differing(outside, lines)
    if other:
        raise Corrupt(
            f"line {other[0].number} of the ledger differs from its mark",
            f"{store.ledger_marks.name}/{name_of(other[0])}",
            do="Compare it with a backup of the database. After a restore that you know of: " + ACCEPT,
        )
    if missing:
        newest = max(mark.number for mark in missing)
        raise Refused(
            f"the ledger lacks its last {_lines(newest - len(lines))}: it has {len(lines):,}, and had {newest:,}",
            f"known from the mark in {store.ledger_marks.name}",
            do="Restore a newer backup of the database. If you know why they are gone: " + ACCEPT,
        )
    return len(lines)


ACCEPT = "assay ledger --accept-loss --reason TEXT"


def accept_loss(store: Store, who: str, reason: str) -> LedgerEntry:
    """Add a line which says that lines were lost, as after a restored backup; what stands outside is accepted by it.

    Raises `BadInput` when nothing is lost.
    """
    outside = read_marks(store.ledger_marks)
    return store.database.write(lambda connection: _accept(connection, outside, who, reason))


def _accept(connection: Connection, outside: list[Mark], who: str, reason: str) -> LedgerEntry:
    _hold(connection)  # of several who accept the same loss, one does
    missing, other = _differing(outside, _whole(_entries(connection)))
    if not missing and not other:
        raise BadInput("no line of the ledger is missing", do="Show it: assay ledger")
    lost = sorted(name_of(mark) for mark in [*missing, *other])
    body = {"who": storable(who), "reason": storable(reason)[:LONGEST_REASON], "lost": lost}
    return append(connection, "", "restored", "", body)


def _whole(lines: list[LedgerEntry]) -> list[LedgerEntry]:
    """The lines, after a look at their seals. Raises `Corrupt` naming the first that was changed."""
    previous = FIRST
    for number, line in enumerate(lines, start=1):
        sealed = _seal(previous, line.id, line.model, line.kind, line.bundle, line.at, line.body)
        if line.id != number or line.previous_hash != previous or line.hash != sealed:
            raise Corrupt(f"line {line.id} of the ledger was changed", do="Compare it with a backup of the database.")
        previous = line.hash
    return lines


def _differing(outside: list[Mark], lines: list[LedgerEntry]) -> tuple[list[Mark], list[Mark]]:
    """The marks whose line is missing, and those whose line is another; without those that somebody accepted.

    An empty table may be any ledger: it lacks what every mark tells of.
    """
    accepted = {name for line in lines if line.kind == "restored" for name in line.decoded()["lost"]}
    own = [mark for mark in outside if not lines or mark.chain == lines[0].hash[:16]]
    own = [mark for mark in own if name_of(mark) not in accepted]
    missing = [mark for mark in own if mark.number > len(lines)]
    other = [mark for mark in own if 0 < mark.number <= len(lines) and lines[mark.number - 1].hash != mark.seal]
    return missing, sorted(other, key=lambda mark: mark.number)


def _lines(count: int) -> str:
    return f"{count:,} lines" if count > 1 else "line"


def _seal(*parts: object) -> str:
    plain = [part.isoformat() if isinstance(part, datetime) else part for part in parts]
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()
