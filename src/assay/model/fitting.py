"""Calls `fit`, and keeps what it gives."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.contract import fields
from assay.errors import BadInput
from assay.model.estimator import Saved, save
from assay.model.features import Matrix
from assay.model.forms import Asked, Form
from assay.model.model import Model
from assay.model.nested import chosen
from assay.model.truth import Truth, classes_of

log = logging.getLogger(__name__)


def fitted(
    model: Model, asked: Asked, matrix: Matrix, truth: Truth, params: Mapping[str, Any]
) -> tuple[Saved | dict[str, Saved], Form]:
    """What `fit` gives for these rows as it is kept, and the form of the features that it wants to predict.

    Rows that are ranked together stand together for `fit`, in the order in which their groups come. Raises `BadInput` when
    `fit` gives what can't be kept.
    """
    if truth.group is not None:
        order = np.argsort(truth.group, kind="stable")
        matrix, truth = Matrix(matrix.values[order], matrix.names, matrix.categorical, matrix.codes), truth.take(order)
    x, y, more = asked.arguments(matrix, truth)
    for name in ("weight", "group"):
        if getattr(truth, name) is not None and name not in more:
            log.warning("fit() of %s does not take %s=: it is used in metrics only", model.name, name)
    estimator = _chosen(model, model.fit(x, y, **{**params, **more}))
    if not isinstance(estimator, Mapping) or model.estimator:
        return _saved(model, estimator), _form(model, asked, matrix, [estimator])
    _refuse_other_fields(model, estimator)
    saved = {str(name): _saved(model, one) for name, one in estimator.items()}
    return saved, _form(model, asked, matrix, list(estimator.values()))


def _chosen(model: Model, given: Any) -> Any:
    """What a search chose, in whatever `fit` gave."""
    if model.estimator:
        return given
    return {name: chosen(one) for name, one in given.items()} if isinstance(given, Mapping) else chosen(given)


def _saved(model: Model, estimator: Any) -> Saved:
    return Saved("own", model.estimator.to_bytes(estimator)) if model.estimator else save(estimator)


def _refuse_other_fields(model: Model, estimators: Mapping[Any, Any]) -> None:
    wanted = [field.name for field in fields(model.gives)]
    if set(estimators) != set(wanted):
        raise BadInput(
            f"fit() of {model.name} gave estimators for {', '.join(map(str, estimators)) or 'nothing'}",
            f"{model.gives.__name__} has {', '.join(wanted)}",
            do="Return one for each field by its name, or one for all.",
        )


def _form(model: Model, asked: Asked, matrix: Matrix, estimators: list[Any]) -> Form:
    """The form to predict with: a scikit-learn estimator that knows names of columns wants a frame with these."""
    if asked.form != "values":
        return asked.form
    if model.estimator:
        return "matrix" if asked.wants_matrix else "values"
    for estimator in estimators:
        names = getattr(estimator, "feature_names_in_", None)
        if names is None or type(estimator).__module__.partition(".")[0] != "sklearn":
            continue
        if list(names) != matrix.names:
            raise BadInput(
                f"fit() of {model.name} fitted a frame of the columns {', '.join(map(str, names))}"[:300],
                f"its features are {', '.join(matrix.names)}"[:300],
                do="Annotate x as pd.DataFrame and fit it as it comes: columns are made in features() or in a Pipeline.",
            )
        return "codes"
    return "values"


def unseen(model: Model, truth: Truth) -> dict[str, list[str | int]]:
    """Declared classes that no row has, by label; each is reported, for it can't be learnt."""
    found: dict[str, list[str | int]] = {}
    for name, values in truth.labels.items():
        there = set(values.tolist()) if values.ndim == 1 else set[Any]()
        missing = [one for one in classes_of(model.fields_of(name)) or () if one not in there]
        if missing:
            log.warning("%s: no row of training has %s %s", model.name, name, ", ".join(map(str, missing)))
            found[name] = missing
    return found
