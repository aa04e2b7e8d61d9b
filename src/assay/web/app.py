"""The HTTP side of `assay up`: a bare ASGI application; what waits for the database or a disk is done in threads."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from queue import Queue
from typing import Any

from assay.errors import AssayError
from assay.store import Store
from assay.web.guard import Guard
from assay.web.http import Answer, Gone, Receive, Request, Send, answer_json, request_of
from assay.web.mlflow import answer_mlflow, files, multipart
from assay.web.mlflow.errors import code_of
from assay.web.mlflow.routes import FILES, error_answer

log = logging.getLogger(__name__)
THREADS = 8
MAX_UPLOAD_BYTES = 1 << 40
#: The version of MLflow whose clients this API was compared with.
SPEAKS = "3.17.2"
_INFO = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
}
_PART = "mpu/part/"
_AHEAD = 8


class App:
    """Answers MLflow's API and says whether it lives."""

    def __init__(self, store: Store, guard: Guard) -> None:
        self._store = store
        self._guard = guard
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="web")
        # An upload holds a thread for as long as its client takes: it must not keep the others waiting.
        self._uploads = ThreadPoolExecutor(THREADS * 8, thread_name_prefix="upload")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except Gone:
            return
        except AssayError as error:
            answer = _refusal(error)
        except Exception:
            log.exception("request failed")
            answer = error_answer(Exception("a fault of the server; its log names it"), 500, "INTERNAL_ERROR")
        await self._send(answer, send, head=scope["method"] == "HEAD")

    async def _answer(self, scope: dict[str, Any], receive: Receive) -> Answer:
        request = request_of(scope, receive)
        refusal = (
            await self._do(self._guard.look, request)
            if "authorization" in request.headers
            else self._guard.look(request)
        )
        if refusal:
            log.info("refused %s %s: %s", request.method, request.path, refusal.why)
            return error_answer(Exception(refusal.why), refusal.status, refusal.code)
        quick = _QUICK.get(request.path)
        if quick:
            return quick()
        path = _below_files(request)
        if path is not None:
            return await self._file(request, path)
        await request.read()
        return await self._do(answer_mlflow, self._store, request)

    async def _file(self, request: Request, path: str) -> Answer:
        if request.method in ("GET", "HEAD"):
            return await self._do(files.get, self._store, path)
        if request.method == "DELETE":
            await self._do(files.remove, self._store, path)
            return answer_json({})
        if request.method == "PUT" and path.startswith(_PART):
            upload, _, number = path.removeprefix(_PART).partition("/")
            tag = await self._upload(request, lambda chunks: multipart.put_part(self._store, upload, number, chunks))
            return Answer(headers={"etag": f'"{tag}"'})
        if request.method == "PUT":
            await self._upload(request, lambda chunks: files.put(self._store, path, chunks))
            return answer_json({})
        return error_answer(Exception(f"{request.method} is not for artifacts"), 405, "BAD_REQUEST")

    async def _do(self, work: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *values)

    async def _upload(self, request: Request, work: Callable[[Iterator[bytes]], Any]) -> Any:
        """Give what comes in to `work` in a thread, a few pieces ahead of it."""
        pieces: Queue[bytes | Exception | None] = Queue()
        room = asyncio.Semaphore(_AHEAD)
        loop = asyncio.get_running_loop()

        def handed() -> Iterator[bytes]:
            while (piece := pieces.get()) is not None:
                loop.call_soon_threadsafe(room.release)
                if isinstance(piece, Exception):
                    raise piece
                yield piece

        done = loop.run_in_executor(self._uploads, lambda: work(handed()))
        try:
            async for piece in request.chunks(MAX_UPLOAD_BYTES):
                acquired = asyncio.ensure_future(room.acquire())
                await asyncio.wait((acquired, done), return_when=asyncio.FIRST_COMPLETED)
                if done.done():  # it failed, and takes nothing more
                    acquired.cancel()
                    break
                pieces.put(piece)
            pieces.put(None)
        except (Gone, AssayError) as error:
            pieces.put(error)
        return await done

    async def _send(self, answer: Answer, send: Send, *, head: bool) -> None:
        # A damaged file is found at its end, so each piece waits for the next one: its last is never sent, and what the
        # client got is shorter than was promised. One of a single piece is refused.
        piece = following = None
        if answer.pieces is not None and not head:
            try:
                piece = await self._do(next, answer.pieces, None)
                following = await self._do(next, answer.pieces, None)
            except AssayError as error:
                answer = _refusal(error)
        size = len(answer.body) if answer.pieces is None else answer.size
        headers = answer.headers | ({"content-length": str(size)} if size is not None else {})
        lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": lines})
        try:
            while following is not None and answer.pieces is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece, following = following, await self._do(next, answer.pieces, None)
        except AssayError as error:
            log.warning("a download was broken off: %s", error)
            return
        await send({"type": "http.response.body", "body": b"" if head else piece or answer.body})


def _below_files(request: Request) -> str | None:
    """The path of an artifact that a request is about."""
    for prefix in FILES:
        if request.path.startswith(prefix):
            rest = request.path[len(prefix) :]
            if rest.startswith("artifacts/") and rest != "artifacts/":
                return rest.removeprefix("artifacts/")
            if rest.startswith(_PART):
                return rest
    return None


def _text(text: str) -> Answer:
    return Answer(body=text.encode(), headers={"content-type": "text/plain; charset=utf-8"})


_QUICK: dict[str, Callable[[], Answer]] = {
    "/health": lambda: _text("OK"),
    "/ready": lambda: _text("OK"),
    "/version": lambda: _text(SPEAKS),
    "/": lambda: _text(f"Assay {version('assay')}: MLFLOW_TRACKING_URI is this address."),
    "/api/3.0/mlflow/server-info": lambda: answer_json(_INFO),
    "/server-info": lambda: answer_json(_INFO),
}


def _refusal(error: AssayError) -> Answer:
    status, code = code_of(error)
    (log.info if status < 500 else log.error)("refused: %s", error)
    return error_answer(error, status, code)
