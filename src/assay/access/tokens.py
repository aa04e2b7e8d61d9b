"""Tokens: who may ask a server from afar. Only their hashes are kept."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from assay.access.rights import SCOPES, Scope
from assay.errors import BadInput, NotFound, Taken
from assay.store import Store
from assay.store.among import among
from assay.store.database import insert_new, retried
from assay.store.locks import lock
from assay.store.schema import tokens as table
from assay.times import now

_NAME = re.compile(r"[\w.-]{1,100}")
_SAID_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Token:
    """One token, without its secret."""

    name: str
    scope: Scope
    created_at: datetime
    used_at: datetime | None


@retried
def make_token(store: Store, name: str, scope: Scope) -> str:
    """Make a token and give its secret, which is shown this once. Raises `Taken` for a name that is in use."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} can't be the name of a token", do="Use letters, digits and . _ -")
    if scope not in SCOPES:
        raise BadInput(f"{scope!r} is not a scope", do=f"Use one of {', '.join(SCOPES)}.")
    secret = f"assay_{secrets.token_urlsafe(32)}"
    row = {"name": name, "sha256": hash_of(secret), "scope": scope, "created_at": now()}
    with store.database.begin() as connection:
        if not insert_new(connection, table, [row], on=["name"]):
            raise Taken(f"a token {name!r} exists already", do=f"Remove it first: assay tokens remove {name}")
    return secret


@retried
def remove_token(store: Store, name: str) -> None:
    """Refuse a token from now on. Raises `NotFound` for one that is not there."""
    with store.database.begin() as connection:
        if not connection.execute(delete(table).where(table.c.name == name)).rowcount:
            raise NotFound(f"there is no token {name!r}", do="List them: assay tokens")


def tokens(store: Store) -> list[Token]:
    """Every token, by name."""
    asked = select(table.c.name, table.c.scope, table.c.created_at, table.c.used_at).order_by(table.c.name)
    with store.database.read() as connection:
        return [Token(*row) for row in connection.execute(asked)]


def every(store: Store) -> list[tuple[str, Token]]:
    """Every token behind the hash of its secret."""
    asked = select(table.c.sha256, table.c.name, table.c.scope, table.c.created_at, table.c.used_at)
    with store.database.read() as connection:
        return [(row[0], Token(*row[1:])) for row in connection.execute(asked)]


@retried
def note_use(store: Store, names: Collection[str]) -> None:
    """Note that tokens were used just now; once a minute is enough."""
    at = now()
    long_ago = or_(table.c.used_at.is_(None), table.c.used_at < at - _SAID_EVERY)
    if names:
        with store.database.begin() as connection:
            lock(connection, table, names, table.c.name)
            connection.execute(update(table).where(among(table.c.name, names), long_ago).values(used_at=at))


def hash_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
