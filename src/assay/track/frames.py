"""Runs as a table: one row a run, one column a parameter, metric and tag."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from assay.track.find import RunRow

_FACTS = ("id", "experiment", "name", "status", "started_at", "ended_at", "parent_id", "user", "code_version", "error")


def as_table(runs: Sequence[RunRow]) -> pa.Table:
    """Runs as a table with columns `id`, `status`, ... and `params.NAME`, `metrics.NAME`, `tags.NAME`; null: not logged.

    Parameters keep their type when all runs agree on it, else they are texts.
    """
    columns: dict[str, Any] = {fact: [getattr(run, fact) for run in runs] for fact in _FACTS}
    for kind in ("params", "metrics", "tags"):
        for name in sorted({name for run in runs for name in getattr(run, kind)}):
            columns[f"{kind}.{name}"] = _column([getattr(run, kind).get(name) for run in runs])
    return pa.table(columns)


def _column(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or (len(kinds) == 1 and not kinds & {dict, list}):
        return [float(value) if value is not None and kinds == {int, float} else value for value in values]
    return [None if value is None else str(value) for value in values]


def as_csv(runs: Sequence[RunRow]) -> str:
    """Runs as CSV, with the same columns."""
    table = as_table(runs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return text.getvalue()
