"""What would have happened: verdicts and publications of runs of the past, beside the ledger of production.

A what-if begins with the version that stood at the time of its first holdout. Each candidate that it publishes is its
incumbent from then on. It gives no version numbers and moves no alias.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, insert, select, text

from assay.context import WhatIf
from assay.model import Candidate
from assay.store import Store
from assay.store.schema import what_ifs
from assay.times import now
from assay.track import ledger
from assay.track.aliases import standing_versions
from assay.track.versions import version_of

Kind = Literal["verdict", "published"]


@dataclass(frozen=True)
class Standing:
    """Who is to be replaced."""

    name: str
    bundle: str


def append(
    connection: Connection, scope: WhatIf, kind: Kind, candidate: Candidate, trained_until: datetime, body: object
) -> None:
    """Add a line to a what-if."""
    row = {"name": scope.name, "tick": scope.run_id, "kind": kind, **msgspec.structs.asdict(candidate)}
    row |= {"trained_until": trained_until, "at": now(), "body": msgspec.json.encode(body, order="sorted").decode()}
    connection.execute(insert(what_ifs).values(row))


def last_verdict(connection: Connection, scope: WhatIf, bundle: str) -> Any:
    """The newest verdict of a what-if on a bundle, as plain values; None when there is none."""
    asked = select(what_ifs.c.body).filter_by(name=scope.name, bundle=bundle, kind="verdict")
    body = connection.execute(asked.order_by(what_ifs.c.id.desc()).limit(1)).scalar()
    return msgspec.json.decode(body) if body else None


def hold(connection: Connection) -> None:
    """Have others who would publish in a what-if wait for the end of this transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE what_ifs IN SHARE ROW EXCLUSIVE MODE"))


def is_published(connection: Connection, scope: WhatIf, bundle: str) -> bool:
    """Whether a what-if made this bundle its incumbent."""
    asked = select(what_ifs.c.id).filter_by(name=scope.name, bundle=bundle, kind="published")
    return connection.execute(asked.limit(1)).first() is not None


def incumbent(store: Store, scope: WhatIf, model: str, before: datetime) -> Standing | None:
    """The newest of its own publications that was trained before a holdout, else the newest version of production."""
    c = what_ifs.c
    asked = select(c.bundle, c.run_id).filter_by(name=scope.name, model=model, kind="published")
    asked = asked.where(c.trained_until < before).order_by(c.trained_until.desc(), c.id.desc())
    with store.database.read() as connection:
        own = connection.execute(asked.limit(1)).first()
        return Standing(f"{model} from run {own.run_id}", own.bundle) if own else _stood(connection, model, before)


def _stood(connection: Connection, model: str, before: datetime) -> Standing | None:
    """The newest version that stands in production and was trained before a holdout."""
    moves = [(line.kind, line.decoded()["version"]) for line in ledger.moves(connection, model)]
    found = [version_of(connection, model, number) for number in set(standing_versions(moves))]
    old = [(one.trained_until, one.version, one) for one in found if one.bundle and one.trained_until]
    until, _, newest = max((one for one in old if one[0] < before), default=(None, 0, None))
    return Standing(str(newest), newest.bundle) if until and newest else None


def would(store: Store, run_id: str) -> str:
    """What a run of a what-if would have done to production, in words; empty when it judged nothing."""
    c = what_ifs.c
    asked = select(c.kind, c.model, c.body).where(c.tick == run_id).order_by(c.id)
    with store.database.read() as connection:
        lines = connection.execute(asked).all()
    published = {line.model for line in lines if line.kind == "published"}
    verdicts = {line.model: msgspec.json.decode(line.body) for line in lines if line.kind == "verdict"}
    said = [_words(verdict, published=model in published) for model, verdict in verdicts.items()]
    several = len(said) > 1
    return "; ".join(f"{model}: {text}" if several else text for model, text in zip(verdicts, said, strict=True))


def _words(verdict: Any, *, published: bool) -> str:
    if published:
        return "would publish"
    return "would bless, and not publish" if verdict["blessed"] else f"would refuse: {'; '.join(verdict['reasons'])}"
