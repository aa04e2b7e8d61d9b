"""Work that is left alone when it does not end soon: what must not wait for a bucket that may be silent."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from assay.errors import AssayError, Unavailable

T = TypeVar("T")
#: So long a command waits for what it wants of the artifacts' place and can do without.
SOON_S = 3.0


def soon(work: Callable[[], T], within_s: float = SOON_S) -> T:
    """What `work` gives; raises what it raises, and `Unavailable` when it takes longer.

    It goes on in a thread that does not keep the process alive, so it must be harmless then too.
    """
    found: SimpleQueue[tuple[T] | AssayError] = SimpleQueue()

    def done() -> None:
        try:
            found.put((work(),))
        except AssayError as error:
            found.put(error)

    Thread(target=done, name="soon", daemon=True).start()
    try:
        result = found.get(timeout=within_s)
    except Empty:
        raise Unavailable(
            f"no answer within {within_s:g} s", do="Check that the artifact store can be reached."
        ) from None
    if isinstance(result, AssayError):
        raise result
    return result[0]
