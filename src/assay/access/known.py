"""The tokens of a server, in memory: no request asks the database who it is."""

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from hmac import compare_digest
from typing import Self

from assay.access.tokens import Token, every, hash_of, note_use
from assay.errors import AssayError
from assay.store import Store

log = logging.getLogger(__name__)
#: A token that was removed is refused, and a new one known, after so many seconds at the latest.
FRESH_S = 2.0
_START = 8


class KnownTokens:
    """All tokens, read again every `FRESH_S` seconds; those read last while the database does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._used: set[str] = set()
        self._by_start: dict[str, list[tuple[str, Token]]] = {}
        self._read()

    def find(self, secret: str) -> Token | None:
        """The token of a secret. The time that it takes says nothing of how much of a hash was right."""
        digest = hash_of(secret)
        for known, token in self._by_start.get(digest[:_START], ()):
            if compare_digest(known, digest):
                self._used.add(token.name)
                return token
        return None

    @contextmanager
    def kept_fresh(self) -> Generator[Self]:
        """Read them again and again for the length of a block."""
        stop = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(stop,), name="tokens", daemon=True)
        keeper.start()
        try:
            yield self
        finally:
            stop.set()
            keeper.join(FRESH_S)

    def _keep(self, stop: threading.Event) -> None:
        refusal = ""
        while not stop.wait(FRESH_S):
            try:
                self._read()
                used, self._used = self._used, set()
                note_use(self._store, used)
                refusal = ""
            except AssayError as error:
                if str(error) != refusal:  # said once
                    log.warning("tokens that were read before stay valid: %s", error)
                refusal = str(error)
            except Exception:
                log.exception("tokens that were read before stay valid")

    def _read(self) -> None:
        found: dict[str, list[tuple[str, Token]]] = {}
        for digest, token in every(self._store):
            found.setdefault(digest[:_START], []).append((digest, token))
        self._by_start = found
