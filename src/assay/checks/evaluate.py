"""Checks a table, again where it changed meanwhile, and without the files that can't be read."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path

import msgspec

from assay import times
from assay.checks.declare import Checks, Column, from_contract
from assay.checks.declare import fresh as fresh_rule
from assay.checks.failing import write_failing
from assay.checks.report import Report, Result
from assay.checks.rules import HasType, Rule
from assay.checks.run import CheckRun, could_not
from assay.contract import Record
from assay.errors import BadInput, Unavailable
from assay.tables import Table, Target, damaged, open_table

log = logging.getLogger(__name__)
#: How often a table that changes while it is read, or a database that drops the connection, is tried.
ATTEMPTS = 3
Rules = Checks | Rule | Column | type[Record]


def check(
    target: Target,
    rules: Rules | Sequence[Rules],
    *,
    fresh: str | timedelta | None = None,
    now: datetime | str | None = None,
    failing: str | PathLike[str] | None = None,
) -> Report:
    """Say whether a table keeps its rules, and which rows don't.

    The table is a Parquet or CSV file, a folder of them (also `day=2013-01-01/`), a glob, a frame of pyarrow, polars,
    pandas or Spark, or the URL of a table like `postgresql://user@host/shop#public.orders`; the rules are those of a
    contract, of `Checks`, or of several together. `fresh` also asks that the contract's event time is at most that old
    at `now`, the present when omitted. NaN counts as missing; so do an empty text and NA in a CSV file. All rows at
    fault are written to the Parquet file `failing`, when it is named and there are any.
    Raises `BadInput` for what is absent or no table, `Unavailable` for a damaged file or a database that is away; a
    broken rule is no exception.

    >>> import pyarrow as pa
    >>> from assay.checks import Checks, col
    >>> report = check(pa.table({"wind": [8.1, 1048.4]}), Checks(col("wind").between(0, 100, unit="mph")))
    >>> report.results[0].message
    '1 of 2 rows outside 0 to 100 mph   worst 1,048.4'
    """
    at = times.instant(now or "now")
    checks = together(rules, fresh)
    try:
        return _settled(target, checks, at, failing=failing)
    except Unavailable:
        found = damaged(target)
        if not found:
            raise
        log.warning("%s: %s files can't be read and are left out", target, len(found))
        report = _settled(target, checks, at, failing=failing, without=found)
        lost = [could_not("file", f"can't be read: {one.why}", one.place) for one in found.values()]
        return msgspec.structs.replace(report, results=(*lost, *report.results))


def _settled(
    target: Target,
    checks: Checks,
    at: datetime,
    *,
    failing: str | PathLike[str] | None,
    without: Collection[Path] = (),
    attempts: int = ATTEMPTS,
    fatal: Mapping[int, str] | None = None,
) -> Report:
    """The report of a table that did not change meanwhile, in a database that stayed; else of the last attempt.

    The last attempt leaves out the rules in `fatal`, which the connection did not survive before.
    """
    with closing(open_table(target, texts(checks), without)) as table:
        run = CheckRun(table, checks, at, leave_out=fatal if fatal and attempts == 1 else {})
        try:
            report = _report(run)
            if failing is not None and (broken := run.broken(report)):
                write_failing(table, broken, failing)
        except Unavailable:
            if not table.changed or attempts == 1:
                raise
            report = None
        again = run.lost or ("changed while it was read" if table.changed else "")
    if report and (not again or attempts == 1):
        return report
    log.warning("%s: %s; checking again", table.name, again)
    try:
        return _settled(target, checks, at, failing=failing, without=without, attempts=attempts - 1, fatal=run.fatal)
    except Unavailable:
        if report is None:
            raise
        return report


def _report(run: "CheckRun") -> Report:
    total, results = run.results()
    files = len(run.table.files)
    every = (*results, *_unsettled(run.table))
    return Report(target=run.table.name, rows=total, files=files, checked_at=run.now, results=every)


def _unsettled(table: Table) -> Iterator[Result]:
    if table.changed:
        said = f"changed while it was read, {ATTEMPTS} times: the other results may belong to different states"
        yield could_not("table", said)


def together(rules: Rules | Sequence[Rules], fresh: str | timedelta | None = None) -> Checks:
    """The rules of several declarations as one; raises `BadInput` for `fresh` without an event time."""
    several = rules if isinstance(rules, Sequence) else [rules]
    checks = Checks(*(from_contract(each) if isinstance(each, type) else each for each in several))
    if fresh is None:
        return checks
    if checks.event_time is None:
        raise BadInput(
            "fresh= needs an event time", do='Declare one in the contract, or add fresh("column", error="26h").'
        )
    return Checks(checks, fresh_rule(checks.event_time, error=fresh))


def texts(checks: Checks) -> list[str]:
    """The columns that hold text, whatever a CSV file shows in them."""
    return [rule.column for rule in checks.rules if isinstance(rule, HasType) and rule.field.type is str]
