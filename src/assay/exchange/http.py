"""Calls of an MLflow server, by the standard library alone."""

import base64
import json
import os
import time
from collections.abc import Iterable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from assay.errors import BadInput, Unavailable

API = "/api/2.0/mlflow"
TIMEOUT_S = 60
TRIES = 4
_LATER = frozenset({429, 502, 503, 504})
_SHOWN = 300
_PIECE = 1 << 20


class ServerRefused(Unavailable):
    """The server answered, and said no."""

    def __init__(self, what: str, *values: str, status: int, code: str = "", do: str = "") -> None:
        self.status = status
        self.code = code
        super().__init__(what, *values, do=do)


class _NoRedirect(HTTPRedirectHandler):
    """Credentials are not carried to other addresses."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        """Never."""


class Server:
    """An HTTP server, with the credentials of its URL or of MLflow's environment variables."""

    def __init__(self, url: str) -> None:
        """Raises `BadInput` for what is no URL of a server."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url!r} is not the address of a server", do="Write it like http://localhost:5000")
        host = parts.hostname if ":" not in parts.hostname else f"[{parts.hostname}]"
        try:
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            raise BadInput(f"{url!r} has no port that could be", do="Write it like http://localhost:5000") from None
        self.name = urlunsplit((parts.scheme, host + port, parts.path.rstrip("/"), "", ""))
        self._headers = _credentials(unquote(parts.username or ""), unquote(parts.password or ""))
        self._opener = build_opener(_NoRedirect)

    def get(self, path: str, /, **query: Any) -> dict[str, Any]:
        """The JSON that a path gives."""
        return self._json("GET", path + _query(query))

    def post(self, path: str, body: dict[str, Any], *, again: bool = False) -> dict[str, Any]:
        """The JSON that a call gives; `again` says that it may be tried again when its outcome is unknown."""
        return self._json("POST", path, json.dumps(body).encode(), again=again)

    def download(self, path: str, into: Path, /, **query: Any) -> None:
        """Write what a path gives into a file, piece by piece. Raises `Unavailable` when it ends early."""
        with self._open("GET", path + _query(query)) as answer, into.open("wb") as file:
            while piece := self._read(answer, _PIECE):
                file.write(piece)
            said = answer.headers.get("Content-Length")
            if said is not None and file.tell() != int(said):
                raise self._silent(f"{path} ended after {file.tell():,} of {int(said):,} bytes")

    def upload(self, path: str, content: Iterable[bytes], size: int) -> None:
        """Put what comes piece by piece, `size` bytes in all, at a path."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        self._open("PUT", quote(path), content, headers, again=False).close()

    def _json(self, method: str, path: str, body: bytes | None = None, *, again: bool = True) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        with self._open(method, path, body, headers, again=again) as answer:
            text = self._read(answer)
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._strange(f"it answers {path.partition('?')[0]} with no JSON: {_short(text)}")
        return cast("dict[str, Any]", found)

    def _strange(self, why: str) -> BadInput:
        return BadInput(
            f"{self.name} is not an MLflow server", why, do="Give the address that MLFLOW_TRACKING_URI has."
        )

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
        text = error.read()
        try:
            said: Any = json.loads(text)
        except ValueError:
            said = None
        told = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        if error.code in (401, 403):
            return ServerRefused(
                f"{self.name} lets nobody in without a name and a password (HTTP {error.code})",
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
            do="What was done so far is kept; the same command goes on.",
        )

    def _silent(self, reason: object) -> Unavailable:
        return Unavailable(
            f"nothing answers at {self.name}",
            str(reason),
            do="Start the server or mend the address; what was done so far is kept, the same command goes on.",
        )


def _credentials(user: str, password: str) -> dict[str, str]:
    user = user or os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    password = password or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    if user or password:
        both = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {both}"}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _query(values: dict[str, Any]) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _short(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:_SHOWN]
