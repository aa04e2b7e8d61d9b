"""Files of runs, versions and logged models, asked for by query as MLflow's pages and R client ask for them."""

import http.client
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from assay.access import make_token
from assay.store import find_home, use

from .asking import API, FILES, ask, new_run

CONTENT = bytes(range(256)) * 5_000


def put(address: str, run: str, name: str, content: bytes = CONTENT) -> None:
    assert ask(address, "PUT", f"{FILES}/artifacts/0/{run}/artifacts/{quote(name)}", content).status == 200


def new_version(address: str, source: str, **more: str) -> str:
    ask(address, "POST", f"{API}/registered-models/create", {"name": "m"})
    said = ask(address, "POST", f"{API}/model-versions/create", {"name": "m", "source": source, **more})
    assert said.status == 200, said
    return said.json["model_version"]["version"]


def test_a_file_is_found_by_its_run_its_version_and_its_logged_model(address: str) -> None:
    run = new_run(address)
    put(address, run, "model/MLmodel")
    made = ask(address, "POST", f"{API}/logged-models", {"experiment_id": "0", "name": "l"}).json["model"]["info"]
    model = made["model_id"]
    root = made["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert ask(address, "PUT", f"{FILES}/artifacts/{root}/MLmodel", CONTENT).status == 200
    of_run = new_version(address, f"runs:/{run}/model", run_id=run)
    of_root = new_version(address, f"mlflow-artifacts:/0/{run}/artifacts/model", run_id=run)
    of_model = new_version(address, f"models:/{model}", model_id=model)
    paths = [
        f"/get-artifact?run_id={run}&path=model%2FMLmodel",
        f"/get-artifact?run_uuid={run}&path=model/MLmodel",
        *(f"/model-versions/get-artifact?name=m&version={one}&path=MLmodel" for one in (of_run, of_root, of_model)),
        f"//model-versions/get-artifact?name=m&version={of_run}&path=MLmodel",
        f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files?artifact_file_path=MLmodel",
        f"{API}/logged-models/{model}/artifacts/files?artifactFilePath=MLmodel",
        f"{FILES}/artifacts/0/{run}/artifacts/model/MLmodel",
    ]
    for path in paths:
        said = ask(address, "GET", path)
        assert (said.status, said.body) == (200, CONTENT), (path, said.status, said.body[:300])
        assert said.headers["content-type"] == "text/plain"
        assert said.headers["content-disposition"] == "attachment; filename=MLmodel"
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.headers["content-security-policy"] == "sandbox; default-src 'none'"
        head = ask(address, "HEAD", path)
        assert (head.status, head.headers["content-length"], head.body) == (200, str(len(CONTENT)), b""), path


@pytest.mark.parametrize(
    ("name", "kind", "kept_as"),
    [
        ("a.txt", "text/plain", "filename=a.txt"),
        ("b.pkl", "application/octet-stream", "filename=b.pkl"),
        ("c.png", "image/png", "filename=c.png"),
        ("d.pdf", "application/pdf", "filename=d.pdf"),
        ("e.html", "text/html", "filename=e.html"),
        ("mlproject", "text/plain", "filename=mlproject"),
        ("für 1;x=.json", "text/plain", "filename=fur_1_x_.json; filename*=UTF-8''f%C3%BCr%201%3Bx%3D.json"),
        ("模型", "application/octet-stream", "filename=download; filename*=UTF-8''%E6%A8%A1%E5%9E%8B"),
    ],
)
def test_a_download_says_its_kind_and_its_name(address: str, name: str, kind: str, kept_as: str) -> None:
    run = new_run(address)
    put(address, run, f"deep/{name}", b"x")
    said = ask(address, "GET", f"/get-artifact?run_id={run}&path=deep/{quote(name)}")
    assert (said.status, said.body) == (200, b"x")
    assert said.headers["content-type"] == kind
    assert said.headers["content-disposition"] == f"attachment; {kept_as}"


def test_what_is_no_file_of_ours_is_refused(address: str) -> None:
    run = new_run(address)
    put(address, run, "folder/file")
    far = new_version(address, "s3://bucket/model")
    model = ask(address, "POST", f"{API}/logged-models", {"experiment_id": "0"}).json["model"]["info"]["model_id"]
    files = f"{API}/logged-models/{model}/artifacts/files"
    for path, status in {
        "/get-artifact": 400,
        f"/get-artifact?run_id={run}": 400,
        "/get-artifact?path=a": 400,
        f"/get-artifact?run_id={run}&path=folder": 400,
        f"/get-artifact?run_id={run}&path=fol": 404,
        "/get-artifact?run_id=absent&path=a": 404,
        f"/get-artifact?run_id={run}&path=a%00b": 400,
        f"/model-versions/get-artifact?name=m&version={far}": 400,
        f"/model-versions/get-artifact?name=m&version={far}&path=a": 400,
        "/model-versions/get-artifact?name=m&version=99&path=a": 404,
        "/model-versions/get-artifact?name=m&version=x&path=a": 400,
        "/model-versions/get-artifact?name=absent&version=1&path=a": 404,
        files: 400,
        f"{files}?artifact_file_path=": 400,
        f"{files}?artifact_file_path=absent": 404,
        f"{API}/logged-models/absent/artifacts/files?artifact_file_path=a": 404,
    }.items():
        said = ask(address, "GET", path)
        assert (said.status, said.headers["content-type"]) == (status, "application/json"), (path, said)
        assert said.json["message"], path
    assert (
        "s3://bucket/model"
        in ask(address, "GET", f"/model-versions/get-artifact?name=m&version={far}&path=a").json["message"]
    )
    for odd in ("../x", "..%2Fx", "%2Fetc%2Fpasswd", "a//b", "a/../../b", "C:%5Cx", "%252e%252e/x", "."):
        for path in (
            f"/get-artifact?run_id={run}&path={odd}",
            f"/model-versions/get-artifact?name=m&version={far}&path={odd}",
            f"{files}?artifact_file_path={odd}",
        ):
            assert ask(address, "GET", path).status == 400, path
    assert ask(address, "POST", f"/get-artifact?run_id={run}&path=folder/file").status == 404


def test_a_file_is_given_only_to_who_may_read(up: Callable[..., str], tmp_path: Path) -> None:
    with use(find_home(tmp_path / ".assay")) as store:
        write = f"Bearer {make_token(store, 'writer', 'write')}"
        read = f"Bearer {make_token(store, 'reader', 'read')}"
    address = f"http://127.0.0.1:{up('--host', '0.0.0.0').rpartition(':')[2]}"
    said = ask(address, "POST", f"{API}/runs/create", {"experiment_id": "0"}, authorization=write)
    run = said.json["run"]["info"]["run_id"]
    assert ask(address, "PUT", f"{FILES}/artifacts/0/{run}/artifacts/a", b"x", authorization=write).status == 200
    path = f"/get-artifact?run_id={run}&path=a"
    assert ask(address, "GET", path).status == 401
    assert ask(address, "HEAD", path).status == 401
    assert ask(address, "GET", path, authorization=read).body == b"x"


def test_below_a_prefix_files_are_found_too(up: Callable[..., str]) -> None:
    address = up("--static-prefix", "/mlflow").removesuffix("/mlflow")
    said = ask(address, "POST", f"/mlflow{API}/runs/create", {"experiment_id": "0"})
    run = said.json["run"]["info"]["run_id"]
    assert ask(address, "PUT", f"/mlflow{FILES}/artifacts/0/{run}/artifacts/a", b"x").status == 200
    assert ask(address, "GET", f"/mlflow/get-artifact?run_id={run}&path=a").body == b"x"
    assert ask(address, "GET", f"/get-artifact?run_id={run}&path=a").status == 404


def test_many_slow_downloads_leave_room_for_others(address: str) -> None:
    run = new_run(address)
    put(address, run, "big", bytes(24 << 20))
    path = f"/get-artifact?run_id={run}&path=big"
    with ExitStack() as open_ones:
        for _ in range(120):  # more than would fit in at 1 MiB a piece
            connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
            open_ones.callback(connection.close)
            connection.request("GET", path)
            answer = connection.getresponse()
            open_ones.callback(answer.close)
            assert answer.status == 200
        assert len(ask(address, "GET", path).body) == 24 << 20
