"""Runs the server of `assay up`."""

import gc
import logging
import os
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager

from assay.access import guarding
from assay.errors import BadInput
from assay.listen import Ending, Tls, listen, serve_until_ended
from assay.listen.port import address_of
from assay.listen.server import SHUTDOWN_WITHIN_S
from assay.store import Store
from assay.store.delivery import Loop
from assay.track.outbox import deliver
from assay.web.app import create_app
from assay.web.work import Work

log = logging.getLogger(__name__)
DELIVER_EVERY_S = 1.0
#: How long a handler that is busy may go on after the server has ended.
BUSY_S = 5
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]{1,100}){1,10}")


def up(
    store: Store,
    *,
    host: str = "127.0.0.1",
    port: int = 8400,
    names: frozenset[str] = frozenset(),
    prefix: str = "",
    tls: Tls | None = None,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; `ready` is called with the address once it listens.

    Raises `Unavailable` when the port is taken or the database does not answer, `BadInput` for a host that others
    reach while there is no token, a prefix that is no path and a certificate that can't be used.
    """
    if prefix and not _PREFIX.fullmatch(prefix):
        raise BadInput(f"{prefix!r} can't be a prefix of paths", do="Write it like /mlflow or /teams/air.")
    if tls:
        tls.check()
    work = Work()
    store.database.upgrade()  # or it says why not
    with Ending() as ending, listen(host, port) as listener, guarding(store, host, names) as guard, _delivering(store):
        address = address_of(listener, tls) + prefix
        ready(address)
        log.info("up on %s", address)
        gc.freeze()  # what is loaded stays for good: a search of many rows need not look through it
        serve_until_ended(create_app(store, guard, work, prefix), listener, ending, lifespan=True, tls=tls)
    if not work.ends_within(BUSY_S):
        log.error("a request was still busy %s seconds after the end; it is broken off", SHUTDOWN_WITHIN_S + BUSY_S)
        logging.shutdown()
        os._exit(3)  # Python would wait for its thread for ever


@contextmanager
def _delivering(store: Store) -> Generator[Loop]:
    """Bring what runs on this machine left in the spool into the database, for the length of a block."""
    loop = Loop("runs stay in the spool", lambda: deliver(store), every_s=DELIVER_EVERY_S)
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()
