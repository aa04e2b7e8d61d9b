"""Requests and answers, as the handlers see them: values, without a connection."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from assay.access import Right
from assay.access.guard import Asker
from assay.errors import BadInput

_FIELDS = 2_000
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass
class HttpRequest:
    """One request, its body whole."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    #: What stands in the places of a route, like the id of a model.
    places: tuple[str, ...] = ()
    #: The address of the server as the client knows it, with its prefix: `https://tracking.internal/mlflow`.
    base: str = ""
    asker: Asker = field(default_factory=Asker)

    @property
    def who(self) -> str:
        """Who asks: the name of a token; empty on loopback."""
        return self.asker.name

    def may(self, right: Right) -> bool:
        """Whether who asks may do more than the route itself needs."""
        return self.asker.may(right)

    def json(self) -> Any:
        """The body as JSON, None when there is none. Raises `BadInput` for what is no JSON."""
        if not self.body.strip():
            return None
        try:
            return _decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"the body is not JSON: {error}") from None


@dataclass
class Answer:
    """What is sent back: bytes, or pieces that are made while they are sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: Iterator[bytes] | None = None
    size: int | None = None
    #: Bytes in memory while the pieces are sent.
    held: int = 0


def answer_json(value: Any, status: int = 200) -> Answer:
    """A value as JSON."""
    return Answer(status, _encode(value), {"content-type": "application/json", "x-content-type-options": "nosniff"})


def answer_text(text: str) -> Answer:
    """A text."""
    return Answer(body=text.encode(), headers={"content-type": "text/plain; charset=utf-8"})


def fields_of(query: bytes) -> dict[str, list[str]]:
    """The fields of a query. Raises `BadInput` for one that is no text or has too many."""
    if not query:
        return {}
    try:
        return parse_qs(query.decode(), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise BadInput(f"the query can't be read: {error}") from None
