"""What is published of a model: its estimator, its categories and its code, as one content-addressed file."""

import hashlib
import tarfile
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np

from assay.contract import Columns
from assay.contract.columns import Array
from assay.errors import BadInput, Corrupt
from assay.model import code
from assay.model.estimator import Format, Predictor, Saved, load
from assay.model.features import Kind, Matrix, compute, encode
from assay.model.model import Model
from assay.predictions import Layout
from assay.store import Store
from assay.store.artifacts import pack, unpack

FACTS, ESTIMATOR, CODE = "bundle.json", "estimator", "code/"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says of itself."""

    model: str
    #: Where in the code the model is declared.
    module: str
    attribute: str
    features: dict[str, Kind]
    #: The values of each text feature; their positions are the codes.
    categories: dict[str, list[str]]
    format: Format
    rows: int
    trained_until: datetime
    #: JSON Schema of the input, for people and for other languages.
    takes: dict[str, Any]
    assay: str


class Bundle:
    """A published model, ready to predict."""

    def __init__(self, digest: str, facts: Facts, model: Model, predictor: Predictor) -> None:
        self.digest = digest
        self.facts = facts
        self.model = model
        self.layout = Layout(model.name, model.takes, model.gives, facts.features)
        self._predictor = predictor
        self._names = list(facts.features)
        self._codes = {name: {v: float(i) for i, v in enumerate(values)} for name, values in facts.categories.items()}

    def features(self, columns: Columns[Any]) -> dict[str, Array]:
        """The features of n rows, each of shape (n,); raises `BadInput` when they are not those it was trained on."""
        found = compute(self.model, columns)
        if list(found) != self._names:
            raise BadInput(
                f"{self.model.name}: features() gives {', '.join(found)}", f"it was trained on {', '.join(self._names)}"
            )
        for name, column in found.items():
            if (column.dtype.kind == "T") is not (name in self._codes):
                raise BadInput(
                    f"{self.model.name}: feature {name} is {column.dtype}",
                    f"it was trained as a {self.facts.features[name]}",
                    do="Give it one type, whatever the rows.",
                )
        return found

    def matrix(self, features: Mapping[str, Array]) -> Matrix:
        """The features as the estimator wants them, shape (n, k)."""
        return encode(features, self._names, self._codes)

    def predict(self, features: Mapping[str, Array]) -> Array:
        """Predictions of shape (n,), float64, from features; raises `BadInput` when there is not one for each row."""
        matrix = self.matrix(features)
        predicted = np.asarray(self._predictor(matrix.values), dtype=np.float64)
        if predicted.shape != (len(matrix),):
            raise BadInput(
                f"{self.model.name} predicts an array of shape {predicted.shape} for {len(matrix)} rows",
                do="A model gives one number for each row.",
            )
        return predicted

    def __str__(self) -> str:
        return f"{self.model.name}@{self.digest[:12]}"


def pack_bundle(
    model: Model,
    saved: Saved,
    features: Mapping[str, Kind],
    categories: Mapping[str, list[str]],
    *,
    rows: int,
    trained_until: datetime,
) -> bytes:
    """One file with all that serving needs; the same content always gives the same bytes."""
    module, attribute = code.where_declared(model)
    facts = Facts(
        model=model.name,
        module=module,
        attribute=attribute,
        features=dict(features),
        categories=dict(categories),
        format=saved.format,
        rows=rows,
        trained_until=trained_until,
        takes=msgspec.json.schema(model.takes),
        assay=version("assay"),
    )
    sources = {CODE + name: content for name, content in code.collect(model).items()}
    return pack({FACTS: msgspec.json.encode(facts), ESTIMATOR: saved.data, **sources})


def open_bundle(store: Store, digest: str) -> Bundle:
    """The bundle of a digest, with the code that was published in it; the last few stay open.

    Raises `NotFound`, or `Corrupt` when the file is damaged.
    """
    return _open(store, digest)


@lru_cache(maxsize=8)
def _open(store: Store, digest: str) -> Bundle:
    try:
        files = unpack(store.artifacts.get(digest))
        facts = msgspec.json.decode(files[FACTS], type=Facts)
        saved = Saved(facts.format, files[ESTIMATOR])
    except (tarfile.TarError, KeyError, msgspec.MsgspecError) as error:
        raise Corrupt(f"artifact {digest[:12]} is not a bundle: {error}", do="Train and publish again.") from None
    sources = {name.removeprefix(CODE): content for name, content in files.items() if name.startswith(CODE)}
    identity = hashlib.sha256(pack(sources)).hexdigest()[:16]
    module = code.load(sources, store.home.code / identity, facts.module)
    model = getattr(module, facts.attribute, None)
    if not isinstance(model, Model):
        raise Corrupt(f"bundle {digest[:12]}: {facts.module}.{facts.attribute} is not a model", do="Train it again.")
    return Bundle(digest, facts, model, load(saved))
