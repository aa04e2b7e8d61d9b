"""Looks at a request for a prediction before the application reads it: whose page, which token, what kind of body."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from assay.access import Guard, Right
from assay.access.guard import WRONG, WRONG_WAITS_S
from assay.listen import Refusal, head_of
from assay.listen.head import Head
from assay.serve.app import MAX_BODY_BYTES

log = logging.getLogger(__name__)
Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
#: What each route needs; any other is answered with 404 to those who may read.
RIGHTS: dict[str, Right] = {"/predict": "predict", "/health": "open", "/ready": "open"}
_encode = msgspec.json.Encoder().encode


class Guarded:
    """The application, behind its guard."""

    def __init__(self, app: Asgi, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope, head_of(scope["headers"]))
        if refusal is None:
            await self._app(scope, receive, send)
            return
        if refusal is WRONG:
            await asyncio.sleep(WRONG_WAITS_S)  # nobody tries tokens quickly
        log.info("refused: %s", refusal.why)
        await _refuse(refusal, send)

    def _refusal(self, scope: dict[str, Any], head: Head) -> Refusal | None:
        path = scope["path"]
        foreign = self._guard.foreign(head)
        if foreign:
            return foreign
        admitted = self._guard.admit(head, RIGHTS.get(path, "read"))
        if isinstance(admitted, Refusal):
            return admitted
        if head.content_length > MAX_BODY_BYTES:  # said before it is read
            return Refusal(413, "BAD_REQUEST", f"the body is larger than {MAX_BODY_BYTES:,} bytes; send fewer rows")
        return _not_json(head) if path == "/predict" and scope["method"] == "POST" else None


def _not_json(head: Head) -> Refusal | None:
    """Only JSON: a browser sends it to another site only after it has asked, and that is refused."""
    if head.content_encoding not in ("", "identity"):
        return Refusal(415, "BAD_REQUEST", f"{head.content_encoding[:50]} is not unpacked; send the JSON as it is")
    kind = head.content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        return Refusal(415, "BAD_REQUEST", f"send content-type: application/json, not {kind[:50] or 'none'}")
    return None


async def _refuse(refusal: Refusal, send: Any) -> None:
    body = _encode({"error": refusal.why})
    lines = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refusal.status == 401:
        lines.append((b"www-authenticate", b'Basic realm="assay", Bearer realm="assay"'))
    await send({"type": "http.response.start", "status": refusal.status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
