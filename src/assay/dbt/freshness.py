"""How old the newest row of a source is, measured and judged as dbt does.

The rules are those of dbt-core's `task/freshness.py` and dbt-adapters' `calculate_freshness`: the warehouse's clock;
a time without a zone is UTC; no time at all is the year 1; a limit is passed only when the age is greater.
"""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from assay.checks.words import age, moment
from assay.dbt.declared import Source, Thresholds, Unreadable
from assay.dbt.report import DbtResult, Status
from assay.dbt.warehouse import AskError, Warehouse, utc

#: What dbt takes for a source without a single time.
NEVER = datetime(1, 1, 1, tzinfo=UTC)
_STATUS: dict[str, Status] = {"pass": "pass", "warn": "warn", "error": "fail"}


def judge(length: timedelta, thresholds: Thresholds) -> str:
    """What dbt calls an age: pass, warn or error; the limit of an error is tried first, even if it is the smaller one.

    >>> judge(timedelta(hours=1), Thresholds(error_after=timedelta(hours=1)))
    'pass'
    """
    seconds = length.total_seconds()
    for limit, word in ((thresholds.error_after, "error"), (thresholds.warn_after, "warn")):
        if limit is not None and seconds > limit.total_seconds():
            return word
    return "pass"


def measure(warehouse: Warehouse, source: Source, declared: str) -> DbtResult:
    """The freshness of a source; a time that can't be had is a result of status "error"."""
    sql, blank = "", _blank(source, declared)
    try:
        sql = _sql(source)
        newest, now = _times(warehouse, sql)
    except (AskError, Unreadable) as error:
        return replace(blank, message=str(error), sql=sql)
    length = now - newest
    word = judge(length, source.thresholds)
    return replace(
        blank,
        status=_STATUS[word],
        dbt_status=word,
        message=_message(newest, length, source.thresholds, word),
        max_loaded_at=newest,
        snapshotted_at=now,
        age_s=length.total_seconds(),
        notes=(f"the newest time lies {age(-length)} in the future",) if length < timedelta() else (),
        sql=sql,
    )


def _blank(source: Source, declared: str) -> DbtResult:
    return DbtResult(
        kind="freshness",
        unique_id=source.unique_id,
        name=source.name,
        subject=source.name,
        status="error",
        dbt_status="runtime error",
        message="",
        declared=declared,
    )


def _sql(source: Source) -> str:
    if source.loaded_at_query:
        query = f"with source_query as (\n{source.loaded_at_query}\n)\n"
        return f"{query}select (select * from source_query) as max_loaded_at, now() as snapshotted_at"
    if source.loaded_at_field:
        condition = f" where {source.thresholds.filter}" if source.thresholds.filter else ""
        newest = f"max({source.loaded_at_field}) as max_loaded_at"
        return f"select {newest}, now() as snapshotted_at from {source.relation}{condition}"
    raise Unreadable("it has thresholds, but no loaded_at_field and no loaded_at_query")


def _times(warehouse: Warehouse, sql: str) -> tuple[datetime, datetime]:
    _, rows = warehouse.ask(sql)
    if len(rows) != 1 or len(rows[0]) != 2:
        raise Unreadable(f"one time is expected, there are {len(rows)} rows")
    newest, now = rows[0]
    if newest is None:
        return NEVER, utc(now)
    if not isinstance(newest, datetime):
        kind = type(newest).__name__
        raise Unreadable(f"a timestamp is expected, the newest is the {kind} {newest}; cast it in loaded_at_field")
    return utc(newest), utc(now)


def _message(newest: datetime, length: timedelta, thresholds: Thresholds, word: str) -> str:
    limits = {"error": thresholds.error_after, "warn": thresholds.warn_after}
    limit = limits.get(word)
    allowed = f", at most {age(limit)} allowed" if limit is not None else ""
    if newest == NEVER:
        return f"has no time at all{allowed}"
    if length < timedelta():
        return f"newest {moment(newest)}, in the future"
    return f"newest {moment(newest)}, {age(length)} old{allowed}"
