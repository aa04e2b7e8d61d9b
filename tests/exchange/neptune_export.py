"""Writes folders as Neptune's exporter leaves them, by the schema that its README documents."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        ("project_id", pa.string()),
        ("run_id", pa.string()),
        ("attribute_path", pa.string()),
        ("attribute_type", pa.string()),
        ("step", pa.decimal128(18, 6)),
        ("timestamp", pa.timestamp("ms", tz="UTC")),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("string_value", pa.string()),
        ("bool_value", pa.bool_()),
        ("datetime_value", pa.timestamp("ms", tz="UTC")),
        ("string_set_value", pa.list_(pa.string())),
        ("file_value", pa.struct([("path", pa.string())])),
        (
            "histogram_value",
            pa.struct([("type", pa.string()), ("edges", pa.list_(pa.float64())), ("values", pa.list_(pa.float64()))]),
        ),
    ]
)
PROJECT = "team/flights"
BEGAN = datetime(2025, 6, 1, 12, 0, 0, 123000, tzinfo=UTC)
Row = tuple[str, str, dict[str, Any]]


def folder_name(name: str) -> str:
    plain = "".join(c if c.isalnum() or c in "_-" else "_" for c in name)
    return f"{plain}-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(BEGAN.timestamp() + seconds, UTC)


def single(path: str, kind: str, value: Any) -> Row:
    return path, kind, {f"{kind}_value": value}


def point(path: str, step: str | None, value: float | None, seconds: float | None = 1) -> Row:
    time = None if seconds is None else at(seconds)
    return path, "float_series", {"step": step and Decimal(step), "float_value": value, "timestamp": time}


def series(path: str, step: str, value: str) -> Row:
    return path, "string_series", {"step": Decimal(step), "string_value": value, "timestamp": at(2)}


def file(path: str, where: str, kind: str = "file", step: str | None = None) -> Row:
    return path, kind, {"file_value": {"path": where}, "step": step and Decimal(step)}


def table(run: str, rows: list[Row], project: str = PROJECT) -> pa.Table:
    said = [
        {"project_id": project, "run_id": run, "attribute_path": path, "attribute_type": kind, **values}
        for path, kind, values in rows
    ]
    return pa.Table.from_pylist(said, schema=SCHEMA)


def part(root: Path, run: str, number: int = 0, project: str = PROJECT, scope: str = "", data: str = "data") -> Path:
    path = root / data / folder_name(project) / scope / f"{folder_name(run)}_part_{number}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write(root: Path, run: str, *parts: list[Row], project: str = PROJECT, scope: str = "", data: str = "data") -> None:
    for number, rows in enumerate(parts):
        pq.write_table(table(run, rows, project), part(root, run, number, project, scope, data), compression="snappy")


def put(root: Path, where: str, content: bytes, project: str = PROJECT, files: str = "files") -> Path:
    path = root / files / folder_name(project) / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
