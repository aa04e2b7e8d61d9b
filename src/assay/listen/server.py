"""Runs an ASGI application until a signal ends it."""

import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

import uvicorn

from assay.errors import BadInput
from assay.listen.limits import LIMITS, Limits
from assay.listen.protocol import BoundedProtocol

log = logging.getLogger(__name__)
#: How long requests that were begun may take after a signal; then they are broken off.
SHUTDOWN_WITHIN_S = 10
#: After so long something does not come back, like feature code in an endless loop: the process ends as it is.
STUCK_AFTER_S = 20
#: The kernel ends it then, if code in C keeps Python's lock for itself.
_ALARM_AFTER_S = STUCK_AFTER_S + 2
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Tls:
    """The certificate of a server, with its chain, and its key."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raises `BadInput` when they can't be used, before a port is taken."""
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or str(error)
            raise BadInput(
                f"can't serve TLS with {self.certificate} and {self.key}: {why}",
                do="Give a certificate and its key, both PEM and the key without a password.",
            ) from None


class Ending:
    """Remembers that a signal asked for the end, from the moment that the block begins.

    uvicorn's own handlers stand only while it serves: a signal that comes earlier, or that uvicorn raises again when it
    has obeyed, must neither be lost nor end the process in the middle of its clean-up. Code that never gives the event
    loop back keeps uvicorn from looking at anything, so a thread ends the process then, with exit code 3.
    """

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self.asked = False
        self._over = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self.note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self.over()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None) -> None:
        """A signal has come."""
        if not self.asked:
            log.info("ended by %s", signal.Signals(number).name)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_ALARM_AFTER_S)
            threading.Thread(target=self._watch, args=(_place(frame),), name="ending", daemon=True).start()
        self.asked = True
        if self._server is not None:
            self._server.should_exit = True

    def rule(self, server: uvicorn.Server) -> None:
        """End this server when a signal asks for it, or now when one has."""
        self._server = server
        server.should_exit = self.asked

    def over(self) -> None:
        """Nothing is served any more: what is left may take its time."""
        self._over.set()
        signal.alarm(0)

    def _watch(self, place: str) -> None:
        if self._over.wait(STUCK_AFTER_S):
            return
        log.error("broken off %s seconds after the signal: it does not come back from %s", STUCK_AFTER_S, place)
        logging.shutdown()
        os._exit(3)


class _Server(uvicorn.Server):
    """One whose own handler, which stands while it serves, says what it knows."""

    def __init__(self, config: uvicorn.Config, ending: Ending) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)  # first: to a server that ends already a Ctrl-C means at once
        self._ending.note(sig, frame)


def _place(frame: FrameType | None) -> str:
    """Where the main thread was when the signal came."""
    if frame is None:
        return "an unknown place"
    return f"{frame.f_code.co_name} ({frame.f_code.co_filename}, line {frame.f_lineno})"


def serve_until_ended(
    app: Callable[..., Any],
    listener: socket.socket,
    ending: Ending,
    *,
    lifespan: bool = False,
    tls: Tls | None = None,
    limits: Limits = LIMITS,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that were begun are answered, those that take too long broken off."""
    protocol = type("Protocol", (BoundedProtocol,), {"limits": limits})
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level=logging.ERROR,  # a line for each odd request would fill the disk
        access_log=False,
        lifespan="on" if lifespan else "off",
        loop="uvloop",
        http=protocol,
        ws="none",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=limits.idle_s,  # pyright: ignore[reportArgumentType]
        timeout_graceful_shutdown=SHUTDOWN_WITHIN_S,
        ssl_certfile=tls and tls.certificate,
        ssl_keyfile=tls and str(tls.key),
    )
    server = _Server(config, ending)
    ending.rule(server)
    server.run(sockets=[listener])
    ending.over()
