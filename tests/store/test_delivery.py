"""The loop that no error ends, and the supervisor that starts a dead process again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.errors import Unavailable
from assay.store.delivery import Loop, Supervisor


def eventually(there: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not there():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_loop_goes_on_after_any_error_and_says_each_once(caplog: pytest.LogCaptureFixture) -> None:
    rounds: list[int] = []
    enough = threading.Event()

    def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) < 4:
            raise Unavailable("the database is away")
        if len(rounds) < 6:
            raise ZeroDivisionError("of ours")
        enough.set()

    loop = Loop("delivery", work, every_s=0.001)
    loop.start()
    assert enough.wait(60)
    loop.stop()
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == ["delivery: the database is away", "delivery: of ours"]
    assert loop.failing is None
    count = len(rounds)
    time.sleep(0.05)
    assert len(rounds) == count


def test_a_failing_loop_says_how_it_fails() -> None:
    def work() -> None:
        raise OSError(5, "Input/output error")

    loop = Loop("delivery", work)
    loop.once()
    loop.once()
    assert loop.failing is not None
    assert (loop.failing.reason, loop.failing.times) == ("OSError: [Errno 5] Input/output error", 2)


WORKER = "import sys; sys.stdin.read(); open(sys.argv[1], 'a').write('done\\n')"


def test_a_process_that_was_killed_is_started_again_and_its_fault_is_told_meanwhile(tmp_path: Path) -> None:
    out = f"{tmp_path}/out"
    started: list[int] = []

    def start() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, "-c", WORKER, out], stdin=subprocess.PIPE)
        started.append(process.pid)
        return process

    with Supervisor("drainer", start) as supervisor:
        assert supervisor.fault == ""
        os.kill(started[0], signal.SIGKILL)
        eventually(lambda: supervisor.fault)
        assert supervisor.fault == "the drainer ended with signal 9"
        eventually(lambda: supervisor.restarts == 1)
        assert (supervisor.fault, len(started)) == ("", 2)
    assert Path(out).read_text() == "done\n"


def test_what_is_left_is_done_at_the_end_even_if_the_process_has_just_died(tmp_path: Path) -> None:
    out = f"{tmp_path}/out"
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([sys.executable, "-c", WORKER, out], stdin=subprocess.PIPE))
        return started[-1]

    with Supervisor("drainer", start):
        started[0].kill()
        started[0].wait()
    assert Path(out).read_text() == "done\n"
    assert [process.poll() for process in started[1:]] == [0]


def test_a_process_that_can_not_be_started_again_is_a_fault_and_no_error() -> None:
    calls: list[int] = []

    def start() -> "subprocess.Popen[bytes]":
        calls.append(1)
        if len(calls) > 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], stdin=subprocess.PIPE)

    with Supervisor("drainer", start) as supervisor:
        eventually(lambda: "can't be started" in supervisor.fault)
    assert supervisor.fault == "the drainer can't be started: Resource temporarily unavailable"
