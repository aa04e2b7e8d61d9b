"""Sends answers, however slowly their clients take them."""

import asyncio
import logging
from collections.abc import Iterator

from starlette.types import Receive, Scope, Send

from assay.errors import AssayError
from assay.listen.bodies import Busy
from assay.web.http import Answer
from assay.web.mlflow.errors import code_of
from assay.web.mlflow.routes import error_answer
from assay.web.work import Work

log = logging.getLogger(__name__)
#: Bytes of an answer that are handed to the connection at a time.
SLICE = 64 << 10


async def send_answer(answer: Answer, work: Work, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer; one that is in memory is counted as long as its client has not taken it."""
    head = scope["method"] == "HEAD"
    size = answer.held if answer.pieces is not None and not head else len(answer.body)
    try:
        with work.answers.holding(size):
            if answer.pieces is None or head:
                await _send_whole(answer, send, head=head)
            else:
                await _send_pieces(answer, answer.pieces, work, receive, send)
    except Busy as error:
        await _send_whole(_refusal(error), send, head=head)


async def _send_whole(answer: Answer, send: Send, *, head: bool) -> None:
    size = answer.size if answer.pieces is not None else len(answer.body)
    await _start(answer, size, send)
    view = memoryview(b"" if head else answer.body)
    at = 0
    while len(view) - at > SLICE:
        await send({"type": "http.response.body", "body": view[at : at + SLICE], "more_body": True})
        at += SLICE
    await send({"type": "http.response.body", "body": view[at:]})


async def _send_pieces(answer: Answer, pieces: Iterator[bytes], work: Work, receive: Receive, send: Send) -> None:
    # A damaged file is found at its end, so each piece waits for the next one: its last is never sent, and what the
    # client got is shorter than was promised. One of a single piece is refused.
    try:
        piece = await work.on_disk(next, pieces, None)
        following = await work.on_disk(next, pieces, None)
    except AssayError as error:
        await _send_whole(_refusal(error), send, head=False)
        return
    await _start(answer, answer.size, send)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        while following is not None and not gone.done():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece, following = following, await work.on_disk(next, pieces, None)
        if not gone.done():
            await send({"type": "http.response.body", "body": piece or b""})
    except AssayError as error:
        log.warning("a download was broken off: %s", error)
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(answer: Answer, size: int | None, send: Send) -> None:
    headers = answer.headers | ({"content-length": str(size)} if size is not None else {})
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": lines})


def _refusal(error: AssayError) -> Answer:
    return error_answer(error, *code_of(error))
