"""The HTTP side: a bare ASGI application, because a framework's routing costs more than the prediction."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from itertools import count
from secrets import token_hex
from typing import Any

import msgspec

from assay import context
from assay.contract import Invalid
from assay.errors import AssayError, BadInput, Corrupt, Unavailable
from assay.listen import Body, Budget, TooLarge
from assay.listen.bodies import Busy, Gone
from assay.serve.answer import Served, answer, read
from assay.serve.batch import Batcher
from assay.store.delivery import Supervisor

log = logging.getLogger(__name__)
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
MAX_BODY_BYTES = 16 << 20
#: Larger bodies are answered in a thread, so that the others do not wait for them.
INLINE_BYTES = 64 << 10
_METHODS = {"/predict": ("POST",), "/health": ("GET", "HEAD"), "/ready": ("GET", "HEAD")}
_REQUEST_ID = re.compile(rb"[0-9A-Za-z._:-]{1,100}")
_JSON = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode


#: What large bodies may take in all.
BODIES_BYTES = 64 << 20


class App:
    """Answers `POST /predict`, `GET /health` and `GET /ready`; another version may be adopted at any time."""

    def __init__(self, served: Served) -> None:
        #: The version that answers; a request is answered by the one that is here when its body is whole.
        self.served = served
        #: The prediction log of every version that answered: a large request may still write to an older one.
        self.logs = [served.log]
        #: Who looks after the process that drains the prediction log.
        self.drainer: Supervisor | None = None
        #: What can't be drained at present, in words.
        self.waiting = ""
        #: Why it is not known whether the version that answers is still the champion, in words.
        self.unknown = ""
        self._batcher = Batcher()
        self._bodies = Budget(BODIES_BYTES)
        self._ids = count(1)
        self._prefix = token_hex(6)

    def adopt(self, served: Served) -> None:
        """Answer from another version from now on."""
        self.logs.append(served.log)
        self.served = served

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path == "/predict" and method == "POST":
            await self._predict(scope, receive, send)
        elif path not in _METHODS:
            await _reply(send, 404, _error(f"there is no {path}; ask POST /predict, GET /health or GET /ready"))
        elif method not in _METHODS[path]:
            allowed = ", ".join(_METHODS[path])
            await _reply(send, 405, _error(f"use {_METHODS[path][0]}"), (b"allow", allowed.encode()))
        elif path == "/health":
            await _reply(send, 200, _encode(self._health()))
        else:
            await _reply(send, 200, _encode({"ready": True}))

    async def _predict(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        request_id = self._request_id(scope)
        request = context.request_id.set(request_id)
        version = context.model_version.set(None)
        try:
            with Body(self._bodies, MAX_BODY_BYTES) as held:
                body = await held.read(receive)
                served = self.served
                context.model_version.set(served.name)
                if len(body) <= INLINE_BYTES:
                    said = await self._batcher.answer(served, read(served, body, request_id))
                else:
                    said = await asyncio.to_thread(answer, served, body, request_id)
            await _reply(send, 200, said)
        except Gone:
            log.info("the client broke off")
        except AssayError as error:
            status, said = _refusal(error, request_id)
            await _reply(send, status, said)
        except Exception:
            log.exception("request failed")
            await _reply(send, 500, _error("a fault of the server; its log names it", request_id))
        finally:
            context.request_id.reset(request)
            context.model_version.reset(version)

    def _request_id(self, scope: dict[str, Any]) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return value.decode()
        return f"{self._prefix}-{next(self._ids)}"

    def _health(self) -> dict[str, Any]:
        version = self.served.version
        dropping = self.served.log.dropping
        drainer = self.drainer.fault if self.drainer else ""
        said = (
            ["dropping rows of the prediction log"]
            if dropping
            else [words for words in (drainer, self.waiting, self.unknown) if words]
        )
        return {
            "status": "; ".join(said) or "ok",
            "model": version.model,
            "version": version.version,
            "trained_until": version.trained_until,
            "dropping": dropping,
            "dropped_rows": sum(one.dropped for one in self.logs),
            "last_dropped_at": max((one.last_dropped for one in self.logs if one.last_dropped), default=None),
            "outside_contract": asdict(self.served.counts),
            "drainer": drainer or "ok",
            "drainer_restarts": self.drainer.restarts if self.drainer else 0,
            "undrained": self.waiting,
            "champion": self.unknown or "ok",
        }


def _refusal(error: AssayError, request_id: str) -> tuple[int, bytes]:
    """Status and body for an error; the status is a matter of HTTP alone."""
    if isinstance(error, Invalid):
        log.info("refused: %s", error.what)
        return 422, _encode({"error": error.what, "faults": error.faults, "request_id": request_id})
    if isinstance(error, BadInput):
        log.info("refused: %s", error.what)
        return 413 if isinstance(error, TooLarge) else 400, _error(str(error), request_id)
    (log.info if isinstance(error, Busy) else log.error)("%s", error)
    if isinstance(error, Unavailable) and not isinstance(error, Corrupt):
        return 503, _error(str(error), request_id)
    return 500, _error(error.what, request_id)


def _error(text: str, request_id: str | None = None) -> bytes:
    return _encode({"error": text} | ({"request_id": request_id} if request_id else {}))


async def _reply(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    lines = [_JSON, (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
