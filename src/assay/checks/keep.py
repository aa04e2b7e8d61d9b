"""Keeps reports in the metadata database, so that a page can show how a table was before."""

import os
from pathlib import Path

import msgspec
from sqlalchemy import insert, select

from assay import context
from assay.checks.report import Report
from assay.store import Store
from assay.store.schema import check_reports

#: How many reports of a table a page shows.
SHOWN = 200


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


def past_reports(store: Store, target: str, *, limit: int = SHOWN) -> list[Report]:
    """The newest reports of a table, oldest first."""
    asked = select(check_reports.c.body).filter_by(target=_name(store, target))
    asked = asked.order_by(check_reports.c.checked_at.desc(), check_reports.c.id.desc()).limit(limit)
    with store.database.read() as connection:
        bodies = connection.execute(asked).scalars().all()
    return [msgspec.json.decode(body, type=Report) for body in reversed(bodies)]


def _name(store: Store, target: str) -> str:
    named = os.path.relpath(target, store.home.project) if Path(target).exists() else target
    return named[:1000]
