"""The store that the work at hand uses: one home, its database and its artifacts."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache

from assay.store.artifacts import Artifacts
from assay.store.database import Database
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
        """Bundles and other files, by content."""
        return Artifacts(self.home.artifacts)


_chosen: ContextVar[Store | None] = ContextVar("store", default=None)


@lru_cache(maxsize=16)
def _opened(home: Home, _url: str) -> Store:
    return Store(home)


def current() -> Store:
    """The store chosen by `use`, or that of the home found from this folder."""
    store = _chosen.get()
    if store is None:
        home = find_home()
        store = _opened(home, home.database_url)
    return store


@contextmanager
def use(home: Home) -> Generator[Store]:
    """Work in `home` for the length of a block."""
    token = _chosen.set(_opened(home, home.database_url))
    try:
        yield current()
    finally:
        _chosen.reset(token)
