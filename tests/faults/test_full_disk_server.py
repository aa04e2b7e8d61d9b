"""A server on a disk that fills up: what is not logged is marked, counted and refused where the log is required."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import ROW, Server, copy_project, serving

from assay.predictions import drain_predictions, read_rows
from assay.store import Home

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="MISSING: tmpfs of Linux")


@pytest.fixture
def small(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project on a disk of 48 MB; its home."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "assay", str(folder)]
    if not shutil.which("mount") or os.geteuid() or subprocess.run(command, check=False).returncode:
        pytest.skip("MISSING: a small disk, which only root may mount. Run the tests as root.")
    try:
        yield copy_project(tmp_path_factory.getbasetemp(), folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes what is left."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return path


def until_not_logged(server: Server, *, status: int = 200) -> None:
    """Ask until the page that the segment still has is full."""
    for _ in range(100):
        reply = server.predict([ROW] * 20)
        if reply.status != 200 or reply.body.get("logged") is False:
            assert reply.status == status
            return
    pytest.fail("the disk took everything")


def until_logged(server: Server) -> None:
    end = time.monotonic() + 30  # the spool looks again once a second
    while (reply := server.predict(ROW)).status != 200 or "logged" in reply.body:
        assert time.monotonic() < end, reply
        time.sleep(0.2)


def test_answers_that_are_not_logged_say_so_and_health_knows_now_from_once(small: Path) -> None:
    with serving(small, "long-trip", "--rotate", "1h") as server:
        assert "logged" not in server.predict(ROW, **{"X-Request-Id": "before"}).body
        filler = fill(small.parent)
        until_not_logged(server)
        reply = server.predict([ROW] * 300, **{"X-Request-Id": "lost"})
        assert (reply.status, len(reply.body["predictions"]), reply.body["logged"]) == (200, 300, False)
        health = server.ask("GET", "/health").body
        assert (health["status"], health["dropping"]) == ("dropping rows of the prediction log", True)
        dropped, last = health["dropped_rows"], health["last_dropped_at"]
        assert dropped >= 300
        filler.unlink()
        until_logged(server)
        health = server.ask("GET", "/health").body
        assert (health["status"], health["dropping"]) == ("ok", False)
        assert health["dropped_rows"] >= dropped
        assert health["last_dropped_at"] >= last
        assert server.end() == 0
    drain_predictions(Home(small))
    rows = read_rows(Home(small), "long-trip")
    assert rows is not None
    seen = rows.column("request_id").to_pylist()
    assert (seen.count("before"), seen.count("lost")) == (1, 0)


def test_where_the_log_is_required_rows_that_it_cannot_take_are_answered_with_503(small: Path) -> None:
    with serving(small, "long-trip", "--rotate", "1h", "--require-log") as server:
        assert server.predict(ROW).status == 200
        filler = fill(small.parent)
        until_not_logged(server, status=503)
        reply = server.predict([ROW] * 300)
        assert reply.status == 503
        assert "the prediction log can't take the rows" in reply.body["error"]
        assert server.ask("GET", "/health").body["dropping"] is True
        filler.unlink()
        until_logged(server)
        assert server.end() == 0
