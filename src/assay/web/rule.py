"""What stands beside each route: the right that it needs, and who answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from assay.access import Right
from assay.store import Store
from assay.web.fields import Message
from assay.web.http import Answer

#: Takes the fields of a request, as its API reads them.
Handler = Callable[[Store, Any], Mapping[str, Any]]
#: MLflow's largest legal batch has 1 MB of JSON.
MAX_JSON_BYTES = 4 << 20


@dataclass(frozen=True)
class RequestSchema:
    """Declared fields in, fields out."""

    right: Right
    handler: Handler
    takes: Message
    most_bytes: int = MAX_JSON_BYTES


class Incoming(Protocol):
    """A file that grows while its client sends it; each method may wait for a disk."""

    def write(self, piece: bytes) -> None:
        """Append to it."""
        ...

    def keep(self) -> Answer:
        """It is whole: keep it."""
        ...

    def drop(self) -> None:
        """Leave nothing of it; harmless when it was kept."""
        ...


@dataclass(frozen=True)
class Upload:
    """A file in; what is in the places of the route says which."""

    right: Right
    begin: Callable[..., Incoming]


@dataclass(frozen=True)
class Download:
    """A file out, or one removed: what is in the places of the route or in the query says which."""

    right: Right
    answer: Callable[[Store, Any], Answer]
    takes: Message


read, write, admin = partial(RequestSchema, "read"), partial(RequestSchema, "write"), partial(RequestSchema, "admin")


@dataclass(frozen=True)
class Fixed:
    """The same answer for everybody, without the database."""

    right: Right
    answer: Callable[[], Answer]


#: Who answers a request, and what stands in the places of its route.
Found = tuple[RequestSchema | Upload | Download | Fixed, Sequence[str]]
#: Finds that for a method and a path; None when nobody answers.
Find = Callable[[str, str], Found | None]
