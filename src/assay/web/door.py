"""The way of every request: is it for this server, whose is the route, who asks, then its body, then its answer."""

import asyncio
import logging
from collections.abc import Sequence
from functools import cache

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from assay.access import Guard
from assay.access.guard import WRONG, WRONG_WAITS_S, Asker
from assay.errors import AssayError
from assay.listen import Body, Refusal, head_of
from assay.listen.bodies import Busy, Gone, chunks
from assay.listen.head import Head
from assay.store import Store
from assay.store.database import retried
from assay.web.http import Answer, HttpRequest, answer_json, fields_of
from assay.web.mlflow.ask import ask_of
from assay.web.mlflow.errors import code_of
from assay.web.mlflow.routes import error_answer, not_served
from assay.web.rule import Download, Find, Fixed, Handler, Incoming, RequestSchema, Upload
from assay.web.send import send_answer
from assay.web.work import Work

log = logging.getLogger(__name__)
MAX_UPLOAD_BYTES = 1 << 40
_SHOWN = 200


class Door:
    """An ASGI application that answers by a table of routes."""

    def __init__(self, store: Store, guard: Guard, work: Work, find: Find) -> None:
        self._store, self._guard, self._work, self._find = store, guard, work, find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            answer = await self._answer(scope, receive)
        except Gone:
            return
        except AssayError as error:
            answer = _answer_error(error)
        except Exception:
            log.exception("request failed")
            answer = error_answer(Exception("a fault of the server; its log names it"), 500, "INTERNAL_ERROR")
        await send_answer(answer, self._work, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        head, method = head_of(scope["headers"]), scope["method"]
        path = scope["path"].removeprefix(scope["root_path"])
        refusal = self._guard.foreign(head)
        if refusal:
            return _refuse(refusal, scope)
        found = self._find(method, path)
        admitted = self._guard.admit(head, found[0].right if found else "read")
        if isinstance(admitted, Refusal):
            if admitted is WRONG:
                await asyncio.sleep(WRONG_WAITS_S)  # nobody tries tokens quickly
            return _refuse(admitted, scope)
        if found is None:
            return not_served(method, path)
        rule, places = found
        match rule:
            case Fixed():
                return rule.answer() if method in ("GET", "HEAD") else _not_allowed()
            case Download():
                request = _request(scope, head, path, tuple(places), admitted)
                return await self._work.handle(rule.answer, self._store, ask_of(request, rule.takes))
            case Upload():
                return await self._take_in(rule, places, receive)
            case RequestSchema():
                return await self._handle(rule, _request(scope, head, path, tuple(places), admitted), head, receive)

    async def _handle(self, rule: RequestSchema, request: HttpRequest, head: Head, receive: Receive) -> Answer:
        with Body(self._work.bodies, rule.most_bytes) as body:
            request.body = await body.read(receive, head.content_length)
            return await self._work.handle(_handled, rule, self._store, request, size=len(request.body))

    async def _take_in(self, rule: Upload, places: Sequence[str], receive: Receive) -> Answer:
        """Write a file as it comes: a thread is busy only while a piece is written, not while its client is slow."""
        work = self._work
        with work.uploading():
            incoming = await work.on_disk(rule.begin, self._store, *places)
            try:
                async for piece in chunks(receive, MAX_UPLOAD_BYTES):
                    await work.on_disk(incoming.write, piece)
                return await work.on_disk(_kept, incoming)
            except BaseException:
                work.later(incoming.drop)  # even when this task is being ended
                raise


def _kept(incoming: Incoming) -> Answer:
    try:
        return incoming.keep()
    finally:
        incoming.drop()


def _handled(rule: RequestSchema, store: Store, request: HttpRequest) -> Answer:
    return answer_json(_retried(rule.handler)(store, ask_of(request, rule.takes)))


@cache
def _retried(handler: Handler) -> Handler:
    return retried(handler)


def _request(scope: Scope, head: Head, path: str, places: tuple[str, ...], asker: Asker) -> HttpRequest:
    headers = Headers(scope=scope)
    # A proxy that ends TLS says so; whoever forges it changes only the address that he is told.
    scheme = "https" if headers.get("x-forwarded-proto") == "https" else scope["scheme"]
    base = f"{scheme}://{head.host or ''}{scope['root_path']}"
    return HttpRequest(
        scope["method"],
        path,
        fields_of(scope["query_string"]),
        headers,
        places=places,
        base=base,
        asker=asker,
    )


def _refuse(refusal: Refusal, scope: Scope) -> Answer:
    log.info("refused %s %s: %s", scope["method"], scope["path"][:_SHOWN], refusal.why)
    answer = error_answer(Exception(refusal.why), refusal.status, refusal.code)
    if refusal.status == 401:
        answer.headers["www-authenticate"] = 'Basic realm="assay", Bearer realm="assay"'
    return answer


def _answer_error(error: AssayError) -> Answer:
    status, code = code_of(error)
    (log.info if status < 500 or isinstance(error, Busy) else log.error)("refused: %s", error)
    answer = error_answer(error, status, code)
    if status == 503:
        answer.headers["retry-after"] = "2"
    return answer


def _not_allowed() -> Answer:
    answer = error_answer(Exception("use GET"), 405, "BAD_REQUEST")
    answer.headers["allow"] = "GET, HEAD"
    return answer
