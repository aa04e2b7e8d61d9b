"""The HTTP side: a bare ASGI application, because a framework's routing costs more than the prediction."""

import logging
import re
from collections.abc import Awaitable, Callable
from itertools import count
from secrets import token_hex
from typing import Any

import msgspec

from assay import context
from assay.contract import Invalid
from assay.errors import AssayError, BadInput
from assay.serve.answer import Served, answer

log = logging.getLogger(__name__)
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
MAX_BODY_BYTES = 16 << 20
_REQUEST_ID = re.compile(rb"[0-9A-Za-z._:-]{1,100}")
_encode = msgspec.json.Encoder().encode


class TooLarge(BadInput):
    """The body is beyond the bound."""


class App:
    """Answers `POST /predict`, `GET /health` and `GET /ready`; `served` may be replaced at any time."""

    def __init__(self, served: Served) -> None:
        #: The version that answers; a request keeps the one that it began with.
        self.served = served
        self._ids = count(1)
        self._prefix = token_hex(6)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path == "/predict":
            if method == "POST":
                await self._predict(scope, receive, send)
            else:
                await _reply(send, 405, _error("use POST"), (b"allow", b"POST"))
        elif path == "/health":
            await _reply(send, 200, _encode(self._health()))
        elif path == "/ready":
            await _reply(send, 200, _encode({"ready": True}))
        else:
            await _reply(send, 404, _error(f"there is no {path}; ask POST /predict, GET /health or GET /ready"))

    async def _predict(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        served, request_id = self.served, self._request_id(scope)
        token, version = context.request_id.set(request_id), context.model_version.set(served.name)
        try:
            await _reply(send, 200, answer(served, await _body(receive), request_id))
        except AssayError as error:
            status, body = _refusal(error, request_id)
            await _reply(send, status, body)
        except Exception:
            log.exception("request failed")
            await _reply(send, 500, _error("a fault of the server; its log names it", request_id))
        finally:
            context.request_id.reset(token)
            context.model_version.reset(version)

    def _request_id(self, scope: dict[str, Any]) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return value.decode()
        return f"{self._prefix}-{next(self._ids)}"

    def _health(self) -> dict[str, Any]:
        served = self.served
        return {
            "status": "ok" if served.log.dropped == 0 else "dropping rows of the prediction log",
            "model": served.version.model,
            "version": served.version.version,
            "trained_until": served.version.trained_until,
            "dropped_rows": served.log.dropped,
        }


async def _body(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body"):
        parts = [message.get("body", b"")]
    else:
        parts, size = [message["body"]], len(message["body"])
        while message.get("more_body") and size <= MAX_BODY_BYTES:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
    body = b"".join(parts)
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES:,} bytes", do="Send fewer rows a request.")
    return body


def _refusal(error: AssayError, request_id: str) -> tuple[int, bytes]:
    """Status and body for an error; the status is a matter of HTTP alone."""
    if isinstance(error, Invalid):
        log.info("refused: %s", error.what)
        return 422, _encode({"error": error.what, "faults": error.faults, "request_id": request_id})
    if isinstance(error, BadInput):
        log.info("refused: %s", error.what)
        return 413 if isinstance(error, TooLarge) else 400, _error(str(error), request_id)
    log.error("%s", error)
    return 500, _error(error.what, request_id)


def _error(text: str, request_id: str | None = None) -> bytes:
    return _encode({"error": text} | ({"request_id": request_id} if request_id else {}))


async def _reply(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    lines = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
