"""Keeps reports in the metadata database, so that a page can show how a table was before."""

import os
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import insert, select

from assay import context
from assay.checks.report import Report
from assay.checks.run import could_not
from assay.checks.words import moment, number
from assay.errors import NotFound
from assay.store import Store
from assay.store.database import retried
from assay.store.schema import check_reports
from assay.tables.database import is_database, without_secrets

#: How many reports of a table a page shows.
SHOWN = 200


@retried
def keep_report(store: Store, report: Report) -> None:
    """Keep a report. A path is kept as it is from the project's folder, so that it is the same from any other."""
    row = {
        "target": _name(store, report.target),
        "checked_at": report.checked_at,
        "run_id": context.run_id.get(),
        "status": report.status,
        "rows": report.rows,
        "body": msgspec.json.encode(report).decode(),
    }
    with store.database.begin() as connection:
        connection.execute(insert(check_reports), [row])


def vanished_report(store: Store, target: str, at: datetime, error: NotFound) -> Report:
    """The report of a table that is gone, though it was checked before; raises `error` for one that never was."""
    past = past_reports(store, target, limit=1)
    if not past:
        raise error
    last = past[0]
    said = f"it has vanished: {error.what}; there were {number(last.rows)} rows on {moment(last.checked_at.replace(microsecond=0))}"
    return Report(target=last.target, rows=0, files=0, checked_at=at, results=(could_not("table", said),))


def past_reports(store: Store, target: str, *, limit: int = SHOWN) -> list[Report]:
    """The newest reports of a table, oldest first."""
    asked = select(check_reports.c.body).filter_by(target=_name(store, target))
    asked = asked.order_by(check_reports.c.checked_at.desc(), check_reports.c.id.desc()).limit(limit)
    with store.database.read() as connection:
        bodies = connection.execute(asked).scalars().all()
    return [msgspec.json.decode(body, type=Report) for body in reversed(bodies)]


def _name(store: Store, target: str) -> str:
    """What a table is kept as: an address without secrets, a kind of frame, or else a path from the project's folder."""
    if is_database(target):
        return without_secrets(target)[:1000]
    is_path = Path(target).exists() or "." not in target or "/" in target
    return (os.path.relpath(target, store.home.project) if is_path else target)[:1000]
