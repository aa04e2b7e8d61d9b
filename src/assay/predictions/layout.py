"""The columns of a prediction log, the same for training and serving.

`served.<model>` and `trained.<model>` are tables with, in this order: where a row came from, its raw input
(`input_*`), the features computed from it (`feature_*`) and the prediction (`prediction_*`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from assay.contract import Record, fields
from assay.contract.formats.arrow import arrow_type
from assay.contract.record import event_time_field
from assay.errors import BadInput

FeatureKind = Literal["number", "text"]
Source = Literal["served", "trained"]
_MOMENT = pa.timestamp("us", tz="UTC")
ORIGIN: dict[str, pa.DataType] = {
    "model_version": pa.int64(),  # null for training rows of a candidate that was not published
    "request_id": pa.string(),  # of the HTTP request; of the training run
    "row": pa.int64(),  # position in the request, or in the training table
    "part": pa.string(),  # served, train, holdout
    "received_at": _MOMENT,
    "answered_at": _MOMENT,
    "label": pa.float64(),  # what really happened, a text where it is one; null when served, and of models with several
    "segment": pa.string(),  # with `record`: the key by which draining twice changes nothing
    "record": pa.int64(),
}
#: What the writer puts into each record of a spool, before the input.
WRITTEN = ("request_id", "row", "received_at", "answered_at")


def is_value(column: str) -> bool:
    """Whether a column holds inputs or predictions, not where a row came from.

    >>> is_value("input_miles"), is_value("request_id")
    (True, False)
    """
    return column.startswith(("input_", "feature_", "prediction_")) or is_label(column)


def is_label(column: str) -> bool:
    """Whether a column holds what really happened: `label`, or `label_...` of several.

    >>> is_label("label_rain")
    True
    """
    return column == "label" or column.startswith("label_")


_MODEL_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def check_model_name(name: str) -> None:
    """Raise `BadInput` for a name that can't be the name of a model: it also names tables, which SQL reads unquoted."""
    if not _MODEL_NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} can't be the name of a model",
            do="Use lower-case letters, digits and single dashes, and start with a letter.",
        )


def table_name(source: Source, model: str) -> str:
    """The table of a model's rows: dashes become underscores, as SQL wants them.

    >>> table_name("served", "flight-delay")
    'served.flight_delay'
    """
    return f"{source}.{re.sub(r'[^0-9A-Za-z_]', '_', model)}"


@dataclass(frozen=True)
class Layout:
    """The columns of one model version's rows."""

    model: str
    takes: type[Record]
    gives: type[Record]
    features: Mapping[str, FeatureKind]

    @cached_property
    def attributes(self) -> list[str]:
        """The fields of the input as Python calls them, in declared order."""
        return [field.attribute for field in fields(self.takes)]

    @cached_property
    def values(self) -> dict[str, pa.DataType]:
        """Input, features and prediction: prefixed name and type."""
        kinds = {"number": pa.float64(), "text": pa.string()}
        return {
            **{f"input_{field.name}": arrow_type(field) for field in fields(self.takes)},
            **{f"feature_{name}": kinds[kind] for name, kind in self.features.items()},
            **{f"prediction_{name}": arrow_type(field) for field in fields(self.gives) for name in field.columns},
        }

    @property
    def day_column(self) -> str:
        """The column by whose day rows are filed: the event time, or else when they were received."""
        field = event_time_field(self.takes)
        return f"input_{field.name}" if field else "received_at"

    def meta(self, version: int) -> dict[str, Any]:
        """What a spool segment says of its records, so that a drainer needs neither the model nor its code."""
        return {
            "model": self.model,
            "version": version,
            "day": self.day_column,
            "values": {name: str(kind) for name, kind in self.values.items()},
        }


def type_named(name: str) -> pa.DataType:
    """The Arrow type that `str` of it gave."""
    known = (pa.float64(), pa.int64(), pa.bool_(), pa.string(), _MOMENT, pa.date32())
    return next(kind for kind in known if str(kind) == name)
