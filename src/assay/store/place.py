"""The store that the work at hand uses: one home, its database and its artifacts."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from threading import RLock
from urllib.parse import unquote
from weakref import WeakSet

from assay.errors import BadInput
from assay.store.artifacts import Artifacts, Shelf
from assay.store.bucket import Bucket
from assay.store.database import Database
from assay.store.folder import Folder
from assay.store.home import Home, find_home
from assay.store.ledger_marks import Marks, MarksInBucket, MarksInFolder, mark
from assay.store.marks import going
from assay.store.staged import Staged


class Store:
    """A home with its connections, opened at first use."""

    def __init__(self, home: Home) -> None:
        self.home = home
        #: Of this store for good: what is on its way there must not end elsewhere when `ASSAY_DATABASE` is changed.
        self.database_url = home.database_url
        self._database: Database | None = None
        self._artifacts: Artifacts | None = None
        self._ledger_marks: Marks | None = None
        self._opening = RLock()
        _stores.add(self)

    @property
    def database(self) -> Database:
        """Runs, versions, journal, ledger; one object, whichever thread asks first."""
        if self._database is None:
            with self._opening:
                self._database = self._database or Database(
                    self.database_url, lambda lines: mark(lambda: self.ledger_marks, lines)
                )
        return self._database

    @property
    def artifacts(self) -> Artifacts:
        """Bundles and other files, by content. Raises `BadInput` for an address that is none."""
        if self._artifacts is None:
            with self._opening:
                self._artifacts = self._artifacts or self._open_artifacts()
        return self._artifacts

    def _open_artifacts(self) -> Artifacts:
        place = _shelf(self.home)
        if not self.keeps_files_elsewhere:
            return Artifacts(place)
        return Artifacts(Staged(place, Folder(self.home.pending), lambda digest: bool(going(self.database, {digest}))))

    @property
    def keeps_files_elsewhere(self) -> bool:
        """Whether files of runs go to `pending` first: their place is a bucket, or a folder that a team may share."""
        url = self.home.artifacts_url
        return "://" in url or (self.home.project / url) != self.home.artifacts

    @property
    def ledger_marks(self) -> Marks:
        """What is known of the ledger outside of the database. Raises `BadInput` as `artifacts` does."""
        if self._ledger_marks is None:
            with self._opening:
                self._ledger_marks = self._ledger_marks or self._open_ledger_marks()
        return self._ledger_marks

    def _open_ledger_marks(self) -> Marks:
        url = self.home.artifacts_url
        in_bucket = url.startswith("s3://")
        return MarksInBucket(url, self.home.artifacts) if in_bucket else MarksInFolder(folder_of(self.home))

    def begin_in_child(self) -> None:
        """Another thread of the parent may have been opening when the process forked."""
        self._opening = RLock()


_stores: WeakSet[Store] = WeakSet()


def _begin_in_child() -> None:
    global _choosing  # noqa: PLW0603
    _choosing = RLock()
    for store in list(_stores):
        store.begin_in_child()


os.register_at_fork(after_in_child=_begin_in_child)


def _shelf(home: Home) -> Shelf:
    """Where the artifacts of a home lie."""
    url = home.artifacts_url
    return Bucket(url, home.artifacts) if url.startswith("s3://") else Folder(folder_of(home))


def folder_of(home: Home) -> Path:
    """The folder in which the artifacts of a home lie, when they lie in one. Raises `BadInput` for another address."""
    url = home.artifacts_url
    scheme, found, rest = url.partition("://")
    if not found:
        return home.project / url
    rest = rest.removeprefix("localhost")
    if scheme == "file" and rest.startswith("/") and not re.search("[?#]|%00", rest):
        return Path(unquote(rest))
    raise BadInput(
        f"{url!r} is not a place for artifacts",
        do="Set ASSAY_ARTIFACTS to a folder, file:///FOLDER or s3://BUCKET/PREFIX.",
    )


#: Two threads that ask for one home at once get one store.
_choosing = RLock()
_chosen: ContextVar[Store | None] = ContextVar("store", default=None)


@lru_cache(maxsize=16)
def _opened(home: Home, *_decided_by: str | tuple[str, str]) -> Store:
    return Store(home)


def _open(home: Home) -> Store:
    """The store of a home; another one when the environment names another database, place or server."""
    url = home.artifacts_url
    server = sorted(item for item in os.environ.items() if item[0].startswith("AWS_")) if url.startswith("s3:") else ()
    with _choosing:
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
