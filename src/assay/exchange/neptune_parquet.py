"""Reads the Parquet that Neptune's exporter left: one row a value of one attribute of one run, in parts.

Source of the format: README.md, model.py and storage/ of github.com/neptune-ai/neptune-exporter. Rows are read in
portions, texts as dictionaries, so that neither many rows nor one long text that is repeated need memory.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.exchange.records import OutOfReach
from assay.track.points import Point, microseconds

ROWS = 10_000
#: More attributes of one run, and more characters of its parameters, are refused.
MOST_ATTRIBUTES, MOST_CHARACTERS = 200_000, 64 << 20
#: So many digits after the point has a step.
_DIGITS = 6
_UNIT = 10**_DIGITS
SINGLE = {
    "float": "float_value",
    "int": "int_value",
    "string": "string_value",
    "bool": "bool_value",
    "datetime": "datetime_value",
    "string_set": "string_set_value",
}
SERIES = {"string_series": "string_value", "histogram_series": "histogram_value"}
FILES = ("file", "file_series", "file_set", "artifact")
POINTS = "float_series"


def _text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _step(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or (
        pa.types.is_decimal128(kind) and kind.precision <= 18 and 0 <= kind.scale <= _DIGITS
    )


def _path(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("path") >= 0 and _text(kind.field("path").type)


_NEEDED = ("project_id", "run_id", "attribute_path", "attribute_type")
_COLUMNS: dict[str, Callable[[pa.DataType], bool]] = {
    **dict.fromkeys(_NEEDED, _text),
    "step": _step,
    "timestamp": pa.types.is_timestamp,
    "int_value": pa.types.is_integer,
    "float_value": pa.types.is_floating,
    "string_value": _text,
    "bool_value": pa.types.is_boolean,
    "datetime_value": pa.types.is_timestamp,
    "string_set_value": lambda kind: pa.types.is_list(kind) and _text(kind.value_type),
    "file_value": _path,
    "histogram_value": pa.types.is_struct,
}


@dataclass(frozen=True)
class FileRow:
    """A file that an attribute has, at a path below the folder of files."""

    attribute: str
    kind: str
    path: str
    #: In millionths.
    step: int | None


@dataclass
class Attributes:
    """What one run has, beside its points and series."""

    project: str = ""
    run: str = ""
    single: dict[str, Any] = field(default_factory=dict[str, Any])
    #: Metrics, and how many digits after the point their steps need.
    points: dict[str, int] = field(default_factory=dict[str, int])
    #: Series of texts and histograms, by path: their type.
    series: dict[str, str] = field(default_factory=dict[str, str])
    files: list[FileRow] = field(default_factory=list[FileRow])
    unknown: dict[str, int] = field(default_factory=dict[str, int])
    last_us: int | None = None
    characters: int = 0


def batches(part: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a part, in portions. Raises `OutOfReach` for a file that is damaged or has other columns."""
    try:
        schema = pq.read_schema(part)
        _check(schema, part)
        names = [name for name in schema.names if name in _COLUMNS]
        texts = [name for name in (*_NEEDED, "string_value") if name in names]
        with pq.ParquetFile(part, read_dictionary=texts) as file:
            yield from file.iter_batches(batch_size=ROWS, columns=names)
    except (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError) as error:
        raise OutOfReach(f"{part.name} can't be read: {_line(error)}") from None


def _check(schema: pa.Schema, part: Path) -> None:
    for name, fits in _COLUMNS.items():
        if name not in schema.names:
            if name in _NEEDED:
                raise OutOfReach(f"{part.name} has no column {name}: it is not from Neptune's exporter")
            continue
        if schema.names.count(name) > 1:
            raise OutOfReach(f"{part.name} has column {name} twice")
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not fits(kind):
            raise OutOfReach(f"{part.name}: column {name} is {kind}, which Neptune's exporter does not write")


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def read_attributes(parts: Sequence[Path]) -> Attributes:
    """Everything of a run but its points and series. Raises `OutOfReach`."""
    found = Attributes()
    for part in parts:
        for batch in batches(part):
            _take_batch(found, batch, part)
    if not found.run:
        raise OutOfReach(f"{parts[0].name} has no rows")
    return found


def _take_batch(found: Attributes, batch: pa.RecordBatch, part: Path) -> None:
    if batch.num_rows == 0:
        return
    found.project = _one(batch, "project_id", found.project, part)
    found.run = _one(batch, "run_id", found.run, part)
    kinds = _list(batch, "attribute_type")
    paths = _list(batch, "attribute_path")
    _take_points(found, batch, kinds, paths)
    for row, (kind, path) in enumerate(zip(kinds, paths, strict=True)):
        if kind != POINTS and path:
            _take_row(found, batch, row, kind, path)
    if len(found.single) + len(found.points) + len(found.series) + len(found.files) > MOST_ATTRIBUTES:
        raise OutOfReach(f"it has more than {MOST_ATTRIBUTES:,} attributes")


def _one(batch: pa.RecordBatch, name: str, known: str, part: Path) -> str:
    values = {str(value) for value in batch.column(name).unique().to_pylist()} | ({known} if known else set())
    if len(values) > 1:
        raise OutOfReach(f"{part.name} has rows of several runs")
    return values.pop()


def _take_row(found: Attributes, batch: pa.RecordBatch, row: int, kind: str, path: str) -> None:
    if kind in SINGLE:
        _take_single(found, path, _cell(batch, SINGLE[kind], row))
    elif kind in SERIES:
        found.series[path] = kind
    elif kind in FILES:
        _take_file(found, batch, row, kind, path)
    else:
        found.unknown[str(kind)] = found.unknown.get(str(kind), 0) + 1


def _take_single(found: Attributes, path: str, value: Any) -> None:
    if value is None:  # the exporter writes a row for what only other runs of its batch have
        return
    found.characters += len(value) if isinstance(value, str) else sum(map(len, value)) if isinstance(value, list) else 8
    if found.characters > MOST_CHARACTERS:
        raise OutOfReach(f"its parameters have more than {MOST_CHARACTERS:,} characters")
    found.single[path] = value


def _take_file(found: Attributes, batch: pa.RecordBatch, row: int, kind: str, path: str) -> None:
    value = _cell(batch, "file_value", row)
    if value is not None and value.get("path") is not None:
        step = _steps(batch.slice(row, 1))
        found.files.append(FileRow(path, kind, value["path"], None if step is None else int(step[0])))


def _take_points(found: Attributes, batch: pa.RecordBatch, kinds: list[str], paths: list[str]) -> None:
    rows = np.array([kind == POINTS and bool(path) for kind, path in zip(kinds, paths, strict=True)], bool)
    if not rows.any():
        return
    steps = _steps(batch)
    needed = np.zeros(batch.num_rows, np.int64)
    if steps is not None:
        for digits in range(1, _DIGITS + 1):
            needed[steps % 10 ** (_DIGITS - digits + 1) != 0] = digits
    for row in np.flatnonzero(rows):
        name = paths[row]
        found.points[name] = max(found.points.get(name, 0), int(needed[row]))
    times = [one for one in _times(batch, "timestamp") if one is not None]
    if times:
        found.last_us = max(times if found.last_us is None else [*times, found.last_us])


def read_points(parts: Sequence[Path], digits: dict[str, int], otherwise_us: int) -> Iterator[list[Point]]:
    """Every point; a step with digits after the point is counted in the smallest unit that its metric needs."""
    for part in parts:
        for batch in batches(part):
            kinds, paths = _list(batch, "attribute_type"), _list(batch, "attribute_path")
            if POINTS not in kinds:
                continue
            values, times, steps = _list(batch, "float_value"), _times(batch, "timestamp"), _steps(batch)
            some: list[Point] = []
            for row, (kind, path) in enumerate(zip(kinds, paths, strict=True)):
                if kind != POINTS or not path:
                    continue
                step = 0 if steps is None else int(steps[row]) // 10 ** (_DIGITS - digits[path])
                at, value = times[row], values[row]
                # The exporter's way through pandas makes "not a number" a null.
                some.append(Point(path, math.nan if value is None else value, step, otherwise_us if at is None else at))
            yield some


def read_series(parts: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value of the series of texts and histograms: the path, and step, time and value."""
    for part in parts:
        for batch in batches(part):
            kinds, paths = _list(batch, "attribute_type"), _list(batch, "attribute_path")
            times, steps = _times(batch, "timestamp"), _steps(batch)
            for row, (kind, path) in enumerate(zip(kinds, paths, strict=True)):
                if kind in SERIES and path:
                    value = _cell(batch, SERIES[kind], row)
                    step = None if steps is None else step_text(int(steps[row]))
                    yield path, {"step": step, "timestamp": iso(times[row]), "value": value}


def step_text(millionths: int) -> str:
    """A step as a decimal number.

    >>> step_text(2_000_000), step_text(-500_000)
    ('2', '-0.5')
    """
    return format((Decimal(millionths) / _UNIT).normalize(), "f")


def iso(us: int | None) -> str | None:
    """Microseconds since 1970 as ISO 8601."""
    if us is None:
        return None
    try:
        return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(us)


def _list(batch: pa.RecordBatch, name: str) -> list[Any]:
    """A column; of texts, equal ones are one object."""
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    column: Any = batch.column(name)
    if isinstance(column, pa.DictionaryArray):
        values = column.dictionary.to_pylist()
        return [None if code is None else values[code] for code in column.indices.to_pylist()]
    return column.to_pylist()


def _cell(batch: pa.RecordBatch, name: str, row: int) -> Any:
    if name not in batch.schema.names:
        return None
    value: Any = batch.column(name)[row].as_py()
    return (
        iso(microseconds(value if value.tzinfo else value.replace(tzinfo=UTC)))
        if isinstance(value, datetime)
        else value
    )


def _times(batch: pa.RecordBatch, name: str) -> list[int | None]:
    """Microseconds since 1970."""
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    column: Any = batch.column(name)
    return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64()).to_pylist()


def _steps(batch: pa.RecordBatch) -> Any:
    """Steps in millionths, 0 for those that are null; None when all are."""
    if "step" not in batch.schema.names or batch.column("step").null_count == batch.num_rows:
        return None
    column: Any = batch.column("step")
    if pa.types.is_integer(column.type):
        found = np.array([value or 0 for value in column.to_pylist()], object)
        scale = _UNIT
    else:
        # The lower half of each number of 16 bytes holds all of 18 digits.
        found = np.frombuffer(column.buffers()[1], "<i8")[::2][column.offset : column.offset + len(column)].copy()
        found[np.array(column.is_null())] = 0
        scale = 10 ** (_DIGITS - column.type.scale)
    return found * scale
