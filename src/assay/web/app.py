"""The HTTP side of `assay up`: a Starlette application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from assay.access import Guard
from assay.store import Store
from assay.web.door import Door
from assay.web.http import answer_json, answer_text
from assay.web.mlflow.routes import find_route
from assay.web.rule import Fixed, Found
from assay.web.work import Work

#: The version of MLflow whose clients this API was compared with.
SPEAKS = "3.17.2"
_INFO = {
    "assay": version("assay"),
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
}
#: Open, so that a balancer can look whether the server lives.
_ALIVE = {path: Fixed("open", lambda: answer_text("OK")) for path in ("/health", "/ready")}
_FIXED = _ALIVE | {
    "/": Fixed("read", lambda: answer_text(f"Assay {version('assay')}: MLFLOW_TRACKING_URI is this address.")),
    "/version": Fixed("read", lambda: answer_text(SPEAKS)),
    "/server-info": Fixed("read", lambda: answer_json(_INFO)),
    "/api/3.0/mlflow/server-info": Fixed("read", lambda: answer_json(_INFO)),
}


def create_app(store: Store, guard: Guard, work: Work, prefix: str = "") -> Starlette:
    """The application; `prefix`, like `/mlflow`, stands before every path but those of balancers."""
    door = partial(Door, store, guard, work)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        work.close()

    every = "/{path:path}"
    if not prefix:
        return Starlette(routes=[Route(every, door(_find))], lifespan=lifespan)
    below = Mount(prefix, routes=[Route(every, door(_find))])
    return Starlette(routes=[below, Route(every, door(_find_outside))], lifespan=lifespan)


def _find(method: str, path: str) -> Found | None:
    fixed = _FIXED.get(path)
    return (fixed, ()) if fixed else find_route(method, path)


def _find_outside(_method: str, path: str) -> Found | None:
    """What stands outside of the prefix."""
    alive = _ALIVE.get(path)
    return (alive, ()) if alive else None
