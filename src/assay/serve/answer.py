"""From a request's body to an answer and a line in the prediction log; knows nothing of HTTP."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import inf
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


def answer(served: Served, body: bytes, request_id: str) -> bytes:
    """The JSON answer to a JSON body; the rows are in the prediction log when it returns.

    One object gives `prediction`, an array gives `predictions`. Raises `Invalid` or `BadInput` for a body that breaks
    the contract, and `Unanswerable` when the prediction does.
    """
    received = datetime.now(UTC)
    decoded = served.decoder.decode(body)
    if not decoded.rows:
        raise BadInput("the body holds no rows", do="Send at least one.")
    bundle, version = served.bundle, served.version
    features = bundle.features(from_rows(decoded.rows, bundle.model.takes))
    values: list[float] = bundle.predict(features).tolist()
    _check_output(served, values)
    served.log.append(request_id, received, datetime.now(UTC), decoded.rows, features, [(value,) for value in values])
    name = bundle.model.output.name
    said: dict[str, Any] = (
        {"prediction": {name: values[0]}} if decoded.single else {"predictions": [{name: value} for value in values]}
    )
    said["model"], said["version"], said["request_id"] = version.model, version.version, request_id
    return _encode(said)


def _check_output(served: Served, values: list[float]) -> None:
    low, high = served.allowed
    for value in values:
        if not low <= value <= high:  # nor NaN
            raise Unanswerable(f"{served.name}: the prediction {value} is not {served.bundle.model.output.rule}")
