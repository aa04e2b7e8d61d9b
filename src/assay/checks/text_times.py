"""The newest of times that are kept as texts, for engines that do not read texts by a format: each text is read here, once."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pyarrow as pa

from assay.checks.rules import Fresh
from assay.contract.formats.sql import quoted
from assay.tables.view import VIEW

_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)  # noqa: DTZ001 - what a clock shows


def texts(rule: Fresh) -> str:
    """The query for the texts, and in how many rows each is."""
    column = quoted(rule.column)
    there = f"{column} IS NOT NULL" + (f" AND ({rule.where})" if rule.where else "")
    return f'SELECT {column} AS "text", count(*) AS n FROM {VIEW} WHERE {there} GROUP BY {column}'


def read(rule: Fresh, batches: Iterable[pa.RecordBatch], ahead_us: int) -> dict[str, float | None]:
    """The newest time before `ahead_us`, how many rows are beyond, the latest of all, and how many rows show no time."""
    newest: int | None = None
    latest: int | None = None
    ahead = unread = 0
    for batch in batches:
        for text, count in zip(batch["text"].to_pylist(), batch["n"].to_pylist(), strict=True):
            shown = _micros(text, rule.format)
            if shown is None:
                unread += count
                continue
            latest = shown if latest is None else max(latest, shown)
            if shown > ahead_us:
                ahead += count
            else:
                newest = shown if newest is None else max(newest, shown)
    return {"newest_us": newest, "failing": ahead, "latest_us": latest, "unread": unread}


def _micros(text: str, form: str) -> int | None:
    try:
        return (datetime.strptime(text, form).replace(tzinfo=None) - _EPOCH) // _MICROSECOND  # noqa: DTZ007
    except ValueError:
        return None
