"""What stands in the head of a request that decides whether it is looked at: host, origin, authorization, type."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z_]([0-9A-Za-z_.-]{0,252}))(:[0-9]{1,5})?")
_SAME_SITE = ("none", "same-origin")


class Head(NamedTuple):
    """The headers that are looked at; those that are not there are empty."""

    #: None when there is none, or more than one.
    host: str | None
    origin: str | None
    site: str
    authorization: str
    content_type: str
    content_encoding: str
    content_length: int


def head_of(lines: Iterable[tuple[bytes, bytes]]) -> Head:
    """The head of an ASGI scope's headers."""
    found: dict[bytes, str] = {}
    hosts = 0
    for name, value in lines:
        if name in _LOOKED_AT:
            found[name] = value.decode("latin-1")
            hosts += name == b"host"
    length = found.get(b"content-length", "")
    return Head(
        found.get(b"host") if hosts == 1 else None,
        found.get(b"origin"),
        found.get(b"sec-fetch-site", ""),
        found.get(b"authorization", ""),
        found.get(b"content-type", ""),
        found.get(b"content-encoding", ""),
        int(length) if length.isascii() and length.isdigit() and len(length) < 19 else 0,
    )


_LOOKED_AT = frozenset(
    {
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"authorization",
        b"content-type",
        b"content-encoding",
        b"content-length",
    }
)


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused."""

    status: int
    code: str
    why: str


class Hosts:
    """By which names a server may be called.

    A page of another site that somebody's browser has open can reach a server on loopback too. It can only send
    requests that carry its `Origin`, or a `Host` that is not ours (DNS rebinding).
    """

    def __init__(self, host: str, names: Iterable[str] = ()) -> None:
        self._names = {"localhost", host.lower(), *map(str.lower, names)}
        #: Whether other machines reach it.
        self.is_open = not is_loopback(host)
        self._verdict = lru_cache(256)(self._look_at)

    def refuse(self, head: Head) -> Refusal | None:
        """What stands against a request; None when nothing does."""
        if head.host is None:
            return Refusal(400, "BAD_REQUEST", "a request has one Host header")
        refused = self._verdict(head.host)
        if refused:
            return refused
        if head.origin is not None and not _is_same(head.origin, head.host):
            return Refusal(403, "PERMISSION_DENIED", f"requests of pages of {head.origin[:100]} are refused")
        if head.site and head.site not in _SAME_SITE:
            return Refusal(403, "PERMISSION_DENIED", "requests of pages of other sites are refused")
        return None

    def _look_at(self, given: str) -> Refusal | None:
        host = host_of(given)
        if host is None:
            return Refusal(400, "BAD_REQUEST", f"{given[:100]!r} is not a host")
        if host in self._names:
            return None
        try:
            address = ip_address(host)
        except ValueError:
            why = f"this server is not called {host!r}; start it with --allow-host {host} if it is"
            return Refusal(403, "PERMISSION_DENIED", why)
        if address.is_loopback or self.is_open:  # a name can be rebound, an address can't
            return None
        return Refusal(403, "PERMISSION_DENIED", f"this server is not called {host!r}")


def host_of(header: str) -> str | None:
    """The host without its port, in lower case; None for what is no host.

    >>> host_of("LocalHost:8400"), host_of("[::1]:8400"), host_of("localhost:80@evil.com"), host_of("[::1")
    ('localhost', '::1', None, None)
    """
    found = _HOST.fullmatch(header)
    return found[1].strip("[]").lower() if found else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, False, True)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False
