"""What goes into and comes out of a model, declared once; every schema is derived from it. No I/O."""

from assay.contract.columns import Columns
from assay.contract.decode import Decoder, Invalid, Violation
from assay.contract.fields import (
    EventTime,
    Field,
    Key,
    Probabilities,
    between,
    field,
    length,
    nulls,
    probability,
    quantile,
)
from assay.contract.record import Record, fields

__all__ = [
    "Columns",
    "Decoder",
    "EventTime",
    "Field",
    "Invalid",
    "Key",
    "Probabilities",
    "Record",
    "Violation",
    "between",
    "field",
    "fields",
    "length",
    "nulls",
    "probability",
    "quantile",
]
