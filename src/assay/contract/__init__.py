"""What goes into and comes out of a model, declared once; every schema is derived from it. No I/O."""

from assay.contract.columns import Columns
from assay.contract.decode import Decoder, Fault, Invalid
from assay.contract.fields import EventTime, Field, Key, between, nulls
from assay.contract.record import Record, fields

__all__ = [
    "Columns",
    "Decoder",
    "EventTime",
    "Fault",
    "Field",
    "Invalid",
    "Key",
    "Record",
    "between",
    "fields",
    "nulls",
]
