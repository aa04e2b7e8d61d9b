"""Threads for what waits for the database or a disk, and what all requests together may hold in memory."""

import asyncio
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from assay.listen import Budget
from assay.listen.bodies import Busy

#: Bodies beyond this are worked on two at a time: decoded, JSON takes ten times its size.
LARGE_BYTES = 256 << 10
MOST_UPLOADS = 256
#: Bytes of bodies, and of answers that wait for slow clients.
BODIES_BYTES, ANSWERS_BYTES = 64 << 20, 128 << 20


class Work:
    """What the requests of one server share. Threads belong to work, never to a client that is waited for."""

    def __init__(self) -> None:
        self.bodies, self.answers = Budget(BODIES_BYTES), Budget(ANSWERS_BYTES)
        self._handlers = ThreadPoolExecutor(8, thread_name_prefix="web")
        self._large = ThreadPoolExecutor(2, thread_name_prefix="web-large")
        self._files = ThreadPoolExecutor(16, thread_name_prefix="web-files")
        self._uploads = 0

    async def handle(self, work: Callable[..., Any], *values: Any, size: int = 0) -> Any:
        """Have a request handled; `size` is that of its body."""
        pool = self._large if size > LARGE_BYTES else self._handlers
        return await asyncio.get_running_loop().run_in_executor(pool, work, *values)

    async def on_disk(self, work: Callable[..., Any], *values: Any) -> Any:
        """Have a piece of a file read or written."""
        return await asyncio.get_running_loop().run_in_executor(self._files, work, *values)

    def later(self, work: Callable[[], Any]) -> None:
        """Have something done that nobody waits for."""
        self._files.submit(work)

    @contextmanager
    def uploading(self) -> Generator[None]:
        """Count an upload for the length of a block. Raises `Busy` when there are too many."""
        if self._uploads >= MOST_UPLOADS:
            raise Busy(f"{MOST_UPLOADS} uploads are under way", do="Try again in a few seconds.")
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    def close(self) -> None:
        """Take no more work, and drop what nobody waits for."""
        self._handlers.shutdown(wait=False, cancel_futures=True)
        self._large.shutdown(wait=False, cancel_futures=True)
        self._files.shutdown(wait=False)

    def ends_within(self, seconds: float) -> bool:
        """Whether all work that was begun ends within so many seconds after `close`."""
        until = time.monotonic() + seconds
        for pool in (self._handlers, self._large, self._files):
            for thread in tuple(pool._threads):  # noqa: SLF001  its name has been the same since Python 3.2
                thread.join(max(0.0, until - time.monotonic()))
                if thread.is_alive():
                    return False
        return True
