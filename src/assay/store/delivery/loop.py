"""The loop that no error ends."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from assay.errors import AssayError
from assay.store.delivery.faults import reason

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failing:
    """How a loop fails at present."""

    reason: str
    #: Rounds one after the other.
    times: int


class Loop:
    """Calls `work` every `every_s` seconds until it is stopped, whatever `work` raises.

    A round is followed by a rest of at least `rest` times as long as it took. An error is logged once, not each
    round, after `name`, which says what is the case then, and stands in `failing` until a round ends well.
    """

    def __init__(
        self, name: str | Callable[[], str], work: Callable[[], object], *, every_s: float = 1.0, rest: float = 0.0
    ) -> None:
        self._name = name if callable(name) else lambda: name
        self._work = work
        self._every_s = every_s
        self._rest = rest
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        #: None while it goes well.
        self.failing: Failing | None = None

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name=self._name(), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the round that is under way, and wait for it."""
        self.cancel()
        if self._thread:
            self._thread.join()

    def cancel(self) -> None:
        """End after the round that is under way; do not wait for it."""
        self._stop.set()
        self._wake.set()

    def wake(self) -> None:
        """Begin the next round at once."""
        self._wake.set()

    def _run(self, stop: threading.Event) -> None:
        pause = self._every_s
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            if stop.is_set():
                return
            started = monotonic()
            self.once()
            pause = max(self._every_s, self._rest * (monotonic() - started))

    def once(self) -> None:
        """One round."""
        try:
            self._work()
        except Exception as error:
            said = reason(error)
            if self.failing is None or self.failing.reason != said:
                traceback = None if isinstance(error, AssayError) else error
                log.warning("%s: %s", self._name(), error, exc_info=traceback)
            self.failing = Failing(said, (self.failing.times if self.failing else 0) + 1)
        else:
            if self.failing:
                log.info("%s: continues after %s failed rounds", self._name(), self.failing.times)
            self.failing = None
