"""The store that the work at hand uses: one home, its database and its artifacts."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import unquote

from assay.errors import BadInput
from assay.store.artifacts import Artifacts, Shelf
from assay.store.bucket import Bucket
from assay.store.database import Database
from assay.store.folder import Folder
from assay.store.home import Home, find_home


class Store:
    """A home with its connections, opened at first use."""

    def __init__(self, home: Home) -> None:
        self.home = home
        #: Of this store for good: what is on its way there must not end elsewhere when `ASSAY_DATABASE` is changed.
        self.database_url = home.database_url

    @cached_property
    def database(self) -> Database:
        """Runs, versions, journal, ledger."""
        return Database(self.database_url)

    @cached_property
    def artifacts(self) -> Artifacts:
        """Bundles and other files, by content. Raises `BadInput` for an address that is none."""
        return Artifacts(_shelf(self.home))


def _shelf(home: Home) -> Shelf:
    """Where the artifacts of a home lie."""
    url = home.artifacts_url
    scheme, found, rest = url.partition("://")
    if not found:
        return Folder(home.project / url)
    if scheme == "s3":
        return Bucket(url, home.artifacts)
    rest = rest.removeprefix("localhost")
    if scheme == "file" and rest.startswith("/") and not re.search("[?#]|%00", rest):
        return Folder(Path(unquote(rest)))
    raise BadInput(
        f"{url!r} is no place for artifacts",
        do="Set ASSAY_ARTIFACTS to a folder, file:///FOLDER or s3://BUCKET/PREFIX.",
    )


_chosen: ContextVar[Store | None] = ContextVar("store", default=None)


@lru_cache(maxsize=16)
def _opened(home: Home, *_decided_by: str | tuple[str, str]) -> Store:
    return Store(home)


def _open(home: Home) -> Store:
    """The store of a home; another one when the environment names another database, place or server."""
    url = home.artifacts_url
    server = sorted(item for item in os.environ.items() if item[0].startswith("AWS_")) if url.startswith("s3:") else ()
    return _opened(home, home.database_url, url, *server)


def current() -> Store:
    """The store chosen by `use`, or that of the home found from this folder."""
    store = _chosen.get()
    if store is None:
        home = find_home()
        store = _open(home)
    return store


@contextmanager
def use(home: Home) -> Generator[Store]:
    """Work in `home` for the length of a block."""
    token = _chosen.set(_open(home))
    try:
        yield current()
    finally:
        _chosen.reset(token)
