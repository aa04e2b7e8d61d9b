"""Runs the application: a port, the champion as it changes, and a drainer beside it."""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import uvicorn

from assay.errors import AssayError, Unavailable
from assay.serve.answer import open_served
from assay.serve.app import App
from assay.store import Store
from assay.track import champion

log = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0


def serve(
    store: Store,
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8401,
    rotate_s: float = 30.0,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer for the champion of `model` until a signal ends it; `ready` is called with the address once it listens.

    Raises `NotFound` for an unknown model, `Unavailable` when the port is taken.
    """
    app = App(open_served(store, champion(store, model), rotate_s=rotate_s))
    listener = listen(host, port)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(store, model, app, rotate_s, stop), name="keeper", daemon=True)
    drainer = start_drainer(store)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        loop="uvloop",
        http="httptools",
        timeout_graceful_shutdown=10,
    )
    keeper.start()
    shown_host, shown_port = listener.getsockname()[:2]
    ready(f"http://{shown_host}:{shown_port}")
    log.info("serving %s on port %s", app.served.name, shown_port)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        stop.set()
        keeper.join()
        if drainer.stdin:
            drainer.stdin.close()  # it drains what is left and ends
        drainer.wait()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `Unavailable`, naming the port, when it is taken."""
    try:
        listener = socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise Unavailable(
            f"can't listen on {host}:{port}: {error.strerror}",
            do="Stop what listens there, or choose another: --port 8402",
        ) from None
    listener.set_inheritable(False)
    return listener


def start_drainer(store: Store) -> "subprocess.Popen[bytes]":
    """A process of its own that drains while this one serves.

    It holds the other end of a pipe: when this process ends, however it ends, it drains what is left and ends too.
    """
    command = [sys.executable, "-m", "assay", "drain", "--follow", "--home", str(store.home.path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def _keep(store: Store, model: str, app: App, rotate_s: float, stop: threading.Event) -> None:
    """Each second: put the prediction log on the disk, and adopt a new champion."""
    seen = [app.served]
    while not stop.wait(LOOK_EVERY_S):
        for served in seen:  # a slow request may still write to the log of the version that it began with
            served.log.tick()
        try:
            newest = champion(store, model)
            if newest.version != app.served.version.version:
                log.info("adopting %s, before it %s", newest, app.served.name)
                app.served = open_served(store, newest, rotate_s=rotate_s)
                seen.append(app.served)
        except AssayError as error:
            log.warning("still answering from %s: %s", app.served.name, error)
    for served in seen:
        served.log.close()
