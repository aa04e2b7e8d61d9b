"""Copies of bundles in the home of a team's machine: what was opened once opens again while the bucket is away."""

from contextlib import suppress

from assay.errors import Corrupt, NotFound, Unavailable
from assay.store import Artifacts, Store

#: So many copies stay, the newest.
MOST_COPIES = 16


def bundle_bytes(store: Store, digest: str) -> bytes:
    """The content of a bundle, from its copy in the home where there is one. Raises `NotFound`, `Corrupt`, `Unavailable`."""
    if not store.keeps_files_elsewhere:
        return store.artifacts.get(digest)
    copies = Artifacts(store.home.bundles)
    try:
        return copies.get(digest)
    except (NotFound, Corrupt):
        content = store.artifacts.get(digest)
    with suppress(Unavailable):  # this disk is full
        copies.put(content)
        _forget_old(copies)
    return content


def _forget_old(copies: Artifacts) -> None:
    copies.sweep()
    newest_first = sorted(copies.digests(), key=lambda one: one[2], reverse=True)
    for digest, _, _ in newest_first[MOST_COPIES:]:
        copies.delete(digest)
