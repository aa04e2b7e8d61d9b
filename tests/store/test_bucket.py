"""What only an object store can do wrong; `test_artifacts.py` is the suite over both places."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.errors import BadInput, NotFound, Unavailable
from assay.store import Artifacts, Store, find_home
from assay.store.bucket import Bucket
from assay.track import begin_run
from assay.track.pending import pending


@pytest.fixture
def hole() -> Iterator[str]:
    """The address of a server that takes every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://b",
        "s3:///prefix",
        "s3://key:secret@bucket",
        "s3://bucket:9000/x",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://bucket/a?region=x",
        "s3://bucket/a b",
        "S3://bucket",
        "s3a://bucket",
        "gs://bucket",
        "https://example.org/x",
        "file://elsewhere/x",
        "file:///x?y",
        "file:///x%00y",
    ],
)
def test_an_address_that_is_none_is_bad_input(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_ARTIFACTS", url)
    with pytest.raises(BadInput, match=r"is not the address of a bucket|is not a place for artifacts"):
        _ = Store(find_home(tmp_path)).artifacts


@pytest.mark.parametrize("endpoint", ["::::", "127.0.0.1:9000", "ftp://x", "http://", "http://a b", "http://x:99999"])
def test_an_endpoint_that_is_none_is_bad_input(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(BadInput, match=r"AWS_ENDPOINT_URL=.* is not an address"):
        Bucket("s3://assay", tmp_path)


def test_a_setting_that_is_none_is_bad_input(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "perhaps")
    with pytest.raises(BadInput, match="can't open s3://assay"):
        Bucket(bucket, tmp_path)


def test_a_prefix_is_a_place_of_its_own(bucket: str, tmp_path: Path) -> None:
    deep, wide = Artifacts(Bucket(f"{bucket}/deep/", tmp_path)), Artifacts(Bucket(bucket, tmp_path))
    digest = deep.put(b"x")
    assert [name for name, _, _ in deep.digests()] == [digest]
    assert list(wide.digests()) == []
    with pytest.raises(NotFound):
        wide.get(digest)


def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['obstore'] = None; from assay.store import current; current().artifacts"
    environment = {**os.environ, "ASSAY_ARTIFACTS": "s3://assay", "ASSAY_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert 'BadInput: the library for S3 is not installed\nRun: pip install "assay[s3]"' in done.stderr


def everything(artifacts: Artifacts, tmp_path: Path) -> None:
    for ask in (
        lambda: artifacts.put(b"x"),
        lambda: artifacts.put_stream([b"x"]),
        lambda: artifacts.size("a" * 64),
        lambda: artifacts.read("a" * 64),
        lambda: artifacts.get("a" * 64),
        lambda: artifacts.delete("a" * 64),
        lambda: list(artifacts.digests()),
    ):
        with pytest.raises(Unavailable) as raised:
            ask()
        assert "\n\n" not in str(raised.value)
    assert [path.name for path in tmp_path.rglob(".part-*")] == []


def test_wrong_keys_are_told(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    artifacts = Artifacts(Bucket(bucket, tmp_path))
    with pytest.raises(Unavailable, match="refuses the keys"):
        artifacts.put(b"x")
    everything(artifacts, tmp_path)


def test_a_server_that_is_not_there_is_told_within_seconds(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    began = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        Artifacts(Bucket(bucket, tmp_path)).put(b"x")
    name, key = bucket.removeprefix("s3://"), "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert str(raised.value) == (
        f"{bucket} does not answer\n"
        f"  Generic S3 error: Error performing HEAD http://127.0.0.1:1/{name}/2d/{key} - HTTP error: error sending request\n"
        "Check AWS_ENDPOINT_URL, AWS_REGION and that the server runs."
    )
    assert time.monotonic() - began < 15


@pytest.mark.slow
def test_a_server_that_says_nothing_is_told_within_half_a_minute(
    hole: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", hole)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        Artifacts(Bucket(bucket, tmp_path)).put(b"x")
    assert time.monotonic() - began < 30
    assert [path.name for path in tmp_path.rglob(".part-*")] == []


def test_keys_of_nobody_are_asked_for(hole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")  # where a machine of Amazon's learns its role
    with pytest.raises(Unavailable, match="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        Artifacts(Bucket("s3://assay", tmp_path)).put(b"x")


def test_a_bucket_that_is_not_there_is_told(bucket: str, tmp_path: Path) -> None:
    artifacts = Artifacts(Bucket("s3://no-such-bucket", tmp_path))
    with pytest.raises(NotFound, match="in s3://no-such-bucket"):
        artifacts.get("a" * 64)
    with pytest.raises(Unavailable, match="404 Not Found: NoSuchBucket"):
        list(artifacts.digests())


FORK = """
import os, sys
from assay.errors import Unavailable
from assay.store import current
store = current()
if sys.argv[1] == "used":
    store.artifacts.put(b"of the parent")
child = os.fork()
if not child:
    try:
        print(store.artifacts.put(b"of the child"))
    except Unavailable as error:
        print(error)
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
"""


OF_THE_CHILD = hashlib.sha256(b"of the child").hexdigest()


@pytest.mark.parametrize(("parent", "said"), [("used", "a forked process can't reach s3://"), ("new", OF_THE_CHILD)])
def test_a_forked_process_never_waits_for_threads_that_it_does_not_have(
    bucket: str, tmp_path: Path, parent: str, said: str
) -> None:
    environment = {**os.environ, "ASSAY_ARTIFACTS": bucket, "ASSAY_HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", FORK, parent]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(said)


def test_what_the_object_store_did_not_take_is_handed_on_once_it_is_back(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: dict[str, str]
) -> None:
    monkeypatch.setenv("ASSAY_ARTIFACTS", bucket)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    away = Store(find_home(tmp_path / ".assay"))
    _ = away.artifacts
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3["AWS_ENDPOINT_URL"])
    with begin_run(away, "m") as run:
        digest = run.log_artifact("a.txt", b"logged while it was away")
    waiting = pending(away.home.path)
    assert waiting.get(digest) == b"logged while it was away"
    back = Store(find_home(tmp_path / ".assay"))
    with begin_run(back, "m"):
        pass
    assert back.artifacts.get(digest) == b"logged while it was away"
    assert digest not in [name for name, _, _ in waiting.digests()]
    for store in (away, back):
        store.database.dispose()


UPLOAD = """
import os, sys
from pathlib import Path
from assay.store import current
artifacts = current().artifacts
artifacts.put(b"warm")
print("begins", flush=True)
for _ in range(1000):
    artifacts.put_stream(os.urandom(1 << 20) for _ in range(32))
"""


def test_an_upload_can_be_interrupted(bucket: str, tmp_path: Path) -> None:
    environment = {**os.environ, "ASSAY_ARTIFACTS": bucket, "ASSAY_HOME": str(tmp_path)}
    writer = subprocess.Popen([sys.executable, "-c", UPLOAD], env=environment, stdout=-1, stderr=-1)
    assert writer.stdout
    writer.stdout.readline()
    time.sleep(1.5)
    writer.send_signal(signal.SIGINT)
    _, said = writer.communicate(timeout=20)
    assert b"KeyboardInterrupt" in said
    assert [path.name for path in tmp_path.rglob(".part-*")] == []
    artifacts = Artifacts(Bucket(bucket, tmp_path))
    for digest, _, _ in artifacts.digests():
        artifacts.get(digest)  # whole or not at all
