"""HTTP with bounds: uvicorn's protocol over httptools has none for heads, slow bodies, answers that nobody takes.

What comes is counted before it is parsed, in slices, so that no head makes the parser hold more than twice its bound.
Times are looked at once a second for each connection: a request costs no timer.
"""

import asyncio
import re
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from assay.listen.joined import Joined
from assay.listen.limits import LIMITS, Limits
from assay.listen.pace import Pace

_SLICE = 64 << 10
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_RETRY_AFTER_S = 2
#: Connections beyond the bound that get an answer; those beyond these are cut, so that a flood takes no descriptors.
_TOLD_WHY = 100


class _State(Enum):
    HEAD = auto()
    BODY = auto()
    IDLE = auto()


class _Refused(Exception):
    """Ends parsing from within a callback of the parser."""


def _without_upgrade(data: bytes) -> bytes:
    r"""Hide that a client would speak another protocol, as Java's does: the parser would skip its body.

    >>> _without_upgrade(b"POST / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n")
    b'POST / HTTP/1.1\r\nx-upgrade: h2c\r\n\r\n'
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest


class BoundedProtocol(HttpToolsProtocol):
    """One connection that obeys `Limits`."""

    limits: Limits = LIMITS

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Begin to watch a connection, or refuse it when there are too many."""
        super().connection_made(transport)
        self.transport: Any = Joined(transport, self.loop)
        self._state, self._since = _State.HEAD, self.loop.time()
        self._head_bytes = self._head_lines = self._pending_bytes = 0
        self._refusal: tuple[int, str] | None = None
        self._over_at: float | None = None
        self._received = self._received_before = 0
        self._unsent, self._taken, self._taken_at = 0, False, self._since
        self._pace = Pace(self.limits.body_s, self.limits.body_rate)
        self._watch = self.loop.call_later(self.limits.look_every_s, self._look)
        beyond = len(self.connections) - self.limits.connections
        if beyond > _TOLD_WHY:
            transport.abort()
        elif beyond > 0:
            self._refuse(503, f"the server has {self.limits.connections:,} connections already; try again")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what came and have it parsed."""
        self._received += len(data)
        if len(data) <= _SLICE:
            self._parse(data)
            return
        view = memoryview(data)
        for at in range(0, len(data), _SLICE):
            self._parse(bytes(view[at : at + _SLICE]))

    def _parse(self, data: bytes) -> None:
        if self._over_at is not None or self.parser is None:  # pyright: ignore[reportUnnecessaryComparison]
            return  # refused: what still comes is thrown away
        if self._state is _State.IDLE:
            self._state, self._since, self._pending_bytes = _State.HEAD, self.loop.time(), 0
        if self._state is _State.HEAD:
            # A head that begins in this slice sets this to nothing: so it holds less than its bound and a slice.
            self._pending_bytes += len(data)
            if b"pgrade" in data:
                data = _without_upgrade(data)
        super().data_received(data)
        if self._state is _State.HEAD and self._pending_bytes > self.limits.head_bytes and self._over_at is None:
            self._refuse(*self._too_long())

    def _too_long(self) -> tuple[int, str]:
        if self._head_lines:
            return 431, f"the headers are longer than {self.limits.head_bytes:,} bytes"
        return 414, f"the address is longer than {self.limits.head_bytes:,} bytes"

    # Callbacks of the parser.
    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._state = _State.HEAD
        self._head_bytes = self._head_lines = self._pending_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._head_bytes += len(url)
        if self._head_bytes > self.limits.head_bytes:
            self._stop(*self._too_long())
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line."""
        self._head_lines += 1
        if self._head_lines > self.limits.head_lines:
            self._stop(431, f"there are more than {self.limits.head_lines} headers")
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self.limits.head_bytes:
            self._stop(*self._too_long())
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if len(self.pipeline) >= self.limits.pipelined:
            self._stop(400, f"more than {self.limits.pipelined} requests wait on one connection")
        self._state = _State.BODY
        self._pace = Pace(self.limits.body_s, self.limits.body_rate)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        super().on_message_complete()
        self._state = _State.IDLE

    def _stop(self, status: int, why: str) -> None:
        self._refusal = (status, why)
        raise _Refused

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  ours is one for all
        """Refuse what the parser did not take, or what one of the callbacks refused."""
        self._refuse(*(self._refusal or (400, "this is not HTTP")))

    def _refuse(self, status: int, why: str) -> None:
        """Say why, and close."""
        if self._over_at is not None:
            return
        self._over_at = self.loop.time()
        cycle: Any = self.cycle
        if self.pipeline or (cycle is not None and not cycle.response_complete and cycle.response_started):
            self.transport.close()  # within another answer there is no place for this one
            return
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # it answers no more
            cycle.message_event.set()
        self._unset_keepalive_if_required()
        body = msgspec.json.encode({"error_code": _CODES.get(status, "BAD_REQUEST"), "message": why, "error": why})
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n"
        head += f"retry-after: {_RETRY_AFTER_S}\r\n" if status == 503 else ""
        self.transport.write(head.encode() + b"\r\n" + body)
        self._leave()

    def _leave(self) -> None:
        """Close our side; what the client still sends is thrown away for a while, or it would lose the answer."""
        self._over_at = self.loop.time()
        self.flow.resume_reading()
        if self.transport.can_write_eof():  # TLS has none: its client goes by the length of the answer
            self.transport.write_eof()

    # What time brings.
    def _look(self) -> None:
        self._watch = self.loop.call_later(self.limits.look_every_s, self._look)
        now = self.loop.time()
        if not self._is_taking(now) or self._is_over(now):
            self.transport.abort()
        elif self._over_at is not None or self.transport.is_closing():
            return
        elif self._state is _State.HEAD:
            if now - self._since > self.limits.head_s:
                self._refuse(408, f"the head of the request did not come within {self.limits.head_s:g} seconds")
        elif self._state is _State.BODY:
            self._look_at_body()

    def _look_at_body(self) -> None:
        moved, self._received_before = self._received - self._received_before, self._received
        if self.cycle.response_complete:  # refused before its end: nobody wants the rest
            self._leave()
        elif not self.flow.read_paused and not self._pace.keeps_up(self.limits.look_every_s, moved):
            self._refuse(408, f"the body arrives at less than {self.limits.body_rate:,} bytes a second")

    def _is_over(self, now: float) -> bool:
        return self._over_at is not None and not self._unsent and now - self._over_at > self.limits.linger_s

    def _is_taking(self, now: float) -> bool:
        """Whether the client took some of what waits for it; true when nothing does."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent or self._taken:
            self._taken_at = now
        self._unsent, self._taken = unsent, False
        return now - self._taken_at <= self.limits.send_s

    def resume_writing(self) -> None:
        """The client took most of what waited for it."""
        self._taken = True
        super().resume_writing()


_CODES = {503: "TEMPORARILY_UNAVAILABLE"}
