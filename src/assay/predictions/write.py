"""Writes the prediction log: serving through a spool, training straight into the table."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from assay import context
from assay.contract import Columns, Record
from assay.contract.columns import Array
from assay.contract.formats.arrow import schema
from assay.errors import BadInput, Corrupt
from assay.predictions.layout import ORIGIN, WRITTEN, Layout, table_name, type_named
from assay.store import Home
from assay.store.drain import Drained, drain
from assay.store.segment import Segment
from assay.store.spool import Spool
from assay.store.tables import file_served, write_run
from assay.times import now

log = logging.getLogger(__name__)
TOPIC = "predictions"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


class PredictionLog:
    """What one model version answers, appended to a spool; one record a row, one write a request."""

    def __init__(self, home: Home, layout: Layout, version: int, *, max_age_s: float = 60.0) -> None:
        self._spool = Spool(home.spool, TOPIC, _encode(layout.meta(version)), max_age_s=max_age_s)
        self._inputs = _values_of(layout.attributes)
        #: Whether the newest rows were dropped, and when rows were dropped last.
        self.dropping = False
        self.last_dropped: datetime | None = None
        self._texts = [i for i, kind in enumerate(layout.features.values()) if kind == "text"]
        self.tick = self._spool.tick
        self.rotate = self._spool.rotate
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
            raise BadInput(f"a value does not fit its column: {error}", do="Send a smaller one.") from None
        kept = self._spool.append(*records)
        self.dropping = not kept
        if not kept:
            self.last_dropped = answered
        return kept


def _values_of(attributes: list[str]) -> Callable[[Record], tuple[Any, ...]]:
    """The function from a record to its values, in the order of `attributes`."""
    if len(attributes) == 1:
        name = attributes[0]
        return lambda row: (getattr(row, name),)
    return attrgetter(*attributes)


def _without_nan(values: list[Any]) -> list[Any]:
    return [None if value != value else value for value in values]


def drain_predictions(home: Home) -> Drained:
    """Move every segment that nobody writes any more into the tables; doing it again changes nothing."""

    def sink(segment: Segment) -> None:
        meta, rows = decode_segment(segment)
        name = table_name("served", meta["model"])
        file_served(home.tables, name, segment.id, rows, day=meta["day"], at="received_at")

    # Each table is a folder of its own: one that can't be written does not speak for the others.
    return drain(home.spool, TOPIC, sink, away=())


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
    """Logged values as a column, NaN as null, as in the rows of training; a value is never lost here.

    Raises `Corrupt` for values that the column can't hold: what would be filed as null would be gone.
    """
    try:
        return pa.array(_dates(values) if pa.types.is_date(kind) else values, kind, from_pandas=True)
    except (pa.ArrowException, OverflowError, ValueError) as error:
        raise Corrupt(
            f"the values of {name} do not fit its column of type {kind}: {error}",
            do="The segment is kept. Check the program that wrote it.",
        ) from None


def _dates(values: Sequence[Any]) -> list[Any]:
    """Msgpack has no type for dates: they are written as texts in ISO 8601."""
    return [date.fromisoformat(value) if isinstance(value, str) else value for value in values]


def log_training(
    home: Home,
    layout: Layout,
    run_id: str,
    version: int | None,
    part: str,
    rows: Columns[Any],
    features: Mapping[str, Array],
    predictions: Mapping[str, Array],
    labels: Mapping[str, Array],
) -> pa.Table:
    """Write what a training run saw and said into `trained.<model>`; returns these rows, of which to take a profile.

    `labels` are what happened, by column: `label`, or several that begin with `label_`.

    In a what-if nothing is written: its rows must not pass for those of production.
    """
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
    arrays["label"] = pa.nulls(count, pa.float64())
    arrays |= {
        name: to_arrow(one, pa.string() if one.dtype.kind == "T" else pa.float64()) for name, one in labels.items()
    }
    types = schema(layout.takes)
    for prefix, columns in (("input", rows), ("feature", features), ("prediction", predictions)):
        for name, column in columns.items():
            kind = types.field(name).type if prefix == "input" else layout.values[f"{prefix}_{name}"]
            arrays[f"{prefix}_{name}"] = to_arrow(column, kind)
    several = [name for name in labels if name not in ORIGIN]
    ordered = pa.table({name: arrays[name] for name in [*ORIGIN, *several, *layout.values]})
    if context.what_if():
        return ordered
    name = table_name("trained", layout.model)
    write_run(home.tables, name, run_id, f"{run_id}-{part}", ordered, day=layout.day_column, at="received_at")
    return ordered


def to_arrow(column: Array, kind: pa.DataType) -> pa.Array:
    """A numpy column as Arrow, NaN and NaT as null."""
    if column.dtype.kind == "T":
        return pa.array(_without_nan(column.tolist()), kind)
    if column.dtype.kind == "M":
        return pa.array(column).cast(pa.timestamp("us") if pa.types.is_timestamp(kind) else kind).cast(kind)
    return pa.array(column, from_pandas=True).cast(kind)
