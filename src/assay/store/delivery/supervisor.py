"""Looks after a drainer process: when it dies, another one is started."""

import logging
import subprocess
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
#: One that ran for so long was well: the next one is started after the first wait again.
WELL_AFTER_S = 60.0


class Supervisor:
    """Keeps one process running for the length of a block; at its end, lets it finish its work.

    `start` starts the process with a pipe as its stdin. It works until the pipe is closed, then does what is left and ends.
    """

    def __init__(self, name: str, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self._name = name
        self._start = start
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        #: How often it had to be started again.
        self.restarts = 0
        #: What is wrong at present; empty while the process runs.
        self.fault = ""

    def __enter__(self) -> Self:
        self._process = self._start()
        self._thread = threading.Thread(target=self._watch, name=f"{self._name}-supervisor", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            process = self._started()  # for what is left
        if process and process.stdin:
            process.stdin.close()
        self._thread.join()
        if process:
            process.wait()

    def _watch(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stop.is_set():
            process, began = self._process, monotonic()
            code = process.wait() if process else None
            if self._stop.is_set():
                return
            wait_s = FIRST_WAIT_S if monotonic() - began > WELL_AFTER_S else wait_s
            if process:
                self.fault = f"the {self._name} ended with {_named(code)}"
                log.error("%s; the next one is started in %.0f s", self.fault, wait_s)
                if process.stdin:
                    process.stdin.close()
            if self._stop.wait(wait_s):
                return
            wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
            with self._lock:
                if self._stop.is_set():
                    return
                self._process = self._started()
            if self._process:
                self.restarts += 1
                self.fault = ""

    def _started(self) -> "subprocess.Popen[bytes] | None":
        try:
            return self._start()
        except OSError as error:
            self.fault = f"the {self._name} can't be started: {error.strerror}"
            log.error("%s", self.fault)  # noqa: TRY400 no traceback: the machine has no room for a process
            return None


def _named(code: int | None) -> str:
    """An exit code in words.

    >>> _named(-9), _named(3)
    ('signal 9', 'exit code 3')
    """
    return f"signal {-code}" if code and code < 0 else f"exit code {code}"
