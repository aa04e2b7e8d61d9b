"""Results of steps to JSON and back: small values as they are, tables by reference. Nothing is pickled."""

import importlib
import io
from datetime import date, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import BadInput
from assay.store import Artifacts

TABLE, STRUCT, TIME, DATE = "$table", "$struct", "$time", "$date"


def encode(value: Any, artifacts: Artifacts, step: str) -> Any:
    """A step's result as JSON. Raises `BadInput`, naming the step, for what can't be kept."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime):
        return {TIME: value.isoformat()}
    if isinstance(value, date):
        return {DATE: value.isoformat()}
    if isinstance(value, (list, tuple)):
        return [encode(item, artifacts, step) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: encode(item, artifacts, step) for key, item in value.items()}
    if isinstance(value, pa.Table):
        buffer = io.BytesIO()
        pq.write_table(value, buffer, compression="zstd")
        return {TABLE: artifacts.put(buffer.getvalue())}
    if isinstance(value, msgspec.Struct):
        kind = type(value)
        return {STRUCT: f"{kind.__module__}:{kind.__qualname__}", "value": msgspec.to_builtins(value)}
    raise BadInput(
        f"step {step} returned a {type(value).__module__}.{type(value).__qualname__}, which can't be kept",
        do="Return numbers, texts, times, lists, dicts, Arrow tables or msgspec structs.",
    )


def decode(value: Any, artifacts: Artifacts) -> Any:
    """The result that `encode` kept; tuples come back as lists."""
    if isinstance(value, list):
        return [decode(item, artifacts) for item in value]
    if not isinstance(value, dict):
        return value
    if TABLE in value:
        return pq.read_table(pa.BufferReader(artifacts.get(value[TABLE])))
    if STRUCT in value:
        module, _, name = value[STRUCT].partition(":")
        return msgspec.convert(value["value"], getattr(importlib.import_module(module), name))
    if TIME in value:
        return datetime.fromisoformat(value[TIME])
    if DATE in value:
        return date.fromisoformat(value[DATE])
    return {key: decode(item, artifacts) for key, item in value.items()}
