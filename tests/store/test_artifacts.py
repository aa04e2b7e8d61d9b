"""One suite over both places for artifacts: a folder and a bucket of a real S3 server."""

import hashlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.errors import BadInput, Corrupt, NotFound, Unavailable
from assay.store import Artifacts, Store, find_home
from assay.store.bucket import Bucket
from assay.store.parts import PIECE

BIG = 23 * PIECE + 17  # several ranges and several uploads, the last ones not whole


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "kept") if request.param == "folder" else request.getfixturevalue("bucket")


@pytest.fixture
def opened(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("ASSAY_ARTIFACTS", url)
    return Store(find_home(tmp_path / ".assay"))


@pytest.fixture
def artifacts(opened: Store) -> Artifacts:
    return opened.artifacts


@pytest.fixture
def in_making(opened: Store, url: str) -> Path:
    """Where files grow before they are kept."""
    return opened.home.artifacts if url.startswith("s3") else Path(url)


def of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".part-*")]


def damage(artifacts: Artifacts, url: str, digest: str, data: bytes) -> None:
    """Change a file behind our back."""
    if url.startswith("s3"):
        import obstore

        from assay.store.bucket import _key, _open

        obstore.put(_open(url), _key(digest), data)
    else:
        artifacts.path(digest).write_bytes(data)


@pytest.mark.parametrize("size", [0, 1, PIECE, BIG])
def test_what_is_kept_in_any_way_is_read_in_any_way(artifacts: Artifacts, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "in").write_bytes(data)
    stored = artifacts.put_file(tmp_path / "in")
    assert (stored.digest, stored.size) == (of(data), size)
    assert artifacts.put_stream(iter([data[:1000], b"", data[1000:]])) == stored
    assert artifacts.put(data) == stored.digest
    assert artifacts.get(stored.digest) == data
    pieces = list(artifacts.read(stored.digest))
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    artifacts.fetch(stored.digest, tmp_path / "deep" / "out")
    assert (tmp_path / "deep" / "out").read_bytes() == data
    assert artifacts.size(stored.digest) == size
    assert left(tmp_path) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(max_size=50)))
def test_however_a_stream_is_cut_its_name_is_that_of_the_whole(artifacts: Artifacts, chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    stored = artifacts.put_stream(chunks)
    assert (stored.digest, stored.size) == (of(whole), len(whole))
    assert artifacts.get(stored.digest) == whole


def test_the_layout_is_the_same_everywhere(artifacts: Artifacts, url: str, tmp_path: Path) -> None:
    digest = artifacts.put(b"x")
    if url.startswith("s3"):
        assert [name for name, _, _ in Bucket(url, tmp_path).names()] == [f"{digest[:2]}/{digest}"]
        with pytest.raises(BadInput, match="has no path"):
            artifacts.path(digest)
    else:
        assert (Path(url) / digest[:2] / digest).read_bytes() == b"x"
        assert artifacts.path(digest) == Path(url) / digest[:2] / digest


def test_what_is_not_there_is_not_found_at_once(artifacts: Artifacts, tmp_path: Path) -> None:
    for look in (artifacts.get, artifacts.read, artifacts.size, lambda digest: artifacts.fetch(digest, tmp_path / "x")):
        with pytest.raises(NotFound, match="there is no artifact aaaaaaaaaaaa in"):
            look("a" * 64)
        for name in ("../../secret", "A" * 64, "a" * 63, "", "a" * 64 + "\n"):
            with pytest.raises(NotFound, match="is not an artifact digest"):
                look(name)
    assert not (tmp_path / "x").exists()
    with pytest.raises(NotFound, match="can't read"):
        artifacts.put_file(tmp_path / "nothing")
    artifacts.delete("a" * 64)


@pytest.mark.parametrize("size", [3, BIG])
def test_damage_is_seen_at_the_end_of_reading(artifacts: Artifacts, url: str, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    digest = artifacts.put(data)
    damage(artifacts, url, digest, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Corrupt, match="is damaged"):
        artifacts.get(digest)
    pieces = artifacts.read(digest)
    assert next(pieces)[:2] == data[:2]
    with pytest.raises(Corrupt, match="Restore it from a backup"):
        list(pieces)
    (tmp_path / "out").write_bytes(b"as it was")
    with pytest.raises(Corrupt):
        artifacts.fetch(digest, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"as it was"
    assert left(tmp_path) == []


def test_a_file_that_was_cut_is_mended_by_keeping_it_again(artifacts: Artifacts, url: str) -> None:
    digest = artifacts.put(b"whole")
    damage(artifacts, url, digest, b"who")
    assert artifacts.put_stream([b"who", b"le"]).digest == digest
    assert artifacts.get(digest) == b"whole"


def test_what_is_there_is_not_written_again(artifacts: Artifacts, url: str, tmp_path: Path) -> None:
    digest = artifacts.put(b"content")
    if url.startswith("s3"):
        before = next(artifacts.digests())
        time.sleep(1.1)
    else:
        before = artifacts.path(digest).stat().st_ino
    (tmp_path / "in").write_bytes(b"content")
    artifacts.put(b"content")
    artifacts.put_file(tmp_path / "in")
    artifacts.put_stream([b"content"])
    after = next(artifacts.digests()) if url.startswith("s3") else artifacts.path(digest).stat().st_ino
    assert after == before


def test_a_folder_takes_what_is_kept_again_for_new(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    digest = artifacts.put(b"x")
    os.utime(artifacts.path(digest), (0, 0))
    artifacts.put(b"x")
    ((_, _, modified),) = artifacts.digests()
    assert datetime.now(UTC) - modified < timedelta(minutes=1)


def test_all_that_is_kept_is_told_and_what_is_deleted_is_gone(artifacts: Artifacts, url: str) -> None:
    assert list(artifacts.digests()) == []
    sizes = {artifacts.put(bytes(size)): size for size in range(60)}
    if not url.startswith("s3"):
        (Path(url) / "notes.txt").write_text("not ours")
        (Path(url) / "ab").mkdir(exist_ok=True)
        (Path(url) / "ab" / "notes.txt").write_text("not ours")
    found = list(artifacts.digests())
    assert {digest: size for digest, size, _ in found} == sizes
    now = datetime.now(UTC)
    assert all(abs(now - modified) < timedelta(minutes=1) for _, _, modified in found)
    one = next(iter(sizes))
    artifacts.delete(one)
    artifacts.delete(one)
    assert {digest for digest, _, _ in artifacts.digests()} == set(sizes) - {one}
    with pytest.raises(NotFound):
        artifacts.get(one)


def test_a_stream_that_breaks_leaves_nothing(artifacts: Artifacts, in_making: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(3 * PIECE)
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError, match="the client went away"):
        artifacts.put_stream(broken())
    assert list(artifacts.digests()) == []
    assert left(in_making) == []


WRITER = """
import sys, time
from assay.store import current
def endless():
    while True:
        yield bytes(1 << 20)
        print("wrote", flush=True)
        time.sleep(0.01)
current().artifacts.put_stream(endless())
"""


def test_what_a_killed_process_left_is_swept_after_an_hour(
    artifacts: Artifacts, opened: Store, in_making: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "ASSAY_HOME": str(opened.home.path)}
    writer = subprocess.Popen([sys.executable, "-c", WRITER], env=environment, stdout=subprocess.PIPE)
    assert writer.stdout
    assert [writer.stdout.readline() for _ in range(3)] == [b"wrote\n"] * 3
    writer.kill()
    writer.wait()
    writer.stdout.close()
    (part,) = in_making.glob(".part-*")
    assert list(artifacts.digests()) == []
    assert artifacts.sweep() == 0  # it could still grow
    os.utime(part, (time.time() - 3700,) * 2)
    (in_making / "ab").mkdir()
    older = in_making / "ab" / ".part-0"  # where they lay once
    older.touch()
    os.utime(older, (0, 0))
    assert artifacts.sweep() == 2
    assert left(tmp_path) == []


MEASURE = """
import re, sys
from pathlib import Path
from assay.store import current
def most():  # in MiB; getrusage would tell that of the process that started this one
    return int(re.search("VmHWM: *\\t* *([0-9]+)", Path("/proc/self/status").read_text())[1]) // 1024
artifacts = current().artifacts
artifacts.put(b"warm")
before = most()
stored = artifacts.put_file(Path(sys.argv[1]))
put = most()
artifacts.put_stream(artifacts.read(stored.digest))
artifacts.fetch(stored.digest, Path(sys.argv[2]))
print(put - before, most() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="MISSING: /proc of Linux")
def test_a_file_is_never_in_memory_as_a_whole(artifacts: Artifacts, opened: Store, tmp_path: Path) -> None:
    with (tmp_path / "in").open("wb") as file:
        for _ in range(96):
            file.write(os.urandom(PIECE))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "in"), str(tmp_path / "out")]
    environment = {**os.environ, "ASSAY_HOME": str(opened.home.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert max(map(int, done.stdout.split())) < 64, done.stdout
    with (tmp_path / "in").open("rb") as sent, (tmp_path / "out").open("rb") as got:
        assert hashlib.file_digest(sent, "sha256").digest() == hashlib.file_digest(got, "sha256").digest()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process grows larger for the length of a block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_the_disk_does_not_take_leaves_nothing(
    artifacts: Artifacts, in_making: Path, tmp_path: Path
) -> None:
    digest = artifacts.put(os.urandom(3 * PIECE))
    data = os.urandom(3 * PIECE)
    (tmp_path / "in").write_bytes(data)
    with largest_file(PIECE + 5):
        for put in (
            lambda: artifacts.put(data),
            lambda: artifacts.put_file(tmp_path / "in"),
            lambda: artifacts.put_stream([data]),
            lambda: artifacts.fetch(digest, tmp_path / "out"),
        ):
            with pytest.raises(Unavailable, match=r"(?s)can't write .*Free some disk space"):
                put()
    assert left(tmp_path) == []
    assert [name for name, _, _ in artifacts.digests()] == [digest]
    assert not (tmp_path / "out").exists()
    assert artifacts.put(data) == of(data)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("MISSING: a small disk, which only root may mount. Run the tests as root.")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="MISSING: tmpfs of Linux")
@pytest.mark.parametrize("place", ["folder", "s3"])
def test_a_full_disk_is_unavailable_and_takes_smaller_files_again(
    small_disk: Path, place: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "s3":  # the disk is where files wait for their upload
        monkeypatch.setenv("ASSAY_ARTIFACTS", request.getfixturevalue("bucket"))
    opened = Store(find_home(small_disk))
    artifacts = opened.artifacts
    for _ in range(3):
        with pytest.raises(Unavailable, match="No space left on device"):
            artifacts.put_stream(os.urandom(PIECE) for _ in range(6))
    assert left(small_disk) == []
    stored = artifacts.put_stream(os.urandom(PIECE) for _ in range(2))
    assert len(artifacts.get(stored.digest)) == 2 * PIECE
    opened.database.dispose()  # a bucket's marks were looked at


def put_in_a_process(url: str, home: Path, seed: int) -> None:
    os.environ["ASSAY_ARTIFACTS"] = url
    artifacts = Store(find_home(home)).artifacts
    for i in range(10):
        artifacts.put(bytes([i]) * (PIECE + i))
        artifacts.put(bytes([seed, i]))


def test_four_processes_keep_the_same_at_once(artifacts: Artifacts, opened: Store, url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=put_in_a_process, args=(url, opened.home.path, seed)) for seed in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len([artifacts.get(digest) for digest, _, _ in artifacts.digests()]) == 10 + 40


SLOW = """
from assay.store import current
def endless():
    yield b"x"
    print("wrote", flush=True)
    while True:
        yield bytes(1000)
current().artifacts.put_stream(endless())
"""


def test_an_interrupt_leaves_nothing(artifacts: Artifacts, opened: Store, in_making: Path) -> None:
    environment = {**os.environ, "ASSAY_HOME": str(opened.home.path)}
    writer = subprocess.Popen([sys.executable, "-c", SLOW], env=environment, stdout=-1, stderr=-1)
    assert writer.stdout
    writer.stdout.readline()
    writer.send_signal(signal.SIGINT)
    _, said = writer.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    assert left(in_making) == []
    assert list(artifacts.digests()) == []
