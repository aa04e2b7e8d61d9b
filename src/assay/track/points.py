"""Metrics: every point ever logged, and the newest of each metric of each run, by which runs are found and ordered.

The newest is the one of the highest step, then time, then value, as MLflow has it: whatever the order in which points
arrive, and however often, the outcome is the same.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from assay.store import Store
from assay.store.schema import metric_points, metric_series

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES_AT_ONCE = 500
#: What the drivers do fastest: SQLite takes tuples as they are, PostgreSQL arrays in one statement.
_PLAIN = "INSERT OR IGNORE INTO metric_points (series_id, step, at_us, value, is_nan) VALUES (?, ?, ?, ?, ?)"
_FROM_ARRAYS = text(
    "INSERT INTO metric_points SELECT * FROM unnest(CAST(:series_id AS bigint[]), CAST(:step AS bigint[]),"
    " CAST(:at_us AS bigint[]), CAST(:value AS float8[]), CAST(:is_nan AS boolean[])) ON CONFLICT DO NOTHING"
)


class Point(NamedTuple):
    """One value of a metric; not a number and infinities are kept as they are."""

    name: str
    value: float
    step: int
    #: Microseconds since 1970, UTC.
    at_us: int

    @property
    def at(self) -> datetime:
        """When it was logged."""
        return _EPOCH + timedelta(microseconds=self.at_us)


def _upsert_series(dialect: Any) -> Any:
    made = dialect.insert(metric_series)
    old, new = metric_series.c, made.excluded
    newer = tuple_(new.step, new.at_us, new.value) > tuple_(old.step, old.at_us, old.value)
    changed = {name: case((newer, new[name]), else_=old[name]) for name in ("step", "at_us", "value", "is_nan")}
    return made.on_conflict_do_update(index_elements=["run_id", "name"], set_=changed)


_SERIES = {"sqlite": _upsert_series(sqlite), "postgresql": _upsert_series(postgresql)}
_IDS = select(metric_series.c.name, metric_series.c.id).where(
    metric_series.c.run_id == bindparam("run"), metric_series.c.name.in_(bindparam("names", expanding=True))
)


def add_points(connection: Connection, run_id: str, points: Sequence[Point]) -> None:
    """Keep points of one run; one that is there already is kept once."""
    if not points:
        return
    newest: dict[str, tuple[int, int, float, bool]] = {}
    plain: list[tuple[str, int, int, float, bool]] = []
    for name, value, step, at_us in points:
        odd = isnan(value)
        row = (step, at_us, 0.0 if odd else value, odd)
        plain.append((name, *row))
        if name not in newest or row[:3] > newest[name][:3]:
            newest[name] = row
    fields = ("step", "at_us", "value", "is_nan")
    series = [
        {"run_id": run_id, "name": name} | dict(zip(fields, newest[name], strict=True)) for name in sorted(newest)
    ]
    dialect = connection.dialect.name
    connection.execute(_SERIES[dialect], series)
    ids = _series_ids(connection, run_id, list(newest))
    rows = [(ids[name], *row) for name, *row in plain]
    if dialect == "sqlite":
        connection.exec_driver_sql(_PLAIN, rows)
    else:
        names = ("series_id", *fields)
        connection.execute(_FROM_ARRAYS, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _series_ids(connection: Connection, run_id: str, names: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(names), _NAMES_AT_ONCE):
        some = {"run": run_id, "names": names[start : start + _NAMES_AT_ONCE]}
        found.update((row[0], row[1]) for row in connection.execute(_IDS, some))
    return found


def newest_points(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[Point]]:
    """The newest point of each metric, by run, in the order of their names."""
    s = metric_series.c
    asked = select(s.run_id, s.name, s.value, s.is_nan, s.step, s.at_us).where(s.run_id.in_(run_ids)).order_by(s.name)
    found: dict[str, list[Point]] = {}
    for run_id, name, value, is_nan, step, at_us in connection.execute(asked):
        found.setdefault(run_id, []).append(Point(name, _value(value, is_nan), step, at_us))
    return found


def history(store: Store, run_id: str, name: str, *, offset: int = 0, limit: int | None = None) -> list[Point]:
    """The points of one metric of a run, by time, then step, then value; none for a metric that was never logged."""
    with store.database.read() as connection:
        return list(_points(connection, _history(run_id, name).offset(offset).limit(limit)))


def _history(run_id: str, name: str) -> Any:
    p, s = metric_points.c, metric_series.c
    return (
        select(s.name, p.value, p.is_nan, p.step, p.at_us)
        .join_from(metric_series, metric_points, p.series_id == s.id)
        .where(s.run_id == run_id, s.name == name)
        .order_by(p.at_us, p.step, p.value)
    )


def _points(connection: Connection, asked: Any) -> Iterable[Point]:
    rows: Any = connection.execute(asked)
    for name, value, is_nan, step, at_us in rows:
        yield Point(name, _value(value, is_nan), step, at_us)


def _value(value: float, is_nan: bool) -> float:
    return float("nan") if is_nan else value


def microseconds(moment: datetime) -> int:
    """A moment as the columns `at_us` have it.

    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1)
