"""Tokens: who may ask the server from afar. Only their hashes are kept."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import delete, insert, select, update

from assay.errors import BadInput, NotFound
from assay.store import Store
from assay.store.schema import tokens as table
from assay.times import now

Scope = Literal["read", "write", "admin"]
SCOPES = get_args(Scope)
_NAME = re.compile(r"[\w.-]{1,100}")
_SAID_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Token:
    """One token, without its secret."""

    name: str
    scope: Scope
    created_at: datetime
    used_at: datetime | None


def make_token(store: Store, name: str, scope: Scope) -> str:
    """Make a token and give its secret, which is shown this once. Raises `BadInput` for a name that is taken."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} can't name a token", do="Use letters, digits and . _ -")
    if scope not in SCOPES:
        raise BadInput(f"{scope!r} is not a scope", do=f"Use one of {', '.join(SCOPES)}.")
    if any(token.name == name for token in tokens(store)):
        raise BadInput(f"there is a token {name!r} already", do=f"Remove it first: assay tokens remove {name}")
    secret = f"assay_{secrets.token_urlsafe(32)}"
    row = {"name": name, "sha256": _hash(secret), "scope": scope, "created_at": now()}
    with store.database.begin() as connection:
        connection.execute(insert(table).values(row))
    return secret


def remove_token(store: Store, name: str) -> None:
    """Refuse a token from now on. Raises `NotFound` for one that is not there."""
    with store.database.begin() as connection:
        if not connection.execute(delete(table).where(table.c.name == name)).rowcount:
            raise NotFound(f"there is no token {name!r}", do="See them: assay tokens")


def tokens(store: Store) -> list[Token]:
    """Every token, by name."""
    asked = select(table.c.name, table.c.scope, table.c.created_at, table.c.used_at).order_by(table.c.name)
    with store.database.read() as connection:
        return [Token(*row) for row in connection.execute(asked)]


def known_token(store: Store, secret: str) -> Token | None:
    """The token of a secret; its time of use is noted once a minute."""
    asked = select(table.c.name, table.c.scope, table.c.created_at, table.c.used_at)
    with store.database.read() as connection:
        row = connection.execute(asked.where(table.c.sha256 == _hash(secret))).first()
    if row is None:
        return None
    token = Token(*row)
    at = now()
    if token.used_at is None or at - token.used_at > _SAID_EVERY:
        with store.database.begin() as connection:
            connection.execute(update(table).where(table.c.name == token.name).values(used_at=at))
    return token


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
