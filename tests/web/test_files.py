"""Artifacts through the server: whole or not at all, whatever happens on the way."""

import http.client
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.store import find_home, use
from assay.track import get_run

from .asking import API, FILES, ask, new_run

UPLOAD = """
import os, sys, tempfile
from pathlib import Path
import mlflow
client = mlflow.MlflowClient()
run = client.create_run("0").info.run_id
folder = Path(tempfile.mkdtemp())
(folder / "big ü.bin").write_bytes(bytes(range(256)) * (23 << 12))
client.log_artifact(run, str(folder / "big ü.bin"), "deep/er")
got = Path(client.download_artifacts(run, "deep/er/big ü.bin"))
assert got.read_bytes() == (folder / "big ü.bin").read_bytes()
print([[f.path, f.file_size] for f in client.list_artifacts(run, "deep/er")])
"""


@pytest.mark.parametrize("client", ["mlflow3", "mlflow2"])
def test_a_client_uploads_in_parts(
    client: str, address: str, mlflow_python: Callable[[str], str], tmp_path: Path
) -> None:
    more = {"MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true", "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "1000"}
    more |= {"MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 << 20), "MLFLOW_TRACKING_URI": address, "HOME": str(tmp_path)}
    done = subprocess.run(
        [mlflow_python(client), "-W", "ignore", "-c", UPLOAD],
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"[['deep/er/big ü.bin', {256 * (23 << 12)}]]" in done.stdout
    assert list((tmp_path / ".assay" / "uploads").iterdir()) == []  # and it did come in parts


def test_parts_must_be_those_that_were_sent(address: str) -> None:
    run = new_run(address)
    begun = ask(address, "POST", f"{FILES}/mpu/create/0/{run}/artifacts", {"path": "/x/a.bin", "num_parts": 2}).json
    paths = [one["url"].removeprefix(address) for one in begun["credentials"]]
    tags = [ask(address, "PUT", path, body).headers["etag"] for path, body in zip(paths, (b"one", b"two"), strict=True)]
    upload, complete = begun["upload_id"], f"{FILES}/mpu/complete/0/{run}/artifacts"
    parts = [{"part_number": n, "etag": tag} for n, tag in enumerate(tags, 1)]
    for wrong in (
        {"path": "a.bin", "upload_id": upload, "parts": [*parts[:1], parts[1] | {"etag": "0"}]},
        {"path": "a.bin", "upload_id": upload, "parts": [parts[1], parts[1]]},
        {"path": "a.bin", "upload_id": upload, "parts": [*parts, {"part_number": 3, "etag": "x"}]},
        {"path": "b.bin", "upload_id": upload, "parts": parts},
        {"path": "a.bin", "upload_id": upload, "parts": []},
        {"path": "a.bin", "upload_id": "../" * 9, "parts": parts},
        {"path": "a.bin", "upload_id": "0" * 64, "parts": parts},
    ):
        assert ask(address, "POST", complete, wrong).status in (400, 404), wrong
    assert ask(address, "GET", f"{API}/artifacts/list?run_id={run}").json["files"] == []
    assert ask(address, "POST", complete, {"path": "a.bin", "upload_id": upload, "parts": parts}).status == 200
    assert ask(address, "GET", f"{FILES}/artifacts/0/{run}/artifacts/a.bin").body == b"onetwo"
    assert ask(address, "PUT", paths[0], b"late").status == 404


def test_half_an_upload_leaves_nothing(address: str, tmp_path: Path) -> None:
    run = new_run(address)
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    connection.putrequest("PUT", f"{FILES}/artifacts/0/{run}/artifacts/half.bin")
    connection.putheader("content-length", "10000000")
    connection.endheaders()
    connection.send(b"x" * 3_000_000)
    connection.close()
    time.sleep(1)
    assert ask(address, "GET", f"{API}/artifacts/list?run_id={run}").json["files"] == []
    assert ask(address, "GET", f"{FILES}/artifacts/0/{run}/artifacts/half.bin").status == 404
    assert [p for p in (tmp_path / ".assay" / "artifacts").rglob("*") if p.is_file()] == []


def test_the_same_content_is_kept_once_and_a_damaged_one_never_given(address: str, tmp_path: Path) -> None:
    run = new_run(address)
    for name in ("a", "b", "c/d"):
        assert ask(address, "PUT", f"{FILES}/artifacts/0/{run}/artifacts/{name}", b"same" * 1000).status == 200
    kept = [p for p in (tmp_path / ".assay" / "artifacts").rglob("*") if p.is_file()]
    assert len(kept) == 1
    kept[0].write_bytes(b"evil" * 1000)
    try:
        said = ask(address, "GET", f"{FILES}/artifacts/0/{run}/artifacts/a")
        assert said.status >= 500
    except http.client.IncompleteRead:
        pass  # what was promised did not come
    assert ask(address, "PUT", f"{FILES}/artifacts/0/{run}/artifacts/e", b"same" * 1000).status == 200  # and mends it
    assert ask(address, "GET", f"{FILES}/artifacts/0/{run}/artifacts/a").body == b"same" * 1000


def test_many_write_at_once_and_nothing_is_lost(address: str, tmp_path: Path) -> None:
    run = new_run(address)
    refused: list[object] = []

    def write(number: int) -> None:
        for step in range(25):
            metrics = [{"key": f"m{number}", "value": step + k, "timestamp": 1000 + k, "step": step} for k in range(40)]
            body = {"run_id": run, "metrics": metrics, "params": [{"key": f"p{number}-{step}", "value": "x"}]}
            said = ask(address, "POST", f"{API}/runs/log-batch", body)
            if said.status != 200:
                refused.append(said)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []
    for number in range(8):
        history = ask(address, "GET", f"{API}/metrics/get-history?run_id={run}&metric_key=m{number}").json["metrics"]
        assert len(history) == 25 * 40
    with use(find_home(tmp_path / ".assay")) as store:
        found = get_run(store, run)
        assert (len(found.params), found.metrics["m3"]) == (200, 63.0)
        store.database.dispose()
