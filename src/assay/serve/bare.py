"""Answers from a model file that nobody published: the same contract, batches and bounds, and no prediction log."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from assay.access import guarding
from assay.contract import Decoder
from assay.listen import Ending, Tls, listen, serve_until_ended
from assay.listen.port import address_of
from assay.model.bare import Bare
from assay.serve.answer import Served
from assay.serve.app import App
from assay.serve.guard import Guarded
from assay.serve.no_log import NoLog
from assay.store import Store
from assay.track import ModelVersion

log = logging.getLogger(__name__)


def serve_bare(
    store: Store,
    bare: Bare,
    *,
    host: str = "127.0.0.1",
    port: int = 8401,
    names: frozenset[str] = frozenset(),
    tls: Tls | None = None,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer from a model file until SIGTERM or Ctrl-C; `ready` is called with the address once it listens.

    Raises `Unavailable` when the port is taken, `BadInput` for a host that others reach while there is no token.
    """
    if tls:
        tls.check()
    bundle = bare.bundle
    version = ModelVersion(bundle.model.name, 0, bundle.digest, None, None, datetime.now(UTC))
    app = App(Served(version, bundle, Decoder(bundle.model.takes), NoLog()))
    with Ending() as ending, listen(host, port) as listener, guarding(store, host, names) as guard:
        address = address_of(listener, tls)
        ready(address)
        log.info("serving the file of %s on %s", bundle.model.name, address)
        serve_until_ended(Guarded(app, guard), listener, ending, tls=tls)


def curl(address: str, bare: Bare) -> str:
    """A line for a shell that asks for the prediction of the example row."""
    row = json.dumps(dict(bare.example), ensure_ascii=True).replace("'", "\\u0027")
    return f"curl {address}/predict -H 'content-type: application/json' -d '{row}'"
