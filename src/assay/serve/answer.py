"""From a request's body to an answer and a line in the prediction log; knows nothing of HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from math import inf
from typing import Any, NamedTuple

import msgspec

from assay.contract import Decoder
from assay.contract.columns import from_rows
from assay.contract.decode import Decoded
from assay.errors import AssayError, BadInput
from assay.model import Bundle, open_bundle
from assay.predictions import PredictionLog
from assay.store import Store
from assay.track import ModelVersion

_encode = msgspec.json.Encoder().encode


class Unanswerable(AssayError):
    """The model gave something that its own contract refuses."""


@dataclass(frozen=True)
class Served:
    """One model version that answers."""

    version: ModelVersion
    bundle: Bundle
    decoder: Decoder[Any]
    log: PredictionLog

    @cached_property
    def name(self) -> str:
        """Model and version, as log records name it."""
        return str(self.version)

    @cached_property
    def allowed(self) -> tuple[float, float]:
        """The lowest and the highest prediction that the contract takes."""
        declared = self.bundle.model.output.range
        low, high = (declared.low, declared.high) if declared else (None, None)
        return (-inf if low is None else low, inf if high is None else high)


def open_served(store: Store, version: ModelVersion, *, rotate_s: float) -> Served:
    """Open a version for serving; its prediction log begins a segment every `rotate_s` seconds."""
    bundle = open_bundle(store, version.bundle)
    log = PredictionLog(store.home, bundle.layout, version.version, max_age_s=rotate_s)
    return Served(version, bundle, Decoder(bundle.model.takes), log)


class Request(NamedTuple):
    """What was asked, decoded and valid."""

    id: str
    received: datetime
    decoded: Decoded[Any]


def read(served: Served, body: bytes, request_id: str) -> Request:
    """The request in a JSON body. Raises `Invalid` or `BadInput` for a body that breaks the contract."""
    received = datetime.now(UTC)
    decoded = served.decoder.decode(body)
    if not decoded.rows:
        raise BadInput("the body holds no rows", do="Send at least one.")
    return Request(request_id, received, decoded)


def answer(served: Served, body: bytes, request_id: str) -> bytes:
    """The JSON answer to a JSON body; the rows are in the prediction log when it returns.

    One object gives `prediction`, an array gives `predictions`. Raises `Invalid` or `BadInput` for a body that breaks
    the contract, and `Unanswerable` when the prediction does.
    """
    (said,) = answer_all(served, [read(served, body, request_id)])
    return said


def answer_all(served: Served, requests: Sequence[Request]) -> list[bytes]:
    """The answers to several requests, computed at once; either all are answered and logged, or none and it raises.

    Raises `Unanswerable`, and whatever the model's features raise.
    """
    bundle = served.bundle
    rows = [row for request in requests for row in request.decoded.rows]
    features = bundle.features(from_rows(rows, bundle.model.takes))
    values: list[float] = bundle.predict(features).tolist()
    _check_output(served, values)
    origins = [(one.id, i, one.received) for one in requests for i in range(len(one.decoded.rows))]
    served.log.append_rows(origins, datetime.now(UTC), rows, features, [(value,) for value in values])
    left = iter(values)
    return [_said(served, one, list(islice(left, len(one.decoded.rows)))) for one in requests]


def _said(served: Served, request: Request, values: list[float]) -> bytes:
    name, version = served.bundle.model.output.name, served.version
    said: dict[str, Any] = (
        {"prediction": {name: values[0]}}
        if request.decoded.single
        else {"predictions": [{name: value} for value in values]}
    )
    said["model"], said["version"], said["request_id"] = version.model, version.version, request.id
    return _encode(said)


def _check_output(served: Served, values: list[float]) -> None:
    low, high = served.allowed
    for value in values:
        if not low <= value <= high:  # nor NaN
            raise Unanswerable(f"{served.name}: the prediction {value} is not {served.bundle.model.output.rule}")
