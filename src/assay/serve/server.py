"""Runs the application: a port, the champion as it changes, and a drainer beside it."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace

from assay.access import guarding
from assay.errors import Corrupt, Unavailable
from assay.listen import Ending, Tls, listen, serve_until_ended
from assay.listen.port import address_of
from assay.predictions.write import TOPIC
from assay.serve.answer import open_served
from assay.serve.app import App
from assay.serve.guard import Guarded
from assay.serve.last import last_served, remember
from assay.store import Store
from assay.store.delivery import Loop, Supervisor, known_faults
from assay.track import ModelVersion, champion

log = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0
#: Requests go first; what is drained later is not lost.
DRAINER_NICENESS = 10


def serve(
    store: Store,
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8401,
    names: frozenset[str] = frozenset(),
    tls: Tls | None = None,
    rotate_s: float = 30.0,
    require_log: bool = False,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer for the champion of `model` until SIGTERM or Ctrl-C; `ready` is called with the address once it listens.

    With `require_log`, rows that the prediction log can't take are answered with 503 instead of marked.
    When it returns, every request that was begun is answered and every answered row is in the table.
    While the database is away it begins with the version that this home served last, and `/health` says so.
    Raises `NotFound` for an unknown model, `Unavailable` when the port is taken, `BadInput` for a host that others
    reach while there is no token and for a certificate that can't be used.
    """
    if tls:
        tls.check()
    with Ending() as ending, listen(host, port) as listener, guarding(store, host, names) as guard:
        app = _begun(store, model, rotate_s, require_log=require_log)
        with (
            Supervisor("drainer", lambda: start_drainer(store)) as drainer,
            _kept(store, app, lambda: _adopt_champion(store, model, app, rotate_s)),
        ):
            app.drainer = drainer
            address = address_of(listener, tls)
            ready(address)
            log.info("serving %s on %s", app.served.name, address)
            serve_until_ended(Guarded(app, guard), listener, ending, tls=tls)
            log.info("stopping: draining the rest")


def _begun(store: Store, model: str, rotate_s: float, *, require_log: bool) -> App:
    """The application with the champion, or with what was served last while nobody can say which that is."""
    unknown = ""
    try:
        version = champion(store, model)
    except Corrupt:
        raise
    except Unavailable as error:
        last = last_served(store, model)
        if last is None:
            raise
        version, unknown = last, _unknown(error)
        log.warning("starting with %s, which was served last: %s", version, error.what)
    app = App(open_served(store, version, rotate_s=rotate_s, require_log=require_log))
    app.unknown = unknown
    _remember(store, version)
    return app


def _unknown(error: Unavailable) -> str:
    return f"it is unknown whether this is still the champion: {error.what}"


def _remember(store: Store, version: ModelVersion) -> None:
    try:
        remember(store, version)
    except Unavailable as error:
        log.warning("%s is not recorded for a start while the database is away: %s", version, error)


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
def _kept(store: Store, app: App, champion_of: Callable[[], None]) -> Generator[None]:
    """Look after the prediction logs and the champion for the length of a block; close the logs at its end."""
    loops = [
        Loop("prediction log", lambda: _tick(app), every_s=LOOK_EVERY_S),
        Loop("state of delivery", lambda: _look_at_delivery(store, app), every_s=LOOK_EVERY_S),
        Loop(lambda: f"still answering from {app.served.name}", champion_of, every_s=LOOK_EVERY_S),
    ]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        looks_afar = loops.pop()  # it may wait for a database that is silent
        looks_afar.cancel()
        for loop in loops:
            loop.stop()
        for one in app.logs:
            one.close()


def _tick(app: App) -> None:
    for one in app.logs:
        one.tick()


def _look_at_delivery(store: Store, app: App) -> None:
    found = [one for one in known_faults(store.home.spool) if one.topic == TOPIC]
    app.waiting = f"{len(found)} segments can't be drained, like {found[0].segment}: {found[0].reason}" if found else ""


def _adopt_champion(store: Store, model: str, app: App, rotate_s: float) -> None:
    before = app.served.name
    try:
        newest = champion(store, model)
        if newest.version != app.served.version.version:
            opened = open_served(store, newest, rotate_s=rotate_s, require_log=app.served.require_log)
            app.adopt(replace(opened, counts=app.served.counts))
            _remember(store, newest)
            log.info("adopted %s, before it %s", newest, before)
    except Unavailable as error:
        app.unknown = _unknown(error)
        raise
    app.unknown = ""
