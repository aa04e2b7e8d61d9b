"""What is published of a model: its estimator, its categories and its code, as one content-addressed file."""

import hashlib
import tarfile
from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import msgspec

from assay.contract import Columns, fields
from assay.contract.columns import Array
from assay.errors import AssayError, BadInput, Corrupt, Unavailable
from assay.model import code
from assay.model.bundle_copies import bundle_bytes
from assay.model.estimator import Format, Opened, Saved, open_file
from assay.model.features import Kind, Matrix, compute, encode
from assay.model.forms import Form, in_form
from assay.model.frames import ENGINES, FrameForm, form_of
from assay.model.libraries import libraries_of, refuse_older
from assay.model.model import Model
from assay.model.outputs import Outputs
from assay.model.probe import vouch
from assay.model.settled import Settled, settle
from assay.predictions import Layout
from assay.store import Store
from assay.store.artifacts import pack, unpack

FACTS, ESTIMATOR, CODE = "bundle.json", "estimator", "code/"


class Part(msgspec.Struct, frozen=True):
    """One of several estimators: its format, and the classes that it knows."""

    format: Format
    classes: list[Any] | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says of itself."""

    model: str
    #: Where in the code the model is declared.
    module: str
    attribute: str
    features: dict[str, Kind]
    #: The values of each text feature; their positions are the codes.
    categories: dict[str, list[str]]
    #: What `Model.learn` found in the training rows.
    learnt: dict[str, Any] = {}
    format: Format
    rows: int
    trained_until: datetime
    #: JSON Schema of the input and of the output, for people and for other languages.
    takes: dict[str, Any]
    gives: dict[str, Any] = {}
    assay: str
    #: The form of the features that the estimator was fitted on.
    form: Form = "values"
    #: Whether `fit` was given the positions of the classes in their place.
    coded: bool = False
    #: The classes that the estimator knows.
    classes: list[Any] | None = None
    #: The estimators by the field that they predict, where there are several.
    parts: dict[str, Part] = {}
    #: Declared classes that no row of training had, by label.
    unseen: dict[str, list[str | int]] = {}
    #: The versions of the libraries that made the estimator, and of those that compute the features.
    libraries: dict[str, str] = {}


class Bundle:
    """A published model, ready to predict."""

    def __init__(self, digest: str, facts: Manifest, model: Model, opened: Opened | Mapping[str, Opened]) -> None:
        self.digest = digest
        self.facts = facts
        self.model = model
        self.layout = Layout(model.name, model.takes, model.gives, facts.features)
        #: The form in which `features` gets its columns.
        self.form: FrameForm = form_of(model.name, model.features, "features")
        self._outputs = Outputs(model, opened, coded=facts.coded)
        self._names = list(facts.features)
        self._codes = {name: {v: float(i) for i, v in enumerate(values)} for name, values in facts.categories.items()}

    def features(self, columns: Columns[Any]) -> dict[str, Array]:
        """The features of n rows, each of shape (n,); raises `BadInput` when they are not those it was trained on."""
        found = compute(self.model, columns, self.facts.learnt)
        if list(found) != self._names:
            raise BadInput(
                f"{self.model.name}: features() gives {', '.join(found)}", f"it was trained on {', '.join(self._names)}"
            )
        for name, column in found.items():
            if (column.dtype.kind == "T") is not (name in self._codes):
                raise BadInput(
                    f"{self.model.name}: feature {name} is {column.dtype}",
                    f"it was trained as a {self.facts.features[name]}",
                    do="Return one type for all rows.",
                )
        return found

    def matrix(self, features: Mapping[str, Array]) -> Matrix:
        """The features as the estimator wants them, shape (n, k)."""
        return encode(features, self._names, self._codes)

    def predict(self, features: Mapping[str, Array]) -> dict[str, Array]:
        """Predictions from features by column, each of shape (n,), as the estimator gives them.

        Raises `BadInput` when they are not what the contract declares, as `Outputs` does, and when the estimator refuses.
        """
        matrix = self.matrix(features)
        try:
            return self._outputs(in_form(matrix, self.facts.form), len(matrix))
        except AssayError:
            raise
        except Exception as error:
            raise BadInput(
                f"the estimator of {self.model.name} refuses its features",
                f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:300],
                do="Fit it so that it takes missing and unknown values, like OneHotEncoder(handle_unknown='ignore').",
            ) from error

    def settle(self, predicted: Mapping[str, Array]) -> Settled:
        """What becomes of predictions when they are answered."""
        return settle(fields(self.model.gives), predicted)

    def __str__(self) -> str:
        return f"{self.model.name}@{self.digest[:12]}"


def pack_bundle(
    model: Model,
    saved: Saved | Mapping[str, Saved],
    features: Mapping[str, Kind],
    categories: Mapping[str, list[str]],
    *,
    learnt: Mapping[str, Any],
    rows: int,
    trained_until: datetime,
    form: Form = "values",
    coded: bool = False,
    unseen: Mapping[str, list[str | int]] | None = None,
) -> bytes:
    """One file with all that serving needs; the same content always gives the same bytes.

    `saved` is the estimator, or several by the field that they predict.
    """
    several = {} if isinstance(saved, Saved) else dict(saved)
    first = saved if isinstance(saved, Saved) else next(iter(saved.values()))
    module, attribute = code.where_declared(model)
    facts = Manifest(
        model=model.name,
        module=module,
        attribute=attribute,
        features=dict(features),
        categories=dict(categories),
        learnt=dict(learnt),
        format=first.format,
        classes=first.classes if isinstance(saved, Saved) else None,
        parts={name: Part(one.format, one.classes) for name, one in several.items()},
        form=form,
        coded=coded,
        unseen=dict(unseen or {}),
        libraries=libraries_of([first, *several.values()], ENGINES[form_of(model.name, model.features, "features")]),
        rows=rows,
        trained_until=trained_until,
        takes=msgspec.json.schema(model.takes),
        gives=msgspec.json.schema(model.gives),
        assay=version("assay"),
    )
    sources = {CODE + name: content for name, content in code.collect(model).items()}
    data = {_file(name): one.data for name, one in several.items()} or {ESTIMATOR: first.data}
    return pack({FACTS: msgspec.json.encode(facts), **data, **sources})


def _file(field: str) -> str:
    """Where the estimator of one field lies in a bundle."""
    return f"{ESTIMATOR}-{quote(field, safe='')}"


def open_bundle(store: Store, digest: str) -> Bundle:
    """The bundle of a digest, with the code that was published in it; the last few stay open.

    Raises `NotFound`, or `Corrupt` when the file is damaged.
    """
    return _open(store, digest)


@cache
def _elsewhere() -> TemporaryDirectory[str]:
    """Where code is unpacked that does not go into its home; removed when the process ends."""
    return TemporaryDirectory(prefix="assay-code-")


@lru_cache(maxsize=8)
def _open(store: Store, digest: str) -> Bundle:
    try:
        files = unpack(bundle_bytes(store, digest))
        facts = msgspec.json.decode(files[FACTS], type=Manifest)
        saved = {name: Saved(one.format, files[_file(name)], one.classes) for name, one in facts.parts.items()}
        saved = saved or {"": Saved(facts.format, files[ESTIMATOR], facts.classes)}
    except (tarfile.TarError, KeyError, msgspec.MsgspecError) as error:
        raise Corrupt(f"artifact {digest[:12]} is not a bundle: {error}", do="Train and publish again.") from None
    if any(one.format == "pickle" for one in saved.values()):
        raise Corrupt(f"bundle {digest[:12]} holds a pickle, and a bundle must not", do="Do not use it.")
    refuse_older(facts.model, facts.libraries)
    sources = {name.removeprefix(CODE): content for name, content in files.items() if name.startswith(CODE)}
    folder, modules = _unpacked(store, sources), code.modules_of(sources)
    for one in saved.values():
        vouch(store.home.path, one, folder, modules)
    with code.imported(sources, folder, facts.module) as module:
        model = getattr(module, facts.attribute, None)
        if not isinstance(model, Model):
            raise Corrupt(
                f"bundle {digest[:12]}: {facts.module}.{facts.attribute} is not a model", do="Train it again."
            )
        opened = {name: _opened(model, one, modules) for name, one in saved.items()}
    return Bundle(digest, facts, model, opened if facts.parts else opened[""])


def _unpacked(store: Store, sources: Mapping[str, bytes]) -> Path:
    """The folder with the code of a bundle."""
    identity = hashlib.sha256(pack(sources)).hexdigest()[:16]
    try:
        code.unpack(sources, store.home.code / identity)
    except Unavailable:  # a home that can't be written
        folder = Path(_elsewhere().name) / identity
        code.unpack(sources, folder)
        return folder
    return store.home.code / identity


def _opened(model: Model, saved: Saved, modules: frozenset[str]) -> Opened:
    if saved.format != "own":
        return open_file(saved, modules)
    if model.estimator is None:
        raise Corrupt(f"the code of {model.name} does not say how its estimator is read", do="Train it again.")
    return Opened(model.estimator.from_bytes(saved.data))
