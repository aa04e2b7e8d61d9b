"""Features and labels in the form that `fit` asks for by its annotations, and features in that same form to predict.

| annotation of x        | features                                               | texts                          |
|------------------------|--------------------------------------------------------|--------------------------------|
| none, `assay.Matrix`   | a `Matrix`                                             | codes, float64                 |
| `np.ndarray`           | its values, shape (n, k)                               | codes, float64                 |
| `pd.DataFrame`         | a frame with the names of the features                 | categorical                    |
| `pl.DataFrame`         | a frame with the names of the features                 | `pl.Enum`                      |
| `pa.Table`             | a table with the names of the features                 | dictionary                     |

In every form a text that was not there in training is missing.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.model.annotations import annotation, named, shown
from assay.model.features import Matrix
from assay.model.frames import library
from assay.model.judged import positions
from assay.model.truth import Truth, classes_of, holds_text

if TYPE_CHECKING:
    from assay.model.model import Model

#: `matrix` is for functions of the user's own. `codes` is a pandas frame of codes: what an estimator wants that `fit` itself
#: gave a frame of `x.values`.
Form = Literal["matrix", "values", "codes", "pandas", "polars", "arrow"]
_FORMS: dict[tuple[str, str], Form] = {
    ("numpy", "ndarray"): "values",
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("pyarrow", "Table"): "arrow",
}
_LABELS = {
    ("numpy", "ndarray"),
    ("pandas", "Series"),
    ("pandas", "DataFrame"),
    ("polars", "Series"),
    ("polars", "DataFrame"),
    ("pyarrow", "Array"),
    ("pyarrow", "ChunkedArray"),
    ("pyarrow", "Table"),
}


class AsCodes:
    """Marks labels that are to be positions among the classes."""


#: The annotation of `y` by which `fit` is given the position of each label in the contract's `Literal`, int64.
Codes = Annotated[np.ndarray[Any, np.dtype[np.int64]], AsCodes()]


class Asked:
    """What a fit function asks for; raises `BadInput` for annotations that can't be served."""

    def __init__(self, model: "Model") -> None:
        self._model = model
        parameters = list(inspect.signature(model.fit).parameters.values())
        if len(parameters) < 2:
            raise BadInput(f"{model.name}: fit() takes {len(parameters)} parameters", do="Write fit(x, y, ...).")
        x, y = (annotation(model.name, model.fit, "fit", parameter) for parameter in parameters[:2])
        self.coded = any(isinstance(mark, AsCodes) for mark in get_args(y)[1:]) if get_origin(y) is Annotated else False
        self.wants_matrix = x is None or named(x) == named(Matrix)
        self.form: Form = "values" if self.wants_matrix else self._form(x)
        self._labels = ("numpy", "ndarray") if self.coded else self._label_form(y)
        self._names = {one.name for one in parameters}

    def _form(self, asked: Any) -> Form:
        form = _FORMS.get(named(asked))
        if form is None:
            raise BadInput(
                f"{self._model.name}: fit() asks for features as {shown(asked)}",
                do="Annotate x as assay.Matrix, np.ndarray, pd.DataFrame, pl.DataFrame or pa.Table.",
            )
        return form

    def _label_form(self, asked: Any) -> tuple[str, str]:
        found = ("numpy", "ndarray") if asked is None else named(asked)
        if found not in _LABELS:
            raise BadInput(
                f"{self._model.name}: fit() asks for labels as {shown(asked)}",
                do="Annotate y as np.ndarray, assay.Codes, or a Series, an Array or a frame of pandas, polars or pyarrow.",
            )
        return found

    def arguments(self, matrix: Matrix, truth: Truth) -> tuple[Any, Any, dict[str, Any]]:
        """Features, labels, and by name what else the function takes: `weight`, `group`."""
        more = {"weight": truth.weight, "group": truth.group}
        given = {name: value for name, value in more.items() if value is not None and name in self._names}
        x = matrix if self.wants_matrix else in_form(matrix, self.form)
        return x, self._y(truth), given

    def _y(self, truth: Truth) -> Any:
        labels = {name: self._column(name, values) for name, values in truth.labels.items()}
        library, kind = self._labels
        if kind == "ndarray":
            return _array(self._model.name, labels)
        if kind in ("DataFrame", "Table"):
            return _frame(
                library, {name: values.tolist() if values.ndim > 1 else values for name, values in labels.items()}
            )
        if len(labels) > 1:
            raise BadInput(f"{self._model.name}: fit() asks for one {kind}, and there are {len(labels)} labels",
                           do="Annotate y as a frame or np.ndarray.")  # fmt: skip
        ((name, values),) = labels.items()
        return _series(library, kind, name, values.tolist() if values.ndim > 1 else values)

    def _column(self, name: str, values: Array) -> Array:
        fields = self._model.fields_of(name)
        classes = classes_of(fields)
        if self.coded:
            if classes is None:
                raise BadInput(
                    f"{self._model.name}: fit() asks for codes, and the classes of {name!r} are not declared",
                    do="Declare its field as a Literal or assay.Probabilities.",
                )
            return positions(values, classes).astype(np.int64)
        if holds_text(fields):
            return np.array(values.tolist(), np.str_)
        whole = classes is not None or all(field.type is bool for field in fields)
        return values.astype(np.int64) if whole else values


def _array(model: str, labels: Mapping[str, Array]) -> Array:
    if len(labels) == 1:
        return next(iter(labels.values()))
    if len({values.dtype.kind in "US" for values in labels.values()}) > 1 or any(
        one.ndim > 1 for one in labels.values()
    ):
        raise BadInput(f"{model}: the labels {', '.join(labels)} are of different types, which no array holds",
                       do="Annotate y as a frame, like pd.DataFrame.")  # fmt: skip
    return np.column_stack(list(labels.values()))


def in_form(matrix: Matrix, form: Form) -> Any:
    """The features of a matrix in the form that an estimator was fitted on. Raises `BadInput` for a missing library."""
    if form == "values":
        return matrix.values
    if form == "matrix":
        return matrix
    columns = {name: matrix.values[:, i] for i, name in enumerate(matrix.names)}
    return _IN_FORM[form](columns, matrix.categories if form != "codes" else {})


def _codes(column: Array) -> Array:
    return np.where(np.isnan(column), -1, column).astype(np.int32)


def _pandas(columns: Mapping[str, Array], categories: Mapping[str, list[str]]) -> Any:
    pd = library("pandas")
    texts = {
        name: pd.Categorical.from_codes(_codes(columns[name]), categories=pd.Index(known))
        for name, known in categories.items()
    }
    return pd.DataFrame(dict(columns) | texts)


def _polars(columns: Mapping[str, Array], categories: Mapping[str, list[str]]) -> Any:
    pl = library("polars")
    frame = pl.DataFrame(dict(columns))
    texts = [
        pl.Series(name, _looked_up(columns[name], known), dtype=pl.Enum(known)) for name, known in categories.items()
    ]
    return frame.with_columns(texts) if texts else frame


def _looked_up(column: Array, known: list[str]) -> list[str | None]:
    return [None if code != code else known[int(code)] for code in column.tolist()]


def _arrow(columns: Mapping[str, Array], categories: Mapping[str, list[str]]) -> Any:
    pa = library("pyarrow")
    texts = {
        name: pa.DictionaryArray.from_arrays(
            pa.array(_codes(columns[name]), mask=np.isnan(columns[name])), pa.array(known, pa.string())
        )
        for name, known in categories.items()
    }
    return pa.table({name: pa.array(column) for name, column in columns.items()} | texts)


_IN_FORM: dict[str, Callable[[Mapping[str, Array], Mapping[str, list[str]]], Any]] = {
    "codes": _pandas,
    "pandas": _pandas,
    "polars": _polars,
    "arrow": _arrow,
}


def _frame(name: str, columns: Mapping[str, Any]) -> Any:
    found = library(name)
    return found.table(dict(columns)) if name == "pyarrow" else found.DataFrame(dict(columns))


def _series(name: str, kind: str, column: str, values: Any) -> Any:
    found = library(name)
    if name == "pyarrow":
        return found.array(values) if kind == "Array" else found.chunked_array([found.array(values)])
    return found.Series(values, name=column) if name == "pandas" else found.Series(column, values)
