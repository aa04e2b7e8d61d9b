"""Looks at the head of a request, before any body is read: is it for this server, and who asks?

On loopback everybody on the machine may do all, but no page of another site that somebody's browser has open. Off it
a request needs a token: `Authorization: Bearer TOKEN`, or Basic with the token as password and any name.
"""

import base64
import binascii
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

from assay.access.known import KnownTokens
from assay.access.rights import FREE, Right, Scope, may
from assay.access.tokens import Token, tokens
from assay.errors import BadInput
from assay.listen.head import Head, Hosts, Refusal
from assay.store import Store

#: How long the answer to a wrong token waits.
WRONG_WAITS_S = 0.25
_HOW = "send a token: Authorization: Bearer ..., or as the password of Basic (make one: assay tokens add NAME)"
_NOBODY = Refusal(401, "UNAUTHENTICATED", _HOW)
WRONG = Refusal(401, "UNAUTHENTICATED", f"there is no such token; {_HOW}")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the name of a token, empty where none is wanted and everybody may do all."""

    name: str = ""
    scope: Scope = "admin"

    def may(self, right: Right) -> bool:
        """Whether more than the route itself needs may be done."""
        return may(self.scope, right)


class Guard:
    """Checks requests to a server that listens on one host."""

    def __init__(self, hosts: Hosts, known: KnownTokens | None = None) -> None:
        """Without `known` nobody needs a token, and one that is sent is not looked at."""
        self._hosts, self._known = hosts, known

    def foreign(self, head: Head) -> Refusal | None:
        """What stands against a request whoever asks; None when nothing does."""
        return self._hosts.refuse(head)

    def admit(self, head: Head, right: Right) -> Refusal | Asker:
        """Who asks, or why he may not."""
        if self._known is None:
            return Asker()
        if not head.authorization:
            return Asker(scope="read") if right in FREE else _NOBODY
        token = self._token(head.authorization, self._known)
        if token is None:
            return Asker(scope="read") if right in FREE else WRONG
        if not may(token.scope, right):
            why = f"token {token.name} may {token.scope}, this needs {right}"
            return Refusal(403, "PERMISSION_DENIED", why)
        return Asker(token.name, token.scope)

    def _token(self, authorization: str, known: KnownTokens) -> Token | None:
        secret = secret_of(authorization)
        return known.find(secret) if secret else None


def secret_of(authorization: str) -> str:
    """The secret in an Authorization header, empty when there is none.

    >>> secret_of("Bearer abc"), secret_of("Basic YW55Om9uZTphYmM="), secret_of("Digest abc"), secret_of("Basic ?")
    ('abc', 'one:abc', '', '')
    """
    scheme, _, rest = authorization.partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest
    if scheme.lower() != "basic":
        return ""
    try:
        pair = base64.b64decode(rest.encode("latin-1"), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return ""
    return pair.partition(":")[2]


@contextmanager
def guarding(store: Store, host: str, names: Iterable[str]) -> Generator[Guard]:
    """The guard of a server on `host`, its tokens kept fresh for the length of a block.

    Raises `BadInput` for a host that others reach while there is no token.
    """
    hosts = Hosts(host, names)
    if not hosts.is_open:
        yield Guard(hosts)
        return
    if not tokens(store):
        raise BadInput(
            f"{host} can be reached from other machines, and no token exists yet",
            do="Create one first: assay tokens add NAME --scope write",
        )
    with KnownTokens(store).kept_fresh() as known:
        yield Guard(hosts, known)
