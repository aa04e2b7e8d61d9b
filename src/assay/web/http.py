"""Requests and answers, as the parts of the server see them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from assay.errors import BadInput

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
MAX_JSON_BYTES = 64 << 20
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class TooLarge(BadInput):
    """A body is beyond the bound."""


@dataclass
class Request:
    """One request, its body read as far as a part wants it."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    receive: Receive
    #: Who asks: the name of a token; empty on loopback.
    who: str = ""
    body: bytes = b""
    #: What stands in the places of a route, like the id of a model.
    places: tuple[str, ...] = ()

    async def chunks(self, bound: int) -> AsyncIterator[bytes]:
        """The body piece by piece. Raises `TooLarge` beyond `bound` bytes, `Gone` when the client breaks off."""
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            piece = message.get("body", b"")
            size += len(piece)
            if size > bound:
                raise TooLarge(f"the body is larger than {bound:,} bytes", do="Send less in one request.")
            if piece:
                yield piece
            if not message.get("more_body"):
                return

    async def read(self, bound: int = MAX_JSON_BYTES) -> None:
        """Read the body whole into `body`."""
        self.body = b"".join([piece async for piece in self.chunks(bound)])

    def json(self) -> Any:
        """The body as JSON, None when there is none. Raises `BadInput` for what is no JSON."""
        if not self.body.strip():
            return None
        try:
            return _decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"the body is not JSON: {error}") from None


class Gone(Exception):
    """The client broke off."""


@dataclass
class Answer:
    """What is sent back: bytes, or pieces that are made while they are sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: Iterator[bytes] | None = None
    size: int | None = None


def answer_json(value: Any, status: int = 200) -> Answer:
    """A value as JSON."""
    return Answer(status, _encode(value), {"content-type": "application/json", "x-content-type-options": "nosniff"})


def request_of(scope: Mapping[str, Any], receive: Receive) -> Request:
    """The request of an ASGI scope. Raises `BadInput` for a query or a header that is no text."""
    try:
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True, max_num_fields=10_000)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
    except ValueError as error:
        raise BadInput(f"the request can't be read: {error}") from None
    return Request(scope["method"], scope["path"], query, headers, receive)
