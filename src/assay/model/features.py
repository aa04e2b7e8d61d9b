"""From a contract's columns to what an estimator is fitted on, the same for a million rows and for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.contract import Columns
from assay.contract.columns import TEXT, Array
from assay.errors import BadInput
from assay.model.frame_columns import as_array, named_columns
from assay.model.frames import form_of, in_frame

if TYPE_CHECKING:
    from assay.model.model import Model

#: Of so many texts, few known ones are compared one after the other: each takes a tenth of looking up every text.
MANY, FEW = 1_000, 10
Kind = Literal["number", "text"]


@dataclass(frozen=True)
class Matrix:
    """What an estimator is fitted on and asked with."""

    #: float64 of shape (n, k); text features as codes, missing and unseen values as NaN.
    values: Array
    #: The k names, in the order of the columns.
    names: list[str]
    #: The positions of the columns that hold codes of categories.
    categorical: list[int]
    #: The code of each category of these columns, by name.
    codes: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, "dict[str, float]"])

    @property
    def categories(self) -> dict[str, list[str]]:
        """The categories of the columns that hold codes, by name: a code is a position."""
        return {self.names[i]: list(self.codes[self.names[i]]) for i in self.categorical}

    def __len__(self) -> int:
        return len(self.values)


def compute(model: "Model", columns: Columns[Any], learnt: Mapping[str, Any]) -> dict[str, Array]:
    """Call the model's feature function and look at what it gives. `learnt` is what `Model.learn` found in training.

    It gets the columns in the form that its annotation asks for, and gives columns or a frame. Returns named columns of
    shape (n,): float64 or text. Raises `BadInput`, naming the feature, for anything else.
    The input is read-only meanwhile: what is logged as input must be what came in.
    """
    columns.protect()
    asked = in_frame(columns, form_of(model.name, model.features, "features"))
    with np.errstate(all="ignore"):
        given: Any = model.features(asked, MappingProxyType(learnt)) if model.learn else model.features(asked)
        named = named_columns(model.name, given, len(columns))
    if not named:
        raise BadInput(f"{model.name}: features() gave no feature", do="Return a dict of numpy columns, or a frame.")
    return {name: _checked(model.name, name, column, len(columns)) for name, column in named.items()}


def _checked(model: str, name: str, column: Any, rows: int) -> Array:
    array = column if type(column) is np.ndarray else np.asarray(as_array(model, name, column, rows))
    if array.dtype == np.float64 and array.shape == (rows,):
        return array
    if array.shape != (rows,):
        raise BadInput(
            f"{model}: feature {name} has shape {array.shape} for {rows} rows", do="Give one value for each row."
        )
    if array.dtype.kind in "fiub":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind in "TU":
        return array.astype(TEXT, copy=False)
    raise BadInput(
        f"{model}: feature {name} is {array.dtype}", do="Give numbers or texts; take hour() or weekday() of times."
    )


def kinds(features: Mapping[str, Array]) -> dict[str, Kind]:
    """Which features are numbers and which are texts."""
    return {name: "text" if column.dtype.kind == "T" else "number" for name, column in features.items()}


def same_bits(a: Array, b: Array) -> bool:
    """True when two features are equal to the last bit, missing values being equal."""
    if a.dtype.kind == "T" or b.dtype.kind == "T":
        return a.dtype == b.dtype and all(
            x == y or (x != x and y != y) for x, y in zip(a.tolist(), b.tolist(), strict=True)
        )
    return bool(np.all((a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))))


def learn_categories(features: Mapping[str, Array]) -> dict[str, list[str]]:
    """The values of each text feature, sorted: their positions are the codes."""
    texts = {name: column for name, column in features.items() if column.dtype.kind == "T"}
    return {
        name: sorted({value for value in column.tolist() if isinstance(value, str)}) for name, column in texts.items()
    }


def _codes(column: Array, known: Mapping[Any, float]) -> Array | list[float]:
    """The codes of texts, NaN for one that is not known."""
    if len(column) < MANY or len(known) > FEW:
        return [known.get(value, np.nan) for value in column.tolist()]
    codes = np.full(len(column), np.nan)
    for value, code in known.items():
        codes[column == value] = code
    return codes


def encode(features: Mapping[str, Array], names: Sequence[str], codes: Mapping[str, Mapping[Any, float]]) -> Matrix:
    """The matrix of shape (n, k) in the order of `names`; a text that `codes` does not know becomes NaN."""
    rows = len(next(iter(features.values())))
    values = np.empty((rows, len(names)))
    for i, name in enumerate(names):
        column = features[name]
        known = codes.get(name)
        values[:, i] = column if known is None else _codes(column, known)
    return Matrix(values, list(names), [i for i, name in enumerate(names) if name in codes], codes)
