"""The declaration of a model: what it takes and gives, its features and how it is fitted."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from assay.contract import Columns, Field, Record, fields
from assay.contract.columns import Array
from assay.errors import BadInput, near_miss
from assay.model.score import METRICS

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Model:
    """A model by its name and declaration; raises `BadInput` for a declaration that can't work."""

    name: str
    _: KW_ONLY
    #: The contract of the input.
    takes: type[Record]
    #: The contract of the prediction: a record with one number.
    gives: type[Record]
    #: The column of the training table that holds what really happened.
    label: str
    #: From columns of shape (n,) to named feature columns of shape (n,); called with a million rows or with one.
    features: Callable[[Columns[Any]], Mapping[str, Array]]
    #: From a `Matrix` of shape (n, k), labels of shape (n,) and keyword parameters to a fitted estimator.
    fit: Callable[..., Any]
    #: What to compute on a holdout, by the names of `assay.model.score`.
    metrics: Sequence[str] = ("auc",)
    #: The user's table, a Parquet folder or glob relative to the project: what `assay skew` compares with.
    table: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadInput(f"{self.name!r} can't be the name of a model", do="Use small letters, digits and dashes.")
        if len(fields(self.gives)) != 1 or fields(self.gives)[0].type is not float:
            raise BadInput(
                f"{self.name}: {self.gives.__name__} must have one field, a float", do="Declare just that one."
            )
        for metric in self.metrics:
            if metric not in METRICS:
                raise BadInput(
                    f"{self.name}: there is no metric {metric!r}",
                    near_miss(metric, METRICS),
                    do=f"Use {', '.join(METRICS)}.",
                )
        if any(field.name == self.label for field in fields(self.takes)):
            raise BadInput(
                f"{self.name}: the label {self.label!r} is also an input", do=f"Remove it from {self.takes.__name__}."
            )

    @property
    def output(self) -> Field:
        """The one field of the prediction."""
        return fields(self.gives)[0]
