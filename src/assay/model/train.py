"""Trains a candidate as a tracked run; what it saw and said goes into the prediction log."""

import logging
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from assay import context
from assay.contract import Columns
from assay.contract.columns import Array
from assay.contract.formats.arrow import columns, to_numpy
from assay.errors import BadInput, first_few, near_miss
from assay.model.bundle import Bundle, open_bundle, pack_bundle
from assay.model.code import collect, hidden, where_declared
from assay.model.estimator import save
from assay.model.features import compute, encode, kinds, learn_categories, same_bits
from assay.model.model import Model
from assay.model.split import event_times
from assay.predictions import log_training
from assay.store import current
from assay.track import Run, begin_run
from assay.track.provenance import data_identity

log = logging.getLogger(__name__)


class Candidate(msgspec.Struct, frozen=True):
    """A trained model that nobody has judged yet."""

    model: str
    #: Digest of its bundle among the artifacts.
    bundle: str
    #: The training run.
    run_id: str

    def open(self) -> Bundle:
        """The model, ready to predict."""
        return open_bundle(current(), self.bundle)


def train(model: Model, past: pa.Table, **params: Any) -> Candidate:
    """Fit `model` on `past` and keep the result as a candidate; `params` go to its fit function and into the run.

    Rows without a label are left out; one that is NaN has none. Raises `BadInput` when the table does not fit the contract or no label is known.
    """
    store = current()
    where_declared(model)  # before hours of fitting: what stands nowhere can't be published
    with begin_run(store, model.name, parent=context.run_id.get()) as run:
        run.log_params(params)
        run.log_data(data_identity(past))
        labelled, label = with_label(model, past)
        bundle = _fit(model, labelled, label, run, params)
        return Candidate(model.name, bundle, run.id)


def _fit(model: Model, rows: pa.Table, label: Array, run: Run, params: dict[str, Any]) -> str:
    inputs = columns(rows, model.takes)
    features = compute(model, inputs)
    categories = learn_categories(features)
    codes = {name: {value: float(i) for i, value in enumerate(values)} for name, values in categories.items()}
    estimator = model.fit(encode(features, list(features), codes), label, **params)
    newest = event_times(rows, model.takes).max().item()
    content = pack_bundle(
        model, save(estimator), kinds(features), categories, rows=len(rows), trained_until=newest.replace(tzinfo=UTC)
    )
    digest = run.log_artifact("bundle.tar", content)
    bundle = open_bundle(run.store, digest)
    _refuse_other_code(model, features, _as_served(model, bundle, inputs))
    predicted = {model.output.name: bundle.predict(features)}
    log_training(run.store.home, bundle.layout, run.id, None, "train", inputs, features, predicted, label)
    log.info("trained %s on %s rows", model.name, len(rows))
    return digest


def _as_served(model: Model, bundle: Bundle, inputs: Columns[Any]) -> dict[str, Array]:
    """The features from the published code, in a process that has no other code of the project, as a server is."""
    with hidden(collect(model)):
        try:
            return bundle.features(inputs)
        except ModuleNotFoundError as error:
            raise BadInput(
                f"{model.name}: features() imports {error.name} when it is called, which a server can't",
                do="Import it at the top of the file: what is published is the code that was loaded then.",
            ) from error


def _refuse_other_code(model: Model, trained: Mapping[str, Array], published: Mapping[str, Array]) -> None:
    """The files may have changed since they were imported, and a feature may be random: neither can be served."""
    differing = [name for name, column in trained.items() if not same_bits(column, published[name])]
    if differing:
        raise BadInput(
            f"{model.name}: features() as it stands in its file computes other values than it did for training",
            *first_few(differing, len(differing)),
            do="Start Python again if the file was changed; a feature must not be random.",
        )


def with_label(model: Model, rows: pa.Table) -> tuple[pa.Table, Array]:
    """The rows whose label is known, and the labels, float64 of shape (n,)."""
    if model.label not in rows.column_names:
        raise BadInput(
            f"the label {model.label!r} is not a column of the table", near_miss(model.label, rows.column_names)
        )
    label = rows.column(model.label)
    if not (pa.types.is_boolean(label.type) or pa.types.is_integer(label.type) or pa.types.is_floating(label.type)):
        raise BadInput(f"the label {model.label!r} is {label.type}", do="Make it a number or true and false.")
    labelled = rows.filter(pa.array(~label.is_null(nan_is_null=True).to_numpy()))
    if len(labelled) == 0:
        raise BadInput(f"none of {len(rows):,} rows has a label {model.label!r}", do="Read rows that are old enough.")
    if len(labelled) < len(rows):
        log.info("%s of %s rows have no %s yet and are left out", len(rows) - len(labelled), len(rows), model.label)
    return labelled, to_numpy(labelled.column(model.label), np.dtype(np.float64))
