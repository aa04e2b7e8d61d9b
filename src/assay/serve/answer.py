"""From a request's body to an answer and a line in the prediction log; knows nothing of HTTP."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from assay.contract import Decoder
from assay.contract.columns import from_rows
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

    @property
    def name(self) -> str:
        """Model and version, as log records name it."""
        return str(self.version)


def open_served(store: Store, version: ModelVersion, *, rotate_s: float) -> Served:
    """Open a version for serving, and ask it once so that the first request is as fast as the others."""
    bundle = open_bundle(store, version.bundle)
    log = PredictionLog(store.home, bundle.layout, version.version, max_age_s=rotate_s)
    return Served(version, bundle, Decoder(bundle.model.takes), log)


def answer(served: Served, body: bytes, request_id: str) -> bytes:
    """The JSON answer to a JSON body; the rows are in the prediction log when it returns.

    One object gives `prediction`, an array gives `predictions`. Raises `Invalid` or `BadInput` for a body that breaks
    the contract, and `Unanswerable` when the prediction does.
    """
    received = datetime.now(UTC)
    decoded = served.decoder.decode(body)
    bundle = served.bundle
    if not decoded.rows:
        raise BadInput("the body holds no rows", do="Send at least one.")
    features = bundle.features(from_rows(decoded.rows, bundle.model.takes))
    values = bundle.predict(features).tolist()
    name = bundle.model.output.name
    _check_output(bundle, values)
    served.log.append(request_id, received, datetime.now(UTC), decoded.rows, features, [[value] for value in values])
    said: dict[str, Any] = (
        {"prediction": {name: values[0]}} if decoded.single else {"predictions": [{name: value} for value in values]}
    )
    return _encode({**said, "model": served.version.model, "version": served.version.version, "request_id": request_id})


def _check_output(bundle: Bundle, values: list[float]) -> None:
    allowed = bundle.model.output.range
    low = allowed.low if allowed and allowed.low is not None else -math.inf
    high = allowed.high if allowed and allowed.high is not None else math.inf
    for value in values:
        if not low <= value <= high:
            raise Unanswerable(f"{bundle}: the prediction {value} is not {bundle.model.output.rule}")
