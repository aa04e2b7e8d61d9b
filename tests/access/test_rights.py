"""Who may do what, against a server that others reach."""

import base64
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))
import json
import ssl
import urllib.error
import urllib.request

from targets import Target, target

from assay.access import make_token, remove_token
from assay.store import find_home, use

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts"


def ask(
    server: Target, method: str, path: str, body: object = None, token: str = "", **headers: str
) -> tuple[int, str]:
    """Status and body; with a token as Bearer."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    more = {"authorization": f"Bearer {token}"} if token else {}
    lines = {"content-type": "application/json", **more, **headers}
    asked = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", data, lines, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """A token of each scope."""
    with use(find_home(tmp_path / ".assay")) as store:
        return {scope: make_token(store, f"a-{scope}", scope) for scope in ("predict", "read", "write", "admin")}


@pytest.fixture
def open_up(tmp_path: Path, secrets: dict[str, str]) -> Iterator[Target]:
    """`assay up` that other machines reach."""
    with target("up", tmp_path / ".assay", "--host", "0.0.0.0") as running:
        yield running
        assert running.end() == 0


def test_each_scope_may_what_it_says_and_no_more(open_up: Target, secrets: dict[str, str]) -> None:
    def status(scope: str, method: str, path: str, body: object = None) -> int:
        return ask(open_up, method, path, body, secrets[scope])[0]

    create = {"experiment_id": "0", "start_time": 1}
    run = json.loads(ask(open_up, "POST", f"{API}/runs/create", create, secrets["write"])[1])["run"]["info"]["run_id"]
    assert [status(s, "POST", f"{API}/runs/search", {"experiment_ids": ["0"]}) for s in secrets] == [403, 200, 200, 200]
    assert [status(s, "POST", f"{API}/runs/create", create) for s in secrets] == [403, 403, 200, 200]
    for end in ("search", "get-latest-versions", "x"):  # the right stands beside the route, not in the artifact's name
        path = f"{FILES}/mpu/create/0/{run}/artifacts/{end}"
        assert [status(s, "POST", path, {"path": end, "num_parts": 1}) for s in secrets] == [403, 403, 200, 200]
        path = f"{FILES}/mpu/abort/0/{run}/artifacts/{end}"
        assert [status(s, "POST", path, {"path": end, "upload_id": "0" * 64}) for s in secrets] == [403, 403, 404, 404]
    assert status("write", "POST", f"{API}/registered-models/create", {"name": "m"}) == 200
    delete = ("DELETE", f"{API}/registered-models/delete", {"name": "m"})
    assert [status(s, *delete) for s in secrets] == [403, 403, 403, 200]
    file = f"{FILES}/artifacts/0/{run}/artifacts/a"
    assert [status(s, "PUT", file, b"x") for s in secrets] == [403, 403, 200, 200]
    assert [status(s, "GET", file) for s in secrets] == [403, 200, 200, 200]
    assert [status(s, "DELETE", file) for s in secrets] == [403, 403, 403, 200]


def test_a_part_needs_no_token_but_its_secret(open_up: Target, secrets: dict[str, str]) -> None:
    create = {"experiment_id": "0", "start_time": 1}
    run = json.loads(ask(open_up, "POST", f"{API}/runs/create", create, secrets["write"])[1])["run"]["info"]["run_id"]
    path = f"0/{run}/artifacts"
    said = ask(open_up, "POST", f"{FILES}/mpu/create/{path}", {"path": "big", "num_parts": 2}, secrets["write"])
    begun = json.loads(said[1])
    urls = [one["url"].removeprefix(f"http://127.0.0.1:{open_up.port}") for one in begun["credentials"]]
    assert [ask(open_up, "PUT", url, b"part")[0] for url in urls] == [200, 200]
    forged = urls[0].replace(begun["upload_id"], "0" * 64)
    assert ask(open_up, "PUT", forged, b"part")[0] == 404
    for odd in ("²", "-1", "0", "10001", "999999999999", "1.5", "x"):
        from urllib.parse import quote

        assert ask(open_up, "PUT", urls[0].rpartition("/")[0] + "/" + quote(odd), b"x")[0] in (400, 404)
    parts = [{"part_number": number, "etag": None} for number in (1, 2)]
    done = {"path": "big", "upload_id": begun["upload_id"], "parts": parts}
    assert ask(open_up, "POST", f"{FILES}/mpu/complete/{path}", done)[0] == 401
    assert ask(open_up, "POST", f"{FILES}/mpu/complete/{path}", done, secrets["write"])[0] == 200
    assert ask(open_up, "GET", f"{FILES}/artifacts/{path}/big", token=secrets["read"]) == (200, "partpart")


def test_basic_takes_the_token_as_password_and_any_name(open_up: Target, secrets: dict[str, str]) -> None:
    def basic(pair: str) -> int:
        said = base64.b64encode(pair.encode()).decode()
        return ask(open_up, "GET", f"{API}/experiments/get?experiment_id=0", authorization=f"Basic {said}")[0]

    assert [basic(f"{name}:{secrets['read']}") for name in ("", "me", "ü")] == [200, 200, 200]
    assert [basic(pair) for pair in ("me:wrong", f"{secrets['read']}:", secrets["read"], "")] == [401] * 4


def test_a_token_that_was_removed_is_refused_soon_and_a_new_one_taken(
    open_up: Target, secrets: dict[str, str], tmp_path: Path
) -> None:
    path = f"{API}/experiments/get?experiment_id=0"
    assert ask(open_up, "GET", path, token=secrets["read"])[0] == 200
    with use(find_home(tmp_path / ".assay")) as store:
        remove_token(store, "a-read")
        new = make_token(store, "new", "read")
        store.database.dispose()
    until = time.monotonic() + 60
    while [ask(open_up, "GET", path, token=one)[0] for one in (secrets["read"], new)] != [401, 200]:
        assert time.monotonic() < until


def test_a_stale_token_does_no_harm_on_loopback(tmp_path: Path) -> None:
    with target("up", tmp_path / ".assay") as server:
        for authorization in ("Bearer stale", "Basic eDp5", "Basic ?", "Digest x", ""):
            assert ask(server, "GET", f"{API}/experiments/get?experiment_id=0", authorization=authorization)[0] == 200
        assert server.end() == 0


def test_a_prefix_stands_before_every_path(tmp_path: Path) -> None:
    with target("up", tmp_path / ".assay", "--static-prefix", "/my/app") as server:
        path = f"{API}/experiments/get?experiment_id=0"
        assert [ask(server, "GET", f"{prefix}{path}")[0] for prefix in ("/my/app", "", "/my", "/my/app2")] == [
            200,
            501,
            404,
            404,
        ]
        assert [ask(server, "GET", one)[0] for one in ("/health", "/my/app/health", "/my/app/version")] == [200] * 3
        create = {"experiment_id": "0", "start_time": 1}
        said = ask(server, "POST", f"/my/app{API}/runs/create", create)[1]
        run = json.loads(said)["run"]["info"]["run_id"]
        path = f"/my/app{FILES}/mpu/create/0/{run}/artifacts"
        begun = json.loads(ask(server, "POST", path, {"path": "a", "num_parts": 1})[1])
        url = begun["credentials"][0]["url"]
        assert url.startswith(f"http://127.0.0.1:{server.port}/my/app/api/")
        assert ask(server, "PUT", url.removeprefix(f"http://127.0.0.1:{server.port}"), b"x")[0] == 200
        assert server.end() == 0


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_tls_is_served_with_a_certificate(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    trusting = ssl.create_default_context(cafile=str(cert))
    with target("up", tmp_path / ".assay", "--certfile", str(cert), "--keyfile", str(key)) as server:
        address = f"https://localhost:{server.port}"
        with urllib.request.urlopen(f"{address}/health", timeout=60, context=trusting) as answer:
            assert answer.status == 200
        body = b'{"experiment_id": "0", "start_time": 1}'
        lines = {"content-type": "application/json"}
        asked = urllib.request.Request(f"{address}{API}/runs/create", body, lines)
        with urllib.request.urlopen(asked, timeout=60, context=trusting) as answer:
            run = json.load(answer)["run"]["info"]["run_id"]
        path = f"{address}{FILES}/mpu/create/0/{run}/artifacts"
        asked = urllib.request.Request(path, b'{"path": "a", "num_parts": 1}', lines)
        with urllib.request.urlopen(asked, timeout=60, context=trusting) as answer:
            assert json.load(answer)["credentials"][0]["url"].startswith(f"{address}/api/")
        assert server.end() == 0


@pytest.mark.parametrize(
    "options", [["--certfile", "CERT"], ["--certfile", "CERT", "--keyfile", "CERT"], ["--static-prefix", "x"]]
)
def test_wrong_options_are_told_and_no_server_starts(
    options: list[str], tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    given = [str(certificate[0]) if one == "CERT" else one for one in options]
    command = [sys.executable, "-m", "assay", "up", "--port", "0", "--home", str(tmp_path / ".assay"), *given]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 2, said
    assert "Traceback" not in said.stderr


def test_rows_are_sent_to_a_server_that_needs_a_token_and_has_a_certificate(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> None:
    from running import copy_project, environment

    home, (cert, key) = copy_project(tmp_path_factory.getbasetemp(), tmp_path / "project"), certificate
    at = pa.array([datetime(2013, 1, 20, 12, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    row = {"trip": ["a"], "start": at, "zone": ["north"], "miles": [3.5], "seats": [4], "year": pa.nulls(1, pa.int64())}
    pq.write_table(pa.table(row | {"night": [True]}), home.parent / "rows.parquet")
    with use(find_home(home)) as store:
        secrets = {scope: make_token(store, f"a-{scope}", scope) for scope in ("predict", "read")}
    more = ["--host", "0.0.0.0", "--certfile", str(cert), "--keyfile", str(key)]
    with target("serve", home, *more) as server:

        def send(token: str, *options: str, scheme: str = "https") -> tuple[int, str]:
            url = f"{scheme}://localhost:{server.port}/"
            command = ["send", "long-trip", "--day", "2013-01-20", "--table", "rows.parquet", "--url", url, *options]
            given = environment() | {"ASSAY_TOKEN": token}
            told = subprocess.run(
                [sys.executable, "-m", "assay", *command, "--home", str(home)],
                cwd=home.parent, env=given, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert "Traceback" not in told.stderr
            return told.returncode, told.stdout + told.stderr

        trusting = ["--cafile", str(cert)]
        code, said = send(secrets["predict"], *trusting)
        assert (code, "1 of 1 rows answered" in said) == (0, True), said
        for token in ("", secrets["read"], "wrong"):
            code, said = send(token, *trusting)
            assert (code, "Set ASSAY_TOKEN" in said) == (2, True), said
        for token in ("two words", "a\nb"):
            assert send(token, *trusting)[0] == 2
        code, said = send(secrets["predict"])
        assert (code, "--cafile" in said) == (3, True), said
        assert send(secrets["predict"], "--cafile", str(key))[0] == 2
        assert send(secrets["predict"], scheme="ftp")[0] == 2
        assert server.end() == 0


def test_serving_asks_for_a_token_off_loopback(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    from running import copy_project, run_assay

    home = copy_project(tmp_path_factory.getbasetemp(), tmp_path)
    refused = run_assay(home, "serve", "long-trip", "--host", "0.0.0.0", "--port", "0")
    assert (refused.returncode, "assay tokens add" in refused.stderr) == (2, True)
    with use(find_home(home)) as store:
        secrets = {scope: make_token(store, scope, scope) for scope in ("predict", "read", "write", "admin")}
        store.database.dispose()
    with target("serve", home, "--host", "0.0.0.0") as server:
        assert ask(server, "POST", "/predict", server.body)[0] == 401
        assert ask(server, "POST", "/predict", server.body, "wrong")[0] == 401
        assert [ask(server, "POST", "/predict", server.body, one)[0] for one in secrets.values()] == [
            200,
            403,
            200,
            200,
        ]
        assert [ask(server, "GET", path)[0] for path in ("/health", "/ready", "/nothing")] == [200, 200, 401]
        assert server.end() == 0


def test_serving_takes_json_only(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    from running import copy_project

    home = copy_project(tmp_path_factory.getbasetemp(), tmp_path)
    with target("serve", home) as server:
        for kind, status in (
            ("application/json", 200),
            ("Application/JSON; charset=utf-8", 200),
            ("text/plain", 415),
            ("", 415),
            ("application/x-www-form-urlencoded", 415),
        ):
            said = ask(server, "POST", "/predict", server.body, **{"content-type": kind})
            assert said[0] == status, kind
            assert json.loads(said[1])
        assert ask(server, "POST", "/predict", server.body, **{"content-encoding": "gzip"})[0] == 415
        assert server.end() == 0


def test_the_champion_of_a_published_model_is_moved_by_admins_only(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from running import copy_project

    home = copy_project(tmp_path_factory.getbasetemp(), tmp_path)
    with use(find_home(home)) as store:
        writes, rules = make_token(store, "w", "write"), make_token(store, "a", "admin")
        store.database.dispose()
    path = f"{API}/registered-models/alias"
    with target("up", home, "--host", "0.0.0.0") as server:
        for name, champion in (("long-trip", 403), ("mine", 200)):
            if name == "mine":
                ask(server, "POST", f"{API}/registered-models/create", {"name": name}, writes)
                made = {"name": name, "source": "s3://bucket/model"}
                assert ask(server, "POST", f"{API}/model-versions/create", made, writes)[0] == 200
            moved = {"name": name, "alias": "champion", "version": "1"}
            assert ask(server, "POST", path, moved, writes)[0] == champion
            assert ask(server, "POST", path, moved | {"alias": "beta"}, writes)[0] == 200
            assert ask(server, "DELETE", path, {"name": name, "alias": "champion"}, writes)[0] == champion
            assert ask(server, "POST", path, moved, rules)[0] == 200
        assert server.end() == 0
