"""Who may ask what: before any part sees a request.

On loopback everybody on the machine may, but no page of another site that the browser of somebody there has open: such
a page can only send requests that carry its `Origin`, or a `Host` that is not ours (DNS rebinding).
"""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from assay.store import Store
from assay.web.http import Request
from assay.web.tokens import known_token

READS = frozenset({"GET", "HEAD", "OPTIONS"})
#: POST requests that change nothing.
_ASKING = ("/search", "/get-latest-versions")
#: What anybody may ask, so that a balancer can look whether we live.
OPEN = frozenset({"/health", "/ready"})
_RANK = {"read": 0, "write": 1, "admin": 2}


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused."""

    status: int
    code: str
    why: str


class Guard:
    """Checks requests to a server that listens on one host."""

    def __init__(self, store: Store, host: str, names: frozenset[str] = frozenset()) -> None:
        """`names` are hosts by which the server may be called besides its own address."""
        self._store = store
        self.needs_token = not is_loopback(host)
        self._hosts = {"localhost", host, *names}

    def look(self, request: Request) -> Refusal | None:
        """What stands against a request; None when it may pass. Notes who asks."""
        refused = self._foreign(request)
        if refused or request.path in OPEN:
            return refused
        said = request.headers.get("authorization", "")
        if not said and not self.needs_token:
            return None
        scheme, _, secret = said.partition(" ")
        token = known_token(self._store, secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            return Refusal(
                401, "UNAUTHENTICATED", "send a token: Authorization: Bearer ... (make one: assay tokens add NAME)"
            )
        request.who = token.name
        needed = _needed(request)
        if _RANK[token.scope] < _RANK[needed]:
            return Refusal(403, "PERMISSION_DENIED", f"token {token.name} may {token.scope}, this needs {needed}")
        return None

    def _foreign(self, request: Request) -> Refusal | None:
        host = _host_of(request.headers.get("host", ""))
        if not self._is_ours(host):
            why = f"this server is not called {host!r}; start it with --allow-host {host} if it is"
            return Refusal(403, "PERMISSION_DENIED", why)
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
            return Refusal(403, "PERMISSION_DENIED", f"requests of pages of {origin[:100]} are refused")
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return Refusal(403, "PERMISSION_DENIED", "requests of pages of other sites are refused")
        return None

    def _is_ours(self, host: str) -> bool:
        if host in self._hosts:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or self.needs_token  # a name can be rebound, an address can't


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, False, True)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host_of(header: str) -> str:
    """The host without its port.

    >>> _host_of("localhost:8400"), _host_of("[::1]:8400")
    ('localhost', '::1')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


def _needed(request: Request) -> str:
    if request.method in READS or (request.method == "POST" and request.path.endswith(_ASKING)):
        return "read"
    return "write"
