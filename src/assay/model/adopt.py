"""A model that was fitted elsewhere becomes a candidate: a file of the project declares it, and a bundle holds both."""

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from assay.contract import Record, fields
from assay.errors import BadInput
from assay.model.bare import COLUMNS, Column, matched
from assay.model.bundle import open_bundle, pack_bundle
from assay.model.estimator import Opened, Saved, open_file
from assay.model.features import Kind
from assay.model.forms import Form
from assay.model.mlmodel import Logged
from assay.model.model import Model
from assay.model.probe import vouch
from assay.model.train import Candidate
from assay.store import Store
from assay.track import begin_run

_BOOSTERS = ("lightgbm", "xgboost")


@dataclass(frozen=True)
class Adoptable:
    """A model file that was opened, and the field of the contract that each of its columns is."""

    logged: Logged
    opened: Opened
    columns: Sequence[Column]
    fields: Sequence[str]
    #: The name of each feature, as the estimator knows it.
    names: Sequence[str]

    @property
    def form(self) -> Form:
        """In which form the estimator wants its features."""
        return "pandas" if self.logged.columns and self.logged.saved.format in ("skops", "catboost") else "values"


def adoptable(store: Store, called: str, logged: Logged, takes: type[Record]) -> Adoptable:
    """Open a model in a process of its own, then here. Raises `BadInput` for one whose columns the contract does not have."""
    vouch(store.home.path, logged.saved)
    opened = open_file(logged.saved)
    columns = COLUMNS[logged.saved.format](logged.saved.data, opened) if logged.saved.format in COLUMNS else None
    if logged.columns and (columns is None or not any(one.name for one in columns)):
        columns = [Column(name, _texts(called, name, kind, takes)) for name, kind in logged.columns.items()]
    columns = columns if columns is not None else [Column(None)] * (opened.features or 0)
    if not columns:
        raise BadInput(
            f"{called} does not say which columns it takes", do="Log it with a signature: infer_signature(x, y)."
        )
    if odd := [one.name for one in columns if one.codes]:
        raise BadInput(
            f"{called} does not say which category each number of {odd[0]} is", do="Train it by assay.train."
        )
    found = matched(called, columns, takes)
    names = [column.name or field for column, field in zip(columns, found, strict=True)]
    return Adoptable(logged, opened, columns, found, names)


def _texts(called: str, name: str, kind: str, takes: type[Record]) -> tuple[str, ...] | None:
    if kind == "number":
        return None
    declared = {field.name: field.categories for field in fields(takes)}
    known = declared.get(name) or ()
    if not known:
        raise BadInput(
            f"{called} takes texts in {name!r}, and {takes.__name__} does not declare which there are",
            do=f"Declare {name}: Literal[...] with the texts of its training.",
        )
    return tuple(map(str, known))


def declaration(
    name: str,
    called: str,
    found: Adoptable,
    takes: type[Record],
    gives: type[Record] | None,
    label: str,
    metrics: Sequence[str],
) -> str:
    """A file of the project that declares the model; without `gives`, its output is inferred from what it says."""
    kind, rule, metric = ("", "", "auc") if gives else _output(called, found)
    of_gives = f"from {gives.__module__} import {gives.__name__}\n" if gives else ""
    output = (
        "" if gives else f'\n\nclass Prediction(assay.Record):\n    """What it predicts."""\n\n    {kind}: {rule}\n'
    )
    pairs = "".join(f"        {one!r}: d[{field!r}],\n" for one, field in zip(found.names, found.fields, strict=True))
    return (
        f'"""{name}, adopted from {called} of MLflow\'s registry. What stands here is yours to change."""\n\n'
        "from typing import Annotated, Literal  # noqa: F401\n\nimport assay\n"
        f"from {takes.__module__} import {takes.__name__}\n{of_gives}{output}\n\n"
        "def features(d):\n    return {\n" + pairs + "    }\n\n\n"
        "def fit(x, y):\n"
        '    raise NotImplementedError("it is fitted elsewhere; `assay adopt` brings its next version")\n\n\n'
        "model = assay.Model(\n"
        f"    {name!r},\n    takes={takes.__name__},\n    gives={gives.__name__ if gives else 'Prediction'},\n"
        f"    label={label!r},\n    features=features,\n    fit=fit,\n    metrics={list(metrics) or [metric]!r},\n)\n"
    )


def _output(called: str, found: Adoptable) -> tuple[str, str, str]:
    """The field of the output: its name, its type as Python, and a metric that suits it."""
    opened = found.opened
    known = opened.classes
    if known and isinstance(known[0], list):
        raise BadInput(f"{called} predicts several labels", do="Declare its output: --gives MODULE:CLASS.")
    if opened.probabilities is not None:
        known = known or list(range(_width(called, found, opened.probabilities)))
        if set(known) == {0, 1}:
            return "probability", "Annotated[float, assay.between(0, 1)]", "auc"
        return "probability", f"assay.Probabilities[Literal[{', '.join(map(repr, known))}]]", "log_loss"
    if known:
        return "prediction", f"Literal[{', '.join(map(repr, known))}]", "accuracy"
    if opened.predict is not None and found.form == "values" and _width(called, found, opened.predict) > 1:
        raise BadInput(f"{called} predicts several numbers", do="Declare its output: --gives MODULE:CLASS.")
    return "prediction", "float", "mae"


def _width(called: str, found: Adoptable, ask: Any) -> int:
    try:
        said = np.asarray(ask(np.zeros((1, len(found.columns)))))
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        raise BadInput(
            f"{called} does not answer a row of numbers: {error}"[:300], do="Pass --gives MODULE:CLASS."
        ) from None
    return said.shape[1] if said.ndim == 2 else 1


def adopt(store: Store, model: Model, called: str, found: Adoptable, trained_until: datetime) -> Candidate:
    """Keep the model with its declaration as a candidate, in a run of its own.

    `trained_until` is the newest event time that it may have seen: holdouts begin after it. Raises `BadInput` when the
    declaration no longer gives the features of the model.
    """
    texts = {
        name: list(column.texts)
        for name, column in zip(found.names, found.columns, strict=True)
        if column.texts is not None
    }
    kinds: dict[str, Kind] = {name: "text" if name in texts else "number" for name in found.names}
    with begin_run(store, model.name, parent=None) as run:
        run.log_params({"adopted": called})
        content = pack_bundle(
            model,
            Saved(found.logged.saved.format, found.logged.saved.data, found.opened.classes),
            kinds,
            texts,
            learnt={},
            rows=0,
            trained_until=trained_until,
            form=found.form,
            coded=found.logged.saved.format in _BOOSTERS,
        )
        digest = run.log_artifact("bundle.tar", content)
        open_bundle(store, digest)
        return Candidate(model.name, digest, run.id)


def file_name(name: str) -> str:
    """The module that declares an adopted model.

    >>> file_name("late-flights")
    'adopted_late_flights'
    """
    plain = re.sub(r"\W", "_", name)
    return f"adopted_{plain}" if not keyword.iskeyword(plain) else f"adopted_{plain}_"
