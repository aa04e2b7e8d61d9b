"""Runs the application: a port, the champion as it changes, and a drainer beside it."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn

from assay.errors import AssayError
from assay.listen import listen, returning_on_signals
from assay.serve.answer import open_served
from assay.serve.app import App
from assay.store import Store
from assay.track import champion

log = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0
SHUTDOWN_WITHIN_S = 10
#: Requests go first; what is drained later is not lost.
DRAINER_NICENESS = 10


def serve(
    store: Store,
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8401,
    rotate_s: float = 30.0,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer for the champion of `model` until SIGTERM or Ctrl-C; `ready` is called with the address once it listens.

    When it returns, every request that was begun is answered and every answered row is in the table.
    Raises `NotFound` for an unknown model, `Unavailable` when the port is taken.
    """
    with listen(host, port) as listener:
        app = App(open_served(store, champion(store, model), rotate_s=rotate_s))
        with _draining(store), _kept(store, model, app, rotate_s):
            shown_host, shown_port = listener.getsockname()[:2]
            ready(f"http://{shown_host}:{shown_port}")
            log.info("serving %s on port %s", app.served.name, shown_port)
            with returning_on_signals():
                uvicorn.Server(_config(app)).run(sockets=[listener])
            log.info("ending: draining what is left")


def _config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        loop="uvloop",
        http="httptools",
        ws="none",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_WITHIN_S,
    )


def start_drainer(store: Store) -> "subprocess.Popen[bytes]":
    """A process of its own that drains while this one serves.

    It holds the other end of a pipe: when this process ends, however it ends, it drains what is left and ends too.
    It is in a session of its own, so that the terminal's Ctrl-C ends this process first.
    """
    command = [sys.executable, "-m", "assay", "drain", "--follow", "--home", str(store.home.path)]
    drainer = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    os.setpriority(os.PRIO_PROCESS, drainer.pid, DRAINER_NICENESS)
    return drainer


@contextmanager
def _draining(store: Store) -> Generator[None]:
    with start_drainer(store):
        yield  # leaving closes the pipe and waits until all is drained


@contextmanager
def _kept(store: Store, model: str, app: App, rotate_s: float) -> Generator[None]:
    """Look after the prediction logs and the champion for the length of a block; close the logs at its end."""
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(store, model, app, rotate_s, stop), name="keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()
        for one in app.logs:
            one.close()


def _keep(store: Store, model: str, app: App, rotate_s: float, stop: threading.Event) -> None:
    """Each second: put the prediction logs on the disk, and adopt a new champion."""
    refusal = ""
    while not stop.wait(LOOK_EVERY_S):
        for one in app.logs:
            one.tick()
        try:
            _adopt_champion(store, model, app, rotate_s)
            refusal = ""
        except Exception as error:
            if str(error) != refusal:  # said once, not each second
                log.warning("still answering from %s: %s", app.served.name, error, exc_info=_unless_ours(error))
            refusal = str(error)


def _adopt_champion(store: Store, model: str, app: App, rotate_s: float) -> None:
    newest, before = champion(store, model), app.served.name
    if newest.version != app.served.version.version:
        app.adopt(open_served(store, newest, rotate_s=rotate_s))
        log.info("adopted %s, before it %s", newest, before)


def _unless_ours(error: Exception) -> Exception | None:
    return None if isinstance(error, AssayError) else error
