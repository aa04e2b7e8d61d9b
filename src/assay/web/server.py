"""Runs the server of `assay up`."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn

from assay.errors import AssayError, BadInput
from assay.listen import listen, returning_on_signals
from assay.store import Store
from assay.track.outbox import deliver
from assay.web.app import App
from assay.web.guard import Guard, is_loopback
from assay.web.tokens import tokens

log = logging.getLogger(__name__)
DELIVER_EVERY_S = 1.0
SHUTDOWN_WITHIN_S = 10


def up(
    store: Store,
    *,
    host: str = "127.0.0.1",
    port: int = 8400,
    names: frozenset[str] = frozenset(),
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; `ready` is called with the address once it listens.

    Raises `Unavailable` when the port is taken or the database does not answer, `BadInput` for a host that others
    reach while there is no token.
    """
    if not is_loopback(host) and not tokens(store):
        raise BadInput(
            f"{host} can be reached from other machines, and nobody has a token yet",
            do="Make one first: assay tokens add NAME --scope write",
        )
    with listen(host, port) as listener, _delivering(store):
        store.database  # noqa: B018  connects, migrates, or says why not
        shown_host, shown_port = listener.getsockname()[:2]
        ready(f"http://{shown_host}:{shown_port}")
        log.info("up on port %s", shown_port)
        with returning_on_signals():
            uvicorn.Server(_config(App(store, Guard(store, host, names)))).run(sockets=[listener])


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


@contextmanager
def _delivering(store: Store) -> Generator[None]:
    """Bring what runs on this machine left in the spool into the database, for the length of a block."""
    stop = threading.Event()
    keeper = threading.Thread(target=_deliver, args=(store, stop), name="deliver", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _deliver(store: Store, stop: threading.Event) -> None:
    refusal = ""
    while not stop.wait(DELIVER_EVERY_S):
        try:
            deliver(store)
            refusal = ""
        except AssayError as error:
            if str(error) != refusal:  # said once, not each second
                log.warning("runs stay in the spool: %s", error)
            refusal = str(error)
        except Exception:
            log.exception("runs stay in the spool")
