"""A port to listen on, and an end that is orderly."""

import logging
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

from assay.errors import BadInput, Unavailable

log = logging.getLogger(__name__)
LAST_PORT = 65535
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `Unavailable`, naming the port, when it is taken, `BadInput` for no port at all."""
    if not 0 <= port <= LAST_PORT:
        raise BadInput(f"{port} is not a port", do=f"Ports are 1 to {LAST_PORT}; 0 takes a free one.")
    try:
        listener = socket.create_server((host, port), backlog=2048)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while")[0]
        raise Unavailable(
            f"can't listen on {host}:{port}: {why}", do="Stop what listens there, or choose another: --port 8402"
        ) from None
    listener.set_inheritable(False)
    return listener


@contextmanager
def returning_on_signals() -> Generator[None]:
    """Let uvicorn return after a signal: it raises the signal again once it has shut down, which would end us here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _already_obeyed) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _already_obeyed(number: int, _frame: object) -> None:
    log.info("ended by %s", signal.Signals(number).name)
