"""Artifacts in a bucket of S3, or of a server that speaks like it."""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from assay.errors import BadInput, NotFound, Unavailable
from assay.settings import setting
from assay.store.parts import PIECE, READ, RENEW_AFTER, Part, pieces

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Store

_URL = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,62})(?P<prefix>(/[A-Za-z0-9._=+@-]+)*)/*")
#: Small enough for a slow line: each request has `TIMEOUT_S`.
_RANGE = 8 * PIECE
_UPLOAD = 5 * PIECE
_UPLOADS_AT_ONCE = 4
_MOST_PARTS = 10_000
#: One request; the last retry begins within `RETRY_S`, so that a store that is away costs 25 seconds at most.
TIMEOUT_S = 15
RETRY_S = 10


class Bucket:
    """Objects under `PREFIX/ab/abcdef...`; keys and endpoint come from `AWS_*` in the environment."""

    def __init__(self, url: str, spool: Path, *, renew_after: timedelta = RENEW_AFTER) -> None:
        """Open a bucket; nothing is sent yet. Raises `BadInput` for a bad URL or endpoint, or without obstore."""
        self.name = url
        self.spool = spool
        self._store = _open(url)
        self._renew_after = renew_after

    def path(self, digest: str) -> None:
        """There is none."""

    def size(self, digest: str) -> int:
        """Its size in bytes. Raises `NotFound`."""
        import obstore

        with self._asking(digest):
            return obstore.head(self._store, _key(digest))["size"]

    def holds(self, digest: str, size: int) -> bool:
        """Whether it is there with this size; S3 keeps an object whole or not at all.

        One that is older than half a day is to be uploaded again: only that makes it young for a clean-up by age.
        """
        found = self._head(digest)
        return bool(found) and found["size"] == size and found["last_modified"] > datetime.now(UTC) - self._renew_after

    def pieces(self, digest: str, size: int, ahead: int) -> Iterator[bytes]:
        """Its content, not checked, asked for in ranges so that none needs longer than the timeout."""
        import obstore

        for start in range(0, size, ahead):
            with self._asking(digest):
                end = min(start + ahead, size)
                found = memoryview(obstore.get_range(self._store, _key(digest), start=start, end=end))
            for at in range(0, len(found), READ):
                yield bytes(found[at : at + READ])

    def keep(self, part: Part, digest: str) -> None:
        """Upload a part as the content of `digest`."""
        import obstore

        part.flush()
        with self._asking():
            if part.size <= _UPLOAD:
                obstore.put(self._store, _key(digest), part.path.read_bytes(), use_multipart=False)
                return
            chunk = max(_UPLOAD, -(-part.size // _MOST_PARTS))
            # From an iterator, since Python runs between the chunks and so can be interrupted.
            obstore.put(
                self._store, _key(digest), pieces(part.path), chunk_size=chunk, max_concurrency=_UPLOADS_AT_ONCE
            )

    def names(self) -> Iterator[tuple[str, int, datetime]]:
        """Everything below: name, size in bytes, when it was kept."""
        import obstore

        found = iter(obstore.list(self._store, chunk_size=1000))
        while True:
            with self._asking():
                some = next(found, None)
            if some is None:
                return
            for one in some:
                yield one["path"], one["size"], one["last_modified"]

    def delete(self, digest: str, *, kept_before: datetime | None = None) -> bool:
        """Remove it, if it is there, and was not kept again since `kept_before`; whether it was removed."""
        import obstore

        if kept_before:
            found = self._head(digest)
            if not found or found["last_modified"] >= kept_before:
                return False
        with self._asking():
            obstore.delete(self._store, _key(digest))
        return True

    def _head(self, digest: str) -> "ObjectMeta | None":
        import obstore

        try:
            with self._asking(digest):
                return obstore.head(self._store, _key(digest))
        except NotFound:
            return None

    def below(self, folder: str) -> Iterator[str]:
        """The names of the files below a folder, by which `put`, `read` and `delete_named` know them."""
        import obstore

        found = iter(obstore.list(self._store, prefix=folder or None, chunk_size=1000))
        while True:
            with self._asking():
                some = next(found, None)
            if some is None:
                return
            yield from (one["path"] for one in some)

    def put(self, name: str, path: Path) -> None:
        """Keep a file under a name of its own; S3 keeps it whole or not at all."""
        import obstore

        with self._asking():
            obstore.put(self._store, name, pieces(path), chunk_size=_UPLOAD, max_concurrency=_UPLOADS_AT_ONCE)

    def read(self, name: str) -> Iterator[bytes]:
        """The content of such a file, in ranges. Raises `NotFound`."""
        import obstore

        with self._asking(name):
            size = obstore.head(self._store, name)["size"]
        for start in range(0, size, _RANGE):
            with self._asking(name):
                yield bytes(obstore.get_range(self._store, name, start=start, end=min(start + _RANGE, size)))

    def delete_named(self, name: str) -> None:
        """Remove such a file, if it is there."""
        import obstore

        with self._asking():
            obstore.delete(self._store, name)

    @contextmanager
    def _asking(self, digest: str = "") -> Generator[None]:
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        if _process_of_obstore() != os.getpid():  # its threads did not come along; it would wait for ever
            raise Unavailable(
                f"a forked process can't reach {self.name}",
                do='Start processes with multiprocessing.get_context("spawn").',
            )
        try:
            yield
        except FileNotFoundError as error:
            if digest:
                raise NotFound(f"there is no artifact {digest[:12]} in {self.name}") from None
            raise Unavailable(f"there is no bucket for {self.name}", _reason(error), do="Create it first.") from None
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise Unavailable(
                f"{self.name} refuses the keys",
                _reason(error),
                do="Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, their permissions and the clock.",
            ) from None
        except BaseError as error:
            raise Unavailable(f"{self.name} does not answer", _reason(error), do=_advice()) from None


def _key(digest: str) -> str:
    return f"{digest[:2]}/{digest}"


@cache
def _process_of_obstore() -> int:
    return os.getpid()


def _open(url: str) -> "S3Store":
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError:
        raise BadInput("the library for S3 is not installed", do='Run: pip install "assay[s3]"') from None
    parts = _URL.fullmatch(url)
    if not parts or {".", ".."} & set(parts["prefix"].split("/")):
        raise BadInput(f"{url!r} is not the address of a bucket", do="Write s3://BUCKET or s3://BUCKET/PREFIX.")
    client: ClientConfig = {
        "allow_http": _endpoint().startswith("http://"),
        "connect_timeout": "5s",
        "timeout": f"{TIMEOUT_S}s",
    }
    retry: RetryConfig = {
        "max_retries": 4,
        "retry_timeout": timedelta(seconds=RETRY_S),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 3},
    }
    try:
        return S3Store(
            parts["bucket"], prefix=parts["prefix"].strip("/") or None, client_options=client, retry_config=retry
        )
    except (BaseError, ValueError) as error:
        raise BadInput(f"can't open {url}", _reason(error), do="Check the AWS_* variables.") from None


def _endpoint() -> str:
    """The address that the environment gives, or "" for AWS itself; obstore panics at one that is none."""
    variable = next((one for one in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT") if setting(one)), "")
    given = setting(variable) if variable else ""
    try:
        parts = urlsplit(given)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if given and not (sound and re.fullmatch(r"[!-~]+", given)):
        raise BadInput(f"{variable}={given!r} is not an address", do="Write one like http://127.0.0.1:9000.")
    return given


def _advice() -> str:
    if not setting("AWS_ACCESS_KEY_ID"):
        return "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, unless the machine has a role of its own."
    return "Check AWS_ENDPOINT_URL, AWS_REGION and that the server runs."


def _reason(error: Exception) -> str:
    r"""What obstore says, without what differs each time or is for its developers.

    >>> _reason(Exception("GET http://x in 1.2ms - 404 Not Found: <?xml?>\n<Code>NoSuchBucket</Code>\n\nDebug"))
    'GET http://x - 404 Not Found: NoSuchBucket'
    """
    first = str(error).strip().partition("\n")[0].partition("<")[0]
    said = re.sub(r" in [\d.]+[nµm]?s(, after [^-]*?(?= - |$))?", "", first)
    code = re.search("<Code>(.*?)</Code>", str(error))
    return said[:300].rstrip() + (f" {code[1]}" if code else "")
