"""From a request's body to an answer and a line in the prediction log; knows nothing of HTTP."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice, repeat
from typing import Any, NamedTuple

import msgspec
import numpy as np

from assay.contract import Decoder
from assay.contract.columns import from_rows
from assay.contract.decode import Decoded
from assay.errors import AssayError, BadInput, Unavailable
from assay.model import Bundle, open_bundle
from assay.model.settled import Settled
from assay.predictions import PredictionLog
from assay.serve.no_log import NoLog
from assay.store import Store
from assay.track import ModelVersion

log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
#: Records of refused rows that one batch leaves in the log; all are counted.
MOST_LOGGED = 10


class Unanswerable(AssayError):
    """The model gave something that its own contract refuses."""


class NotLogged(Unavailable):
    """The prediction log can't take the rows, and answers without it are not wanted."""


@dataclass
class Counts:
    """Rows whose prediction lay outside of its contract since the server began."""

    refused: int = 0
    clipped: int = 0
    allowed: int = 0


@dataclass(frozen=True)
class Served:
    """One model version that answers."""

    version: ModelVersion
    bundle: Bundle
    decoder: Decoder[Any]
    log: PredictionLog | NoLog
    #: Rows that can't be logged are not answered.
    require_log: bool = False
    counts: Counts = field(default_factory=Counts)

    @cached_property
    def name(self) -> str:
        """Model and version, as log records name it."""
        return str(self.version)


def open_served(store: Store, version: ModelVersion, *, rotate_s: float, require_log: bool = False) -> Served:
    """Open a version for serving; its prediction log begins a segment every `rotate_s` seconds.

    With `require_log`, rows that can't be logged are not answered.
    """
    bundle = open_bundle(store, version.bundle)
    log = PredictionLog(store.home, bundle.layout, version.version, max_age_s=rotate_s)
    return Served(version, bundle, Decoder(bundle.model.takes), log, require_log)


class PredictionRequest(NamedTuple):
    """What was asked, decoded and valid."""

    id: str
    received: datetime
    decoded: Decoded[Any]


def read(served: Served, body: bytes, request_id: str) -> PredictionRequest:
    """The request in a JSON body. Raises `Invalid` or `BadInput` for a body that breaks the contract."""
    received = datetime.now(UTC)
    decoded = served.decoder.decode(body)
    if not decoded.rows:
        raise BadInput("the body holds no rows", do="Send at least one.")
    return PredictionRequest(request_id, received, decoded)


def answer(served: Served, body: bytes, request_id: str) -> bytes:
    """The JSON answer to a JSON body; the rows are in the prediction log when it returns.

    One object gives `prediction`, an array gives `predictions`. A row whose prediction is refused gets an `error` in its
    place. Where the log did not take the rows, `"logged": false` says so. Raises `Invalid` or `BadInput` for a body that
    breaks the contract, `Unanswerable` when the only row is refused, `NotLogged` when a log is required.
    """
    (said,) = answer_all(served, [read(served, body, request_id)])
    if isinstance(said, Unanswerable):
        raise said
    return said


def answer_all(served: Served, requests: Sequence[PredictionRequest]) -> list[bytes | Unanswerable]:
    """The answers to several requests, computed at once; `Unanswerable` for one row that is refused.

    Either all are logged, or none. Raises `NotLogged`, and whatever the model's features raise.
    """
    bundle = served.bundle
    rows = [row for request in requests for row in request.decoded.rows]
    features = bundle.features(from_rows(rows, bundle.model.takes))
    settled = bundle.settle(bundle.predict(features))
    origins = [(one.id, i, one.received) for one in requests for i in range(len(one.decoded.rows))]
    if not settled.all_allowed and (settled.refused.any() or settled.outside.any()):
        faults = _faults(served, settled, origins)
        kept = np.flatnonzero(~settled.refused)
        rows, origins = [rows[i] for i in kept], [origins[i] for i in kept]
        features = {name: column[kept] for name, column in features.items()}
        settled = replace(settled, values={name: column[kept] for name, column in settled.values.items()})
    else:
        faults = None
    answers = settled.rows()
    logged = served.log.append_rows(origins, datetime.now(UTC), rows, features, settled.records()) if rows else True
    if not logged and served.require_log:
        raise NotLogged("the prediction log can't take the rows, and --require-log is set")
    left, wrong = iter(answers), iter(faults or repeat(None))
    return [_said(served, one, left, list(islice(wrong, len(one.decoded.rows))), logged=logged) for one in requests]


def _faults(served: Served, settled: Settled, origins: Sequence[tuple[str, int, datetime]]) -> list[str | None]:
    """What is wrong with each refused row; counts and logs what is outside."""
    refused, outside, clipped = settled.refused, settled.outside & ~settled.refused, settled.clipped & ~settled.refused
    served.counts.refused += int(refused.sum())
    served.counts.clipped += int(clipped.sum())
    served.counts.allowed += int((outside & ~clipped).sum())
    for i in np.flatnonzero(refused | outside)[:MOST_LOGGED].tolist():
        word = "refused" if refused[i] else "clipped" if clipped[i] else "allowed"
        log.warning(
            "%s: row %s of request %s: a prediction outside of its contract, %s",
            served.name,
            origins[i][1],
            origins[i][0],
            word,
        )
    return [f"{served.name}: {settled.why(i)}" if bad else None for i, bad in enumerate(refused.tolist())]


def _said(
    served: Served,
    request: PredictionRequest,
    answers: Iterator[dict[str, Any]],
    faults: list[str | None],
    *,
    logged: bool,
) -> bytes | Unanswerable:
    """The answer to a request; takes from `answers` those of its rows that are not refused."""
    version = served.version
    if request.decoded.single and faults[0]:
        return Unanswerable(faults[0])
    each = [next(answers) if fault is None else {"error": fault} for fault in faults]
    said: dict[str, Any] = {"prediction": each[0]} if request.decoded.single else {"predictions": each}
    said["model"], said["version"], said["request_id"] = version.model, version.version, request.id
    if not logged:
        said["logged"] = False
    return _encode(said)
