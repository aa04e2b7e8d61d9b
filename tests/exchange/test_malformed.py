"""What answers in the place of an MLflow server: every answer ends in a sentence, none in a traceback."""

import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from assay.cli import cli
from assay.errors import AssayError, BadInput
from assay.exchange import Mirror, http
from assay.store import Store
from assay.track import begin_run

HEAD = "/api/2.0/mlflow/"
EXPERIMENT = {"experiment_id": "1", "name": "trips", "lifecycle_stage": "active", "creation_time": 1000}
INFO = {"run_id": "r1", "run_name": "first", "status": "FINISHED", "start_time": 1000, "experiment_id": "1"}
METRIC = {"key": "m", "value": 1.0, "step": 0, "timestamp": 1000}
GOOD: dict[str, Any] = {
    "experiments/search": {"experiments": [EXPERIMENT]},
    "runs/search": {"runs": [{"info": INFO, "data": {"metrics": [METRIC]}}]},
    "metrics/get-history": {"metrics": [METRIC]},
    "artifacts/list": {"files": []},
    "logged-models/search": {},
    "registered-models/search": {},
}
Respond = Callable[[BaseHTTPRequestHandler], None]


class _Answers(BaseHTTPRequestHandler):
    answers: ClassVar[Mapping[str, Any]] = {}

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix(HEAD)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = self.answers.get(path, GOOD.get(path, {}))
        if callable(found):
            found(self)
        else:
            respond(json.dumps(found).encode())(self)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


def respond(body: bytes, status: int = 200, size: int | None = None, kind: str = "application/json") -> Respond:
    """An answer; `size` is what its head says of its body."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) if size is None else size))
        handler.end_headers()
        handler.wfile.write(body)

    return send


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * (1 << 20))
    except OSError:
        pass  # the client had enough


@contextmanager
def answering(answers: Mapping[str, Any]) -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_", (_Answers,), {"answers": answers}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bring_in(store: Store, answers: Mapping[str, Any]) -> tuple[int, str]:
    with answering(answers) as address:
        done = CliRunner().invoke(cli, ["import", "mlflow", address, "--home", str(store.home.path)])
    if isinstance(done.exception, AssayError):
        return done.exception.exit_code, " ".join(str(done.exception).split())
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.split())


HTML = respond(b"<html><title>Sign in</title></html>", kind="text/html")
WRONG: dict[str, Any] = {
    "a page": HTML,
    "half of a text": respond(b'{"experi'),
    "nothing": respond(b""),
    "a list": [],
    "a text": "x",
    "null": None,
    "no UTF-8": respond(b"\xff\xfe{}"),
    "depth": respond(b"[" * 200_000),
    "a number of 5,000 digits": respond(b'{"experiments": ' + b"9" * 5_000 + b"}"),
    "a fault": respond(b"Traceback ...", 500, kind="text/plain"),
    "a fault in JSON": respond(b'{"error_code": 5, "message": ["x"]}', 500),
    "a fault that breaks off": respond(b"{", 500, size=100),
    "a redirect": respond(b"", 302),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize(
    "path", ["experiments/search", "runs/search", "metrics/get-history", "registered-models/search"]
)
def test_what_is_no_answer_of_mlflow_is_named(store: Store, path: str, wrong: Any) -> None:
    code, said = bring_in(store, {path: wrong})
    assert code in (2, 3), said
    assert "http://127.0.0.1" in said
    assert "Traceback (most" not in said


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("experiments/search", {"experiments": 5}),
        ("experiments/search", {"experiments": "abc"}),
        ("experiments/search", {"experiments": [None]}),
        ("experiments/search", {"experiments": [{}]}),
        ("experiments/search", {"experiments": [EXPERIMENT | {"creation_time": "yesterday"}]}),
        ("experiments/search", {"experiments": [EXPERIMENT | {"tags": {"a": "b"}}]}),
        ("experiments/search", {"experiments": [EXPERIMENT | {"tags": [{"value": "b"}]}]}),
        ("experiments/search", {"experiments": [EXPERIMENT], "next_page_token": "same"}),
        ("experiments/search", {"experiments": [EXPERIMENT], "next_page_token": 7}),
        ("runs/search", {"runs": {"a": 1}}),
        ("runs/search", {"runs": [{}]}),
        ("runs/search", {"runs": [{"info": []}]}),
        ("runs/search", {"runs": [{"info": INFO, "data": []}]}),
        ("runs/search", {"runs": [{"info": INFO | {"user_id": ["a"]}}]}),
        ("runs/search", {"runs": [{"info": INFO | {"start_time": {}}}]}),
        ("runs/search", {"runs": [{"info": INFO, "data": {"metrics": [{"key": "m"}]}}]}),
        ("runs/search", {"runs": [{"info": INFO, "inputs": {"dataset_inputs": [{"dataset": 1}]}}]}),
        ("runs/search", {"runs": [{"info": INFO, "outputs": {"model_outputs": [{"model_id": "m", "step": "x"}]}}]}),
        ("metrics/get-history", {"metrics": [METRIC | {"value": "fast"}]}),
        ("metrics/get-history", {"metrics": [METRIC | {"value": None}]}),
        ("metrics/get-history", {"metrics": [METRIC | {"timestamp": []}]}),
        ("metrics/get-history", {"metrics": {"key": 1}}),
        ("metrics/get-history", {"metrics": [], "next_page_token": "same"}),
        ("artifacts/list", {"files": [{}]}),
        ("artifacts/list", {"files": [{"path": 5}]}),
        ("artifacts/list", {"files": [{"path": "a", "is_dir": True}]}),
        ("artifacts/list", {"files": [{"path": "a", "file_size": "big"}]}),
        ("logged-models/search", {"models": 5}),
        ("logged-models/search", {"models": [{"info": 5}]}),
        ("logged-models/search", {"models": [{}]}),
        ("registered-models/search", {"registered_models": [{}]}),
        ("registered-models/search", {"registered_models": [{"name": "m"}]}),
        ("registered-models/search", {"registered_models": {"name": "m"}}),
    ],
    ids=lambda value: "a page" if value is HTML else str(value),
)
def test_an_answer_of_wrong_types_is_named(store: Store, path: str, wrong: Any) -> None:
    code, said = bring_in(store, {path: wrong})
    assert code == 2, said
    assert "with what MLflow does not write" in said


def test_an_answer_without_end_is_not_read_to_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST_JSON_BYTES", 8 << 20)
    for path in ("experiments/search", "runs/search"):
        code, said = bring_in(store, {path: endless})
        assert (code, "does not end within 8 MiB" in said) == (2, True), said


FILE = {"files": [{"path": "a.bin", "is_dir": False, "file_size": 1000}]}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (respond(b"x" * 400, size=1000), "broke off 3 times"),
        (endless, "gives more than the 1,000 bytes"),
        (respond(b"", 500), "the server does not give it"),
        (HTML, ""),
    ],
    ids=["half", "endless", "fault", "another size"],
)
def test_a_download_that_breaks_off_leaves_its_run_unfinished(store: Store, wrong: Any, why: str) -> None:
    code, said = bring_in(store, {"artifacts/list": FILE, "/get-artifact": wrong})
    assert (code, "a.bin" in said, why in said) == (1, True, True), said
    code, said = bring_in(store, {"artifacts/list": FILE, "/get-artifact": respond(b"x" * 1000)})
    assert code == 0, said


SENT = {
    "info": {"run_id": "there", "artifact_uri": "s3://b/x"},
    "data": {"tags": [{"key": "assay.run_id", "value": "r"}]},
}


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        *(("experiments/get-by-name", wrong) for wrong in ({}, {"experiment": 5}, {"experiment": {}}, [], HTML)),
        *(("runs/search", wrong) for wrong in ({"runs": 5}, {"runs": [{}]}, {"runs": [{"info": {}}]}, HTML)),
        ("runs/search", {"runs": [SENT], "next_page_token": "same"}),
        ("runs/search", {"runs": [SENT], "next_page_token": 5}),
        *(("runs/create", wrong) for wrong in ({}, {"run": []}, {"run": {"info": {"run_id": "x"}}}, HTML)),
    ],
    ids=lambda value: "a page" if value is HTML else str(value),
)
def test_a_mirror_names_what_is_no_answer_of_mlflow(store: Store, path: str, wrong: Any) -> None:
    with begin_run(store, "trips") as run:
        run.log_metric("m", 1.0)
    good = {"experiments/get-by-name": {"experiment": EXPERIMENT}, "runs/search": {}, "runs/create": {"run": SENT}}
    with answering(good | {path: wrong}) as address, pytest.raises(BadInput) as told:
        Mirror(store, address).once()
    assert address in str(told.value)
