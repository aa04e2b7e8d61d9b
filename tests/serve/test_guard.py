"""What of a request for a prediction is looked at before the application reads it."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.access import make_token
from assay.access.guard import WRONG_WAITS_S, Guard
from assay.access.known import KnownTokens
from assay.listen import Hosts
from assay.serve.app import MAX_BODY_BYTES
from assay.serve.guard import Guarded
from assay.store import find_home, use

JSON = {"content-type": "application/json"}
Ask = Callable[..., tuple[int, dict[bytes, bytes], Any]]


async def hello(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that says what it was asked."""
    asked = (await receive())["body"].decode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([scope["path"], asked]).encode()})


def asking(guard: Guard) -> Ask:
    """Asks that application behind a guard; gives status, headers and body."""
    guarded = Guarded(hello, guard)

    def ask(path: str, method: str = "POST", kind: str = "http", **headers: str) -> tuple[int, dict[bytes, bytes], Any]:
        lines = {"host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
        encoded = [(name.encode(), value.encode()) for name, value in lines.items()]
        scope = {"type": kind, "path": path, "method": method, "headers": encoded}
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"asked"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(guarded(scope, receive, send))
        if not sent:
            return 0, {}, None
        start, body = sent
        assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
        return start["status"], dict(start["headers"]), json.loads(body["body"])

    return ask


@pytest.fixture
def ask() -> Ask:
    """On loopback."""
    return asking(Guard(Hosts("127.0.0.1")))


def test_what_nothing_stands_against_reaches_the_application(ask: Ask) -> None:
    for path, method, headers in (
        ("/predict", "POST", JSON),
        ("/predict", "POST", {"content-type": " Application/JSON ; charset=utf-8", "content-encoding": "identity"}),
        ("/predict", "GET", {}),
        ("/health", "POST", {"content-type": "text/plain", "content-encoding": "gzip"}),
        ("/predict", "POST", JSON | {"content-length": str(MAX_BODY_BYTES)}),
    ):
        assert ask(path, method, **headers) == (200, {}, [path, "asked"])


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_request_gets_no_answer(ask: Ask, kind: str) -> None:
    assert ask("/predict", kind=kind, **JSON) == (0, {}, None)


@pytest.mark.parametrize(
    ("headers", "status", "why"),
    [
        ({"host": "evil.example"}, 403, "this server is not called 'evil.example'; start it with --allow-host evil.example if it is"),
        ({"origin": "http://evil.example"}, 403, "requests of pages of http://evil.example are refused"),
        ({"content-length": str(MAX_BODY_BYTES + 1)}, 413, f"the body is larger than {MAX_BODY_BYTES:,} bytes; send fewer rows"),
        ({"content-type": "text/plain"}, 415, "send content-type: application/json, not text/plain"),
        ({"content-type": "text/x; y=application/json"}, 415, "send content-type: application/json, not text/x"),
        ({"content-type": ""}, 415, "send content-type: application/json, not none"),
        ({"content-type": "x" * 60}, 415, f"send content-type: application/json, not {'x' * 50}"),
        ({"content-encoding": "gzip"}, 415, "gzip is not unpacked; send the JSON as it is"),
        ({"content-encoding": "z" * 60}, 415, f"{'z' * 50} is not unpacked; send the JSON as it is"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why_and_never_reaches_the_application(
    headers: dict[str, str], status: int, why: str, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    found, lines, body = ask("/predict", **(JSON | headers))
    assert (found, body) == (status, {"error": why})
    length = str(len(json.dumps(body, separators=(",", ":")))).encode()
    assert lines == {b"content-type": b"application/json", b"content-length": length}
    assert caplog.messages[-1] == f"refused: {why}"


def test_off_loopback_a_token_is_needed_and_a_wrong_one_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    with use(find_home(tmp_path / ".assay")) as store:
        predict, read = (make_token(store, scope, scope) for scope in ("predict", "read"))
        ask = asking(Guard(Hosts("0.0.0.0"), KnownTokens(store)))
        store.database.dispose()
    bearer = {secret: JSON | {"authorization": f"Bearer {secret}"} for secret in (predict, read, "wrong")}
    paths = ("/predict", "/health", "/ready", "/else")
    assert [ask(path, **bearer[predict])[0] for path in paths] == [200, 200, 200, 403]
    assert [ask(path, **bearer[read])[0] for path in paths] == [403, 200, 200, 200]
    assert [ask(path, **JSON)[0] for path in paths] == [401, 200, 200, 401]
    started = time.monotonic()
    status, lines, body = ask("/predict", **bearer["wrong"])
    assert time.monotonic() - started >= WRONG_WAITS_S
    assert (status, lines[b"www-authenticate"]) == (401, b'Basic realm="assay", Bearer realm="assay"')
    assert body["error"].startswith("there is no such token; send a token: ")
