"""Bodies of requests, bounded one by one and all together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Self

from assay.errors import BadInput, Unavailable

Receive = Callable[[], Awaitable[Any]]
#: What a body may hold without being counted: large ones never keep small ones out.
FREE_BYTES = 64 << 10


class TooLarge(BadInput):
    """A body is beyond the bound."""


class Busy(Unavailable):
    """Too much is held in memory at the moment."""


class Gone(Exception):
    """The client broke off."""


class Budget:
    """Bytes that may be held for all clients together."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self.held_bytes = 0

    def take(self, size: int) -> None:
        """Hold so many more bytes. Raises `Busy`, and holds none, when they are too many."""
        if self.held_bytes + size > self._most:
            raise Busy("too many large requests at once", do="Try again in a few seconds.")
        self.held_bytes += size

    def give_back(self, size: int) -> None:
        """Hold them no longer."""
        self.held_bytes -= size

    @contextmanager
    def holding(self, size: int) -> Generator[None]:
        """Hold bytes for the length of a block, when they count at all. Raises `Busy`."""
        counted = max(0, size - FREE_BYTES)
        self.take(counted)
        try:
            yield
        finally:
            self.give_back(counted)


async def chunks(receive: Receive, most_bytes: int) -> AsyncIterator[bytes]:
    """The body piece by piece. Raises `TooLarge` beyond the bound, `Gone` when the client breaks off."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > most_bytes:
            raise _too_large(most_bytes)
        if piece:
            yield piece
        if not message.get("more_body"):
            return


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(f"the body is larger than {most_bytes:,} bytes", do="Send less in one request.")


class Body:
    """A body in memory: what of it counts is held until the end of the block."""

    def __init__(self, budget: Budget, most_bytes: int) -> None:
        self._budget, self._most = budget, most_bytes
        self._counted = 0

    async def read(self, receive: Receive, declared: int = 0) -> bytes:
        """Read it whole. Raises `TooLarge`, before it is read when its declared length says so, `Busy` and `Gone`."""
        if declared > self._most:
            raise _too_large(self._most)
        message = await receive()
        piece: bytes = message.get("body", b"")
        if not message.get("more_body") and message["type"] != "http.disconnect" and len(piece) <= FREE_BYTES:
            return piece  # as nearly all are
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise Gone
            size += len(piece)
            self._count(size)
            parts.append(piece)
            if not message.get("more_body"):
                return b"".join(parts)
            message = await receive()
            piece = message.get("body", b"")

    def _count(self, size: int) -> None:
        if size > self._most:
            raise _too_large(self._most)
        beyond = max(0, size - FREE_BYTES) - self._counted
        if beyond:
            self._budget.take(beyond)
            self._counted += beyond

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give_back(self._counted)
