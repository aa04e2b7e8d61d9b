"""Each class of faults that was published of MLflow's server, tried on ours."""

import http.client
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from assay.access import make_token
from assay.store import find_home, use

from .asking import API, FILES, ask, new_run

OUT = [
    "../secret",
    "a/../../secret",
    "%2e%2e/secret",
    "..%2fsecret",
    "..%252fsecret",
    "%252e%252e%252fsecret",
    "a/..%2f..%2f..%2fsecret",
    "/etc/passwd",
    "//etc/passwd",
    "..%5csecret",
    "..\\secret",
    "C:/secret",
    "a%00b",
    "a/./b",
    "./a",
    "a//b",
]


@pytest.mark.parametrize("path", OUT)
def test_no_path_leaves_the_artifacts_of_a_run(address: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    run = new_run(address)
    before = sorted(p for p in tmp_path.rglob("*") if p.is_file() and "artifacts" not in p.parts)
    there = quote(path, safe="/%")
    for method, body in (("PUT", b"evil"), ("GET", None), ("DELETE", None)):
        said = ask(address, method, f"{FILES}/artifacts/0/{run}/artifacts/{there}", body)
        assert said.status in (400, 404), (method, said)
        assert b"secret" not in said.body.replace(b"/secret", b"").replace(b"\\secret", b"") or said.status >= 400
    for at in (f"{API}/artifacts/list?run_id={run}&path={there}", f"{FILES}/artifacts?path=0/{run}/artifacts/{there}"):
        assert ask(address, "GET", at).status in (200, 400, 404)
        assert ask(address, "GET", at).json.get("files", []) == []
    created = ask(address, "POST", f"{FILES}/mpu/create/0/{run}/artifacts/{there}", {"path": "x", "num_parts": 1})
    assert created.status in (400, 404)
    after = sorted(p for p in tmp_path.rglob("*") if p.is_file() and "artifacts" not in p.parts)
    assert [p for p in after if p not in before and p.suffix not in (".seg", "") and "logs" not in p.parts] == []


def test_the_run_of_a_path_must_be_one_and_be_its_own(address: str) -> None:
    one, other = new_run(address), new_run(address)
    put = ask(address, "PUT", f"{FILES}/artifacts/0/{one}/artifacts/a.txt", b"x")
    assert put.status == 200
    for path in (
        f"1/{one}/artifacts/a.txt",
        "0/none/artifacts/a.txt",
        f"0/{one}/a.txt",
        f"{one}/artifacts/a.txt",
        "a.txt",
    ):
        assert ask(address, "GET", f"{FILES}/artifacts/{path}").status == 404, path
    assert ask(address, "GET", f"{FILES}/artifacts/0/{other}/artifacts/a.txt").status == 404
    assert ask(address, "GET", f"{FILES}/artifacts/0/{one}/artifacts/a.txt").body == b"x"


SOURCES = [
    "file:///etc",
    "file://localhost/etc",
    "/etc/passwd",
    "etc",
    "FILE:///etc",
    "http://169.254.169.254/latest",
    "https://example.org/x",
    "ftp://example.org/x",
    "mlflow-artifacts:/../../etc",
    "mlflow-artifacts:/0/%2e%2e/%2e%2e/etc",
    "mlflow-artifacts:/0/..%252f..%252fetc",
    "mlflow-artifacts://evil.example/0/x",
    "runs:/../../etc",
    "models:/../x",
    "s3://bucket/../../x",
    "data:text/plain,x",
    "jar:file:///etc!/x",
    "s3://bucket/x?versionId=1#a",
]


@pytest.mark.parametrize("source", SOURCES)
def test_no_file_and_no_page_becomes_the_source_of_a_model(address: str, source: str) -> None:
    ask(address, "POST", f"{API}/registered-models/create", {"name": "m"})
    run = new_run(address)
    for more in ({}, {"run_id": run}):
        said = ask(address, "POST", f"{API}/model-versions/create", {"name": "m", "source": source, **more})
        assert (said.status, said.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), said
    for where in (source,) if not source.startswith("s3://bucket/x") else ():
        said = ask(address, "POST", f"{API}/experiments/create", {"name": "e", "artifact_location": where})
        assert said.status == 400, said


def test_the_server_fetches_no_address_that_a_client_names(address: str) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(1.5)

        def wait() -> None:
            try:
                connection, _ = trap.accept()
                asked.append(connection.recv(100))
            except TimeoutError:
                pass

        waiting = threading.Thread(target=wait)
        waiting.start()
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/x"
        ask(address, "POST", f"{API}/registered-models/create", {"name": "m"})
        run = new_run(address)
        body = {"name": "m", "source": url, "run_id": run, "run_link": url, "tags": [{"key": "u", "value": url}]}
        ask(address, "POST", f"{API}/model-versions/create", body)
        ask(address, "POST", f"{API}/experiments/create", {"name": "x", "artifact_location": url})
        data = {"dataset": {"name": "d", "digest": "1", "source_type": "http", "source": url}}
        ask(address, "POST", f"{API}/runs/log-inputs", {"run_id": run, "datasets": [data]})
        ask(address, "POST", "/api/2.0/mlflow/webhooks", {"name": "w", "url": url, "events": []})
        waiting.join()
    assert asked == []


def test_no_name_and_no_artifact_becomes_a_page_of_ours(address: str) -> None:
    run, script = new_run(address), "<script>alert(1)</script>"
    said = ask(address, "POST", f"{API}/experiments/create", {"name": script})
    assert said.headers["content-type"] == "application/json"
    assert said.headers["x-content-type-options"] == "nosniff"
    missing = ask(address, "GET", "/<script>alert(1)</script>")
    assert (missing.status, missing.headers["content-type"]) == (404, "application/json")
    name = quote(f'{script[:8]}".html')
    assert ask(address, "PUT", f"{FILES}/artifacts/0/{run}/artifacts/{name}", script.encode()).status == 200
    page = ask(address, "GET", f"{FILES}/artifacts/0/{run}/artifacts/{name}")
    assert page.body == script.encode()
    assert page.headers["content-disposition"].startswith("attachment; ")
    assert "sandbox" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "\n" not in page.headers["content-disposition"]
    assert '"' not in page.headers["content-disposition"].partition("filename*=")[2]


class _Evil:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path(self.marker),)  # pyright: ignore[reportReturnType]


def test_nothing_that_is_uploaded_is_run(address: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    run = new_run(address)
    evil = pickle.dumps(_Evil(str(marker)))
    for name in ("model/model.pkl", "model/MLmodel", "model/python_model.pkl", "requirements.txt"):
        assert ask(address, "PUT", f"{FILES}/artifacts/0/{run}/artifacts/{name}", evil).status == 200
    ask(address, "POST", f"{API}/registered-models/create", {"name": "m"})
    source = f"mlflow-artifacts:/0/{run}/artifacts/model"
    assert (
        ask(address, "POST", f"{API}/model-versions/create", {"name": "m", "source": source, "run_id": run}).status
        == 200
    )
    for path in (
        "model-versions/get-download-uri?name=m&version=1",
        f"artifacts/list?run_id={run}",
        f"runs/get?run_id={run}",
    ):
        assert ask(address, "GET", f"{API}/{path}").status == 200
    model = '{"artifact_path": "model", "flavors": {"python_function": {"loader_module": "os"}}, "utc_time_created": "x", "run_id": "x"}'
    assert ask(address, "POST", f"{API}/runs/log-model", {"run_id": run, "model_json": model}).status == 200
    assert not marker.exists()


def test_a_server_that_others_reach_needs_a_token(up: Callable[..., str], tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "assay",
        "up",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        "--home",
        str(tmp_path / ".assay"),
    ]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, "assay tokens add" in refused.stderr) == (2, True)
    with use(find_home(tmp_path / ".assay")) as store:
        writes, reads = make_token(store, "writer", "write"), make_token(store, "reader", "read")
    port = up("--host", "0.0.0.0").rpartition(":")[2]
    address, search = f"http://127.0.0.1:{port}", f"{API}/experiments/search?max_results=10"
    create = f"{API}/experiments/create"
    assert ask(address, "GET", "/health").status == 200
    for odd in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"bearer  {reads}x",
        f"Basic {reads}",
        f"Bearer {writes[:-1]}",
        "Bearer \xff",
    ):
        said = ask(address, "GET", search, authorization=odd) if odd else ask(address, "GET", search)
        assert (said.status, said.json["error_code"]) == (401, "UNAUTHENTICATED"), odd
    for path in (
        f"/health/..{search}",
        f"//{search}",
        f"{API}/../mlflow/experiments/search",
        "/API/2.0/mlflow/experiments/search",
        f"/health;{search}",
    ):
        assert ask(address, "GET", path).status == 401, path
    for forged in (
        {"x_forwarded_for": "127.0.0.1"},
        {"x_real_ip": "127.0.0.1"},
        {"x_original_url": "/health"},
        {"x_rewrite_url": "/health"},
    ):
        assert ask(address, "GET", search, **forged).status == 401
    assert ask(address, "GET", search, authorization=f"Bearer {reads}").status == 200
    assert ask(address, "POST", create, {"name": "a"}, authorization=f"Bearer {reads}").status == 403
    assert (
        ask(address, "POST", f"{API}/runs/search", {"experiment_ids": ["0"]}, authorization=f"Bearer {reads}").status
        == 200
    )
    assert (
        ask(address, "PUT", f"{FILES}/artifacts/0/x/artifacts/a", b"x", authorization=f"Bearer {reads}").status == 403
    )
    assert ask(address, "POST", create, {"name": "a"}, authorization=f"Bearer {writes}").status == 200


def test_the_secret_of_a_token_is_kept_nowhere(tmp_path: Path) -> None:
    with use(find_home(tmp_path / ".assay")) as store:
        secret = make_token(store, "one", "admin")
        store.database.dispose()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_pages_of_others_ask_nothing(address: str) -> None:
    search, create = f"{API}/experiments/search?max_results=10", f"{API}/experiments/create"
    own = address.removeprefix("http://")
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example"},
        {"origin": f"http://{own}.evil.example"},
        {"host": "evil.example"},
        {"host": "evil.example:8400"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ):
        assert ask(address, "GET", search, **headers).status == 403, headers
        assert ask(address, "POST", create, {"name": "csrf"}, content_type="text/plain", **headers).status == 403
    assert ask(address, "GET", search, origin=address, sec_fetch_site="same-origin").status == 200
    assert ask(address, "GET", search, host="localhost:1").status == 200
    names = [e["name"] for e in ask(address, "GET", search).json["experiments"]]
    assert "csrf" not in names
    assert "access-control-allow-origin" not in ask(address, "OPTIONS", search, origin="https://evil.example").headers


def test_bodies_are_bounded_and_odd_ones_refused(address: str) -> None:
    create = f"{API}/experiments/create"
    for body, status in (
        (b"{" + b'"a":[' * 100_000, 400),
        (b"[" * 1_000_000, 400),
        (b"not json", 400),
        (b"\xff\xfe", 400),
        (b"[1]", 400),
        (b'"text"', 400),
        (b"", 400),
        (b'{"name": 1}', 400),
        (b'{"name": {"a": 1}}', 400),
        (b'{"name": "\\ud800"}', 400),
        (b'{"name": "a\\u0000b"}', 400),
    ):
        said = ask(address, "POST", create, body)
        assert said.status == status, (body[:20], said.status, said.body[:200])
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", create)
    connection.putheader("content-length", str(100 << 20))
    connection.endheaders()
    try:
        for _ in range(100):
            connection.send(b" " * (1 << 20))
    except OSError:
        pass  # it stopped listening, which is as good
    else:
        assert connection.getresponse().status == 413
    connection.close()
    assert ask(address, "GET", "/health").status == 200


def test_what_is_not_served_says_so(address: str) -> None:
    for method, path in (
        ("POST", "/api/2.0/mlflow/traces"),
        ("POST", "/api/3.0/mlflow/traces/search"),
        ("GET", "/api/2.0/mlflow/gateway-proxy"),
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("POST", "/api/3.0/mlflow/scorers/register"),
    ):
        said = ask(address, method, path, {} if method == "POST" else None)
        assert (said.status, said.json["error_code"]) == (501, "NOT_IMPLEMENTED"), path
        assert "Assay" in said.json["message"]
