"""Writes the prediction log: serving through a spool, training straight into the table."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from assay.contract import Columns, Record
from assay.contract.columns import Array
from assay.contract.formats.arrow import schema
from assay.errors import BadInput
from assay.predictions.layout import ORIGIN, WRITTEN, Layout, table_name, type_named
from assay.store import Home
from assay.store.drain import Drained, drain
from assay.store.segment import Segment
from assay.store.spool import Spool
from assay.store.tables import write_part
from assay.times import now

log = logging.getLogger(__name__)
TOPIC = "predictions"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


class PredictionLog:
    """What one model version answers, appended to a spool; one record a row, one write a request."""

    def __init__(self, home: Home, layout: Layout, version: int, *, max_age_s: float = 60.0) -> None:
        self._spool = Spool(home.spool, TOPIC, _encode(layout.meta(version)), max_age_s=max_age_s)
        self._inputs = _values_of(layout.input_names)
        self._texts = [i for i, kind in enumerate(layout.features.values()) if kind == "text"]
        self.tick = self._spool.tick
        self.close = self._spool.close

    @property
    def dropped(self) -> int:
        """Rows that could not be kept: the disk, or the bound, was full."""
        return self._spool.dropped

    def append(
        self,
        request_id: str,
        received: datetime,
        answered: datetime,
        rows: Sequence[Record],
        features: Mapping[str, Array],
        predictions: Sequence[Sequence[Any]],
    ) -> bool:
        """Keep the rows of one request; True once they are written, False when they had to be dropped.

        `features` are in the order of the layout.
        Raises `BadInput` for a number or a time that no column holds.
        """
        return self.append_rows(
            [(request_id, i, received) for i in range(len(rows))], answered, rows, features, predictions
        )

    def append_rows(
        self,
        origins: Sequence[tuple[str, int, datetime]],
        answered: datetime,
        rows: Sequence[Record],
        features: Mapping[str, Array],
        predictions: Sequence[Sequence[Any]],
    ) -> bool:
        """As `append`, for the rows of several requests: each with its request, its place in it and when it came."""
        inputs = self._inputs
        columns = [column.tolist() for column in features.values()]
        for position in self._texts:
            columns[position] = _without_nan(columns[position])
        try:
            records = [
                _encode((*origin, answered, *inputs(row), *values, *said))
                for origin, row, values, said in zip(
                    origins, rows, zip(*columns, strict=True), predictions, strict=True
                )
            ]
        except OverflowError as error:
            raise BadInput(f"a value is beyond what a column holds: {error}", do="Send a smaller one.") from None
        return self._spool.append(*records)


def _values_of(names: list[str]) -> Callable[[Record], tuple[Any, ...]]:
    """The function from a record to its values, in the order of `names`."""
    if len(names) == 1:
        name = names[0]
        return lambda row: (getattr(row, name),)
    return attrgetter(*names)


def _without_nan(values: list[Any]) -> list[Any]:
    return [None if value != value else value for value in values]


def drain_predictions(home: Home) -> Drained:
    """Move every segment that nobody writes any more into the tables; doing it again changes nothing."""

    def sink(segment: Segment) -> None:
        meta, rows = decode_segment(segment)
        write_part(home.tables, table_name("served", meta["model"]), segment.id, rows, day=meta["day"])

    return drain(home.spool, TOPIC, sink)


def decode_segment(segment: Segment) -> tuple[dict[str, Any], pa.Table]:
    """What a segment says of itself, and its records as rows of the served table."""
    meta = msgspec.msgpack.decode(segment.meta, type=dict[str, Any])
    values = {name: type_named(kind) for name, kind in meta["values"].items()}
    columns = dict(zip([*WRITTEN, *values], zip(*map(_decode, segment.records), strict=True), strict=True))
    count = len(segment.records)
    constant = {"model_version": meta["version"], "part": "served", "label": None, "segment": segment.id}
    arrays = {name: pa.array([value] * count, ORIGIN[name]) for name, value in constant.items()}
    arrays["record"] = pa.array(range(count), pa.int64())
    types = {**ORIGIN, **values}
    arrays |= {name: _filed(name, column, types[name]) for name, column in columns.items()}
    return meta, pa.table({name: arrays[name] for name in types})


def _filed(name: str, values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Logged values as a column, NaN as null, as in the rows of training."""
    try:
        return pa.array(values, kind, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        # One value that its column can't hold must not keep all others out of the table.
        found = [_or_null(value, kind) for value in values]
        lost = sum(new is None and old is not None for new, old in zip(found, values, strict=True))
        log.warning("%s values of %s are beyond %s; they are null in the table", lost, name, kind)
        return pa.array(found, kind, from_pandas=True)


def _or_null(value: Any, kind: pa.DataType) -> Any:
    try:
        pa.scalar(value, kind)
    except (pa.ArrowException, OverflowError):
        return None
    return value


def log_training(
    home: Home,
    layout: Layout,
    run_id: str,
    version: int | None,
    part: str,
    rows: Columns[Any],
    features: Mapping[str, Array],
    predictions: Mapping[str, Array],
    label: Array,
) -> int:
    """Write what a training run saw and said into `trained.<model>`; returns the rows written."""
    count, at = len(rows), now()
    constant = {
        "model_version": version,
        "request_id": run_id,
        "part": part,
        "received_at": at,
        "answered_at": at,
        "segment": run_id,
    }
    arrays: dict[str, pa.Array] = {
        name: pa.repeat(pa.scalar(value, ORIGIN[name]), count) for name, value in constant.items()
    }
    arrays["row"] = arrays["record"] = pa.array(np.arange(count))
    arrays["label"] = pa.array(label, pa.float64(), from_pandas=True)
    types = schema(layout.takes)
    for prefix, columns in (("input", rows), ("feature", features), ("prediction", predictions)):
        for name, column in columns.items():
            kind = types.field(name).type if prefix == "input" else layout.values[f"{prefix}_{name}"]
            arrays[f"{prefix}_{name}"] = to_arrow(column, kind)
    ordered = pa.table({name: arrays[name] for name in [*ORIGIN, *layout.values]})
    write_part(home.tables, table_name("trained", layout.model), f"{run_id}-{part}", ordered, day=layout.day_column)
    return count


def to_arrow(column: Array, kind: pa.DataType) -> pa.Array:
    """A numpy column as Arrow, NaN and NaT as null."""
    if column.dtype.kind == "T":
        return pa.array(_without_nan(column.tolist()), kind)
    if column.dtype.kind == "M":
        return pa.array(column).cast(pa.timestamp("us") if pa.types.is_timestamp(kind) else kind).cast(kind)
    return pa.array(column, from_pandas=True).cast(kind)
