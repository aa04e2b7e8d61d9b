"""Calls of an MLflow server, by the standard library alone."""

import base64
import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from assay.errors import BadInput, Unavailable
from assay.settings import setting

API = "/api/2.0/mlflow"
TIMEOUT_S = 60
TRIES = 4
_LATER = frozenset({429, 502, 503, 504})
_SHOWN = 300
_PIECE = 1 << 20
#: A page of 200 runs with thousands of parameters has some 30 MiB; what is larger, or comes for longer, is no answer.
LARGEST_JSON_BYTES, LONGEST_JSON_S = 256 << 20, 600.0
_LARGEST_ERROR_BYTES = 64 << 10


class ServerRefused(Unavailable):
    """The server answered, and said no."""

    def __init__(self, what: str, *values: str, status: int, code: str = "", do: str = "") -> None:
        self.status = status
        self.code = code
        super().__init__(what, *values, do=do)


class Malformed(BadInput):
    """The server answered with what MLflow does not write."""


def malformed(server: str, what: str, why: str) -> Malformed:
    """An answer to `what` is not one of MLflow's."""
    do = "Is another server in front of it?"
    return Malformed(f"{server} answers {what} with what MLflow does not write", why[:_SHOWN], do=do)


@contextmanager
def understood(server: str, what: str) -> Generator[None]:
    """Read an answer to `what` in a block: raises `Malformed` when something is missing or of another type."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise malformed(server, what, f"{type(error).__name__}: {error}") from None


def pages(server: str, ask: Callable[[str | None], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The pages of a list: `ask` is given the token of each. Raises `Malformed` for a list that leads back to itself."""
    token: Any = None
    given: set[str] = set()
    while True:
        page = ask(token)
        yield page
        token = page.get("next_page_token") or None
        if not token:
            return
        if not isinstance(token, str) or token in given:
            raise malformed(server, "a list", f"after a page it names one that it gave before: {token}")
        given.add(token)


class _NoRedirect(HTTPRedirectHandler):
    """Credentials are not carried to other addresses."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        """Never."""


class HttpServer:
    """An HTTP server, with the credentials of its URL or of MLflow's environment variables."""

    def __init__(self, url: str) -> None:
        """Raises `BadInput` for what is no URL of a server."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url!r} is not the URL of a server", do="Write it like http://localhost:5000")
        host = parts.hostname if ":" not in parts.hostname else f"[{parts.hostname}]"
        try:
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            raise BadInput(f"{url!r} has no valid port", do="Write it like http://localhost:5000") from None
        self.name = urlunsplit((parts.scheme, host + port, parts.path.rstrip("/"), "", ""))
        self._headers = _credentials(unquote(parts.username or ""), unquote(parts.password or ""))
        self._opener = build_opener(_NoRedirect)

    def get(self, path: str, /, **query: Any) -> dict[str, Any]:
        """The JSON that a path gives."""
        return self._json("GET", path + _query(query))

    def post(self, path: str, body: dict[str, Any], *, again: bool = False) -> dict[str, Any]:
        """The JSON that a call gives; `again` says that it may be tried again when its outcome is unknown."""
        return self._json("POST", path, json.dumps(body).encode(), again=again)

    def download(self, path: str, into: Path, size: int, /, **query: Any) -> None:
        """Write what a path gives into a file, piece by piece; `size` is what it was listed with, 0 when unknown.

        Raises `Unavailable` when it ends early, and `BadInput` when there is more of it than was listed.
        """
        with self._open("GET", path + _query(query)) as answer, into.open("wb") as file:
            while piece := self._read(answer, _PIECE):
                file.write(piece)
                if size and file.tell() > size:
                    raise self._strange(f"{path} gives more than the {size:,} bytes that it lists")
            said = answer.headers.get("Content-Length", "")
            whole = int(said) if said.isdecimal() else size
            if whole and file.tell() != whole:
                raise self._silent(f"{path} ended after {file.tell():,} of {whole:,} bytes")
            if size and file.tell() != size:
                raise self._strange(f"{path} gives {file.tell():,} bytes and lists {size:,}")

    def upload(self, path: str, content: Iterable[bytes], size: int) -> None:
        """Put what comes piece by piece, `size` bytes in all, at a path."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        self._open("PUT", quote(path), content, headers, again=False).close()

    def _json(self, method: str, path: str, body: bytes | None = None, *, again: bool = True) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        with self._open(method, path, body, headers, again=again) as answer:
            text = self._whole(answer, path)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._strange(f"it answers {path.partition('?')[0]} with no JSON: {_short(text)}")
        return cast("dict[str, Any]", found)

    def _strange(self, why: str) -> BadInput:
        return BadInput(f"{self.name} is not an MLflow server", why, do="Give the URL that MLFLOW_TRACKING_URI has.")

    def _whole(self, answer: HTTPResponse, path: str) -> bytes:
        text, until = bytearray(), time.monotonic() + LONGEST_JSON_S
        while piece := self._read(answer, _PIECE):
            text += piece
            if len(text) > LARGEST_JSON_BYTES or time.monotonic() > until:
                limit = f"{LARGEST_JSON_BYTES >> 20} MiB or {LONGEST_JSON_S:.0f} seconds"
                raise self._strange(f"its answer to {path.partition('?')[0]} does not end within {limit}")
        said = answer.headers.get("Content-Length", "")
        if said.isdecimal() and len(text) < int(said):
            raise self._silent(f"{path.partition('?')[0]} ended after {len(text):,} of {int(said):,} bytes")
        return bytes(text)

    def _read(self, answer: HTTPResponse, size: int | None = None) -> bytes:
        try:
            return answer.read(size)
        except (HTTPException, OSError) as error:
            raise self._silent(error) from None

    def _open(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, *, again: bool = True
    ) -> HTTPResponse:
        request = Request(self.name + path, data=body, headers={**self._headers, **(headers or {})}, method=method)  # noqa: S310
        tried = 0
        while True:
            tried += 1
            last = tried == TRIES or not again
            try:
                return self._opener.open(request, timeout=TIMEOUT_S)
            except HTTPError as error:
                with error:
                    if error.code not in _LATER or last:
                        raise self._refused(error, path) from None
            except (URLError, HTTPException, OSError) as error:
                reason = getattr(error, "reason", error)
                if last or isinstance(reason, ConnectionRefusedError):
                    raise self._silent(reason) from None
            time.sleep(0.5 * 2**tried)

    def _refused(self, error: HTTPError, path: str) -> Exception:
        try:
            text = error.read(_LARGEST_ERROR_BYTES)
        except (HTTPException, OSError):
            text = b""
        try:
            said: Any = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        told = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        if error.code in (401, 403):
            return ServerRefused(
                f"{self.name} requires a login (HTTP {error.code})",
                status=error.code,
                do="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
            )
        if "error_code" not in told and error.code in (301, 302, 307, 308, 404, 405, 501):
            return self._strange(f"it answers {path.partition('?')[0]} with HTTP {error.code}")
        return ServerRefused(
            f"{self.name} refused {path.partition('?')[0]} (HTTP {error.code})",
            str(told.get("message", _short(text)))[:_SHOWN],
            status=error.code,
            code=str(told.get("error_code", "")),
            do="What was done so far is kept; the same command continues.",
        )

    def _silent(self, reason: object) -> Unavailable:
        return Unavailable(
            f"nothing answers at {self.name}",
            str(reason),
            do="Start the server or correct the URL. What was done so far is kept; the same command continues.",
        )


def _credentials(user: str, password: str) -> dict[str, str]:
    user = user or setting("MLFLOW_TRACKING_USERNAME")
    password = password or setting("MLFLOW_TRACKING_PASSWORD")
    if user or password:
        both = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {both}"}
    token = setting("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _query(values: dict[str, Any]) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _short(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:_SHOWN]
