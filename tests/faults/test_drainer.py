"""The drainer of a server: killed it comes again, and what it can't drain is told."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from running import ROW, Server, run_assay, serving

from assay.predictions import read_rows
from assay.store import Home


def drainer_of(server: Server) -> int | None:
    """The process id of the drainer, found as people find it: a child that drains."""
    for child in Path(f"/proc/{server.process.pid}/task").glob("*/children"):
        for pid in child.read_text().split():
            if b"drain" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return int(pid)
    return None


def eventually(server: Server, there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    until = time.monotonic() + 90
    while not there(health := server.ask("GET", "/health").body):
        assert time.monotonic() < until, health
        time.sleep(0.05)
    return health


def test_a_killed_drainer_is_started_again_and_health_says_so_meanwhile(home: Path) -> None:
    with serving(home, "long-trip", "--rotate", "1s") as server:
        assert server.ask("GET", "/health").body["drainer"] == "ok"
        first = drainer_of(server)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        down = eventually(server, lambda health: health["drainer"] != "ok" or health["drainer_restarts"] > 0)
        assert down["drainer_restarts"] > 0 or down["status"] == "the drainer ended with signal 9"
        up = eventually(server, lambda health: health["drainer_restarts"] == 1)
        assert (up["status"], up["drainer"]) == ("ok", "ok")
        assert drainer_of(server) not in (None, first)
        assert server.predict([ROW] * 3).status == 200
        assert server.end() == 0
    assert not list((home / "spool" / "predictions").glob("*.seg"))
    rows = read_rows(Home(home), "long-trip")
    assert rows is not None
    assert len(rows) == 3


def test_a_table_that_can_not_be_written_is_told_by_health_and_doctor_and_keeps_its_rows(home: Path) -> None:
    table = home / "tables" / "served.long_trip"
    table.parent.mkdir(exist_ok=True)
    table.write_text("a file stands where the folder should be")
    with serving(home, "long-trip", "--rotate", "1s") as server:
        assert server.predict(ROW).status == 200
        health = eventually(server, lambda health: bool(health["undrained"]))
        assert "1 segments can't be drained" in health["status"]
        told = run_assay(home, "doctor")
        assert told.returncode == 1
        assert "not handed over" in told.stdout
        assert server.end() == 0
    done = run_assay(home, "drain")
    assert (done.returncode, "1 segments could not be drained" in done.stderr) == (3, True)
    table.unlink()
    assert run_assay(home, "drain").returncode == 0
    rows = read_rows(Home(home), "long-trip")
    assert rows is not None
    assert len(rows) == 1
    assert "not handed over" not in run_assay(home, "doctor").stdout
