"""Small transactions of several threads as one: each answers when it is on the disk, and all wait for the disk once.

SQLite has one writer at a time, and most of what a small transaction takes is waiting for the disk. While one waits,
others gather; then the first of them runs all of them in one transaction.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from assay.errors import Unavailable
from assay.store.locks import forget

T = TypeVar("T")
Begin = Callable[[], AbstractContextManager[Connection]]


class _Waiting(Generic[T]):
    """The work of one thread, and what came of it."""

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self._work = work
        self._result: T | None = None
        self._error: Exception | None = None
        self.is_done = False
        #: Released when the work is done, or when it is this thread's turn to lead.
        self.turn = Lock()
        self.turn.acquire()

    def run_in(self, connection: Connection) -> None:
        self._result = self._work(connection)

    def run_alone(self, begin: Begin) -> None:
        try:
            with begin() as connection:
                self._result = self._work(connection)
        except Exception as error:  # noqa: BLE001  its thread raises it
            self.end(error)
        else:
            self.end()

    def end(self, error: Exception | None = None) -> None:
        self._error, self.is_done = error, True

    def result(self) -> T:
        if self._error:
            raise self._error
        return self._result  # pyright: ignore[reportReturnType]


class Together:
    """Runs what several threads bring at once in one transaction."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._gathered: list[_Waiting[Any]] = []
        self._is_led, self._lock = False, Lock()

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` gives, once it is committed.

        It must be harmless twice: when one of several fails, all are rolled back and each runs alone. It is for threads
        that no signal breaks off, as the workers of a server are: one that went away while it waits would hold up all.
        """
        mine = _Waiting(work)
        with self._lock:
            self._gathered.append(mine)
            follows, self._is_led = self._is_led, True
        if follows:
            mine.turn.acquire()
        if not mine.is_done:
            self._lead(mine)
        return mine.result()

    def _lead(self, mine: _Waiting[Any]) -> None:
        with self._lock:
            several, self._gathered = self._gathered, []
        try:
            self._run(several)
        finally:
            others = [one for one in several if one is not mine]
            with self._lock:  # what is not done was broken off: the next one does it
                self._gathered = [one for one in others if not one.is_done] + self._gathered
                following = self._gathered[:1]
                self._is_led = bool(following)
            for one in [*filter(_is_done, others), *following]:
                one.turn.release()

    def _run(self, several: Sequence[_Waiting[Any]]) -> None:
        if len(several) > 1 and self._run_as_one(several):
            return
        for one in several:
            one.run_alone(self._begin)

    def _run_as_one(self, several: Sequence[_Waiting[Any]]) -> bool:
        try:
            with self._begin() as connection:
                for one in several:
                    forget(connection)  # on SQLite nothing is held that another could wait for
                    one.run_in(connection)
        except Unavailable as error:  # alone they would wait as long, one after the other
            for one in several:
                one.end(error)
        except Exception:  # noqa: BLE001  whose it is shows when each runs alone
            return False
        else:
            for one in several:
                one.end()
        return True


def _is_done(one: _Waiting[Any]) -> bool:
    return one.is_done
