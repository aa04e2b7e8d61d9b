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
from assay.contract.formats.arrow import columns
from assay.errors import BadInput, first_few
from assay.model.bundle import Bundle, open_bundle, pack_bundle
from assay.model.code import collect, hidden, where_declared
from assay.model.estimator import Saved
from assay.model.features import compute, encode, kinds, learn_categories, same_bits
from assay.model.fitting import fitted, unseen
from assay.model.forms import Asked
from assay.model.labels import with_labels
from assay.model.learn import learn
from assay.model.model import Model
from assay.model.probe import remember
from assay.model.split import event_times
from assay.model.truth import Truth
from assay.predictions import is_value, log_training
from assay.profiles import encode as profile_bytes
from assay.profiles import profile
from assay.store import current
from assay.tables import Frame, as_table
from assay.track import Run, begin_run
from assay.track.provenance import data_identity

log = logging.getLogger(__name__)
#: The file of a training run that holds the profile of its rows: publishing takes it instead of reading them again.
PROFILE = "training-profile.bin"
#: The tag of a training run that belongs to a what-if.
WHAT_IF = "assay.what_if"


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


def train(model: Model, past: Frame, **params: Any) -> Candidate:
    """Fit `model` on `past` and keep the result as a candidate; `params` go to its fit function and into the run.

    Rows without a label are left out; one that is NaN has none. Raises `BadInput` when the table does not fit the contract,
    when no label is known, when the contract of the prediction lacks one, and when the estimator does not give what that
    contract declares.
    """
    store, past = current(), as_table(past)
    where_declared(model)  # before hours of fitting: what stands nowhere can't be published
    with begin_run(store, model.name, parent=context.run_id.get()) as run:
        run.log_params(params)
        if found := context.what_if():
            run.set_tags({WHAT_IF: found.name})
        run.log_data(data_identity(past))
        asked = Asked(model)
        labelled, truth = with_labels(model, past)
        bundle = _fit(model, asked, labelled, truth, run, params)
        return Candidate(model.name, bundle, run.id)


def _fit(model: Model, asked: Asked, rows: pa.Table, truth: Truth, run: Run, params: dict[str, Any]) -> str:
    inputs = columns(rows, model.takes)
    learnt = learn(model, inputs)
    features = compute(model, inputs, learnt)
    categories = learn_categories(features)
    codes = {name: {value: float(i) for i, value in enumerate(values)} for name, values in categories.items()}
    matrix = encode(features, list(features), codes)
    saved, form = fitted(model, asked, matrix, truth, params)
    newest = event_times(rows, model.takes).max().item()
    for one in [saved] if isinstance(saved, Saved) else saved.values():
        remember(run.store.home.path, one)
    content = pack_bundle(
        model,
        saved,
        kinds(features),
        categories,
        learnt=learnt,
        rows=len(rows),
        trained_until=newest.replace(tzinfo=UTC),
        form=form,
        coded=asked.coded,
        unseen=unseen(model, truth),
    )
    digest = run.log_artifact("bundle.tar", content)
    bundle = open_bundle(run.store, digest)
    _refuse_other_code(model, features, _as_served(model, bundle, inputs))
    predicted = answered(f"{model.name} from run {run.id}", bundle, bundle.predict(features))
    happened = truth.columns()
    logged = log_training(run.store.home, bundle.layout, run.id, None, "train", inputs, features, predicted, happened)
    seen = profile(logged.select([name for name in logged.column_names if is_value(name)]))
    run.log_artifact(PROFILE, profile_bytes(seen))
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
                do="Import it at the top of the file: Assay publishes the modules that are loaded then.",
            ) from error


def _refuse_other_code(model: Model, trained: Mapping[str, Array], published: Mapping[str, Array]) -> None:
    """The files may have changed since they were imported, and a feature may be random: neither can be served."""
    differing = [name for name, column in trained.items() if not same_bits(column, published[name])]
    if differing:
        raise BadInput(
            f"{model.name}: features() as saved in its file computes other values than in training",
            *first_few(differing, len(differing)),
            do="Restart Python if the file was changed. A feature must not be random.",
        )


def answered(who: str, bundle: Bundle, predicted: Mapping[str, Array]) -> dict[str, Array]:
    """Predictions as they would be answered, those outside of a range that refuses among them.

    Raises `BadInput` for predictions that are no values of their field: NaN, infinities, undeclared classes, probabilities
    that do not sum to 1.
    """
    settled = bundle.settle(predicted)
    broken = np.flatnonzero(settled.refused & ~settled.outside)
    if len(broken):
        raise BadInput(
            f"{who} predicts what it does not declare for {len(broken):,} of {len(settled.refused):,} rows",
            settled.why(int(broken[0])),
            do="Check its features and fit().",
        )
    return settled.take(np.arange(len(settled.refused)))
