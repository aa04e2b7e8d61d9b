"""Metrics: every point ever logged, and the newest of each metric of each run, by which runs are found and ordered.

The newest is the one of the highest step, then time, then value, as MLflow has it: whatever the order in which points
arrive, and however often, the outcome is the same.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, text

from assay.store import Store
from assay.store.plain import driver_of, plain_rows
from assay.store.schema import metric_points, metric_series

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES_AT_ONCE = 500
_UPSERT = (
    "INSERT INTO metric_series AS old (run_id, name, step, at_us, value, is_nan) VALUES ({})"
    " ON CONFLICT (run_id, name) DO UPDATE SET step = excluded.step, at_us = excluded.at_us, value = excluded.value,"
    " is_nan = excluded.is_nan WHERE (excluded.step, excluded.at_us, excluded.value) > (old.step, old.at_us, old.value)"
)
#: What the driver of SQLite does fastest: its own SQL and tuples. A metric costs half of what the statements below cost.
_NEWEST = _UPSERT.format("?, ?, ?, ?, ?, ?")
_ID = "SELECT id FROM metric_series WHERE run_id = ? AND name = ?"
_PLAIN = "INSERT OR IGNORE INTO metric_points (series_id, step, at_us, value, is_nan) VALUES (?, ?, ?, ?, ?)"
_NEWEST_OF = (
    "SELECT run_id, name, value, is_nan, step, at_us FROM metric_series WHERE run_id IN :keys ORDER BY run_id, name"
)
#: PostgreSQL takes arrays in one statement.
_NEWEST_NAMED = text(_UPSERT.format(":run_id, :name, :step, :at_us, :value, :is_nan"))
_FROM_ARRAYS = text(
    "INSERT INTO metric_points SELECT * FROM unnest(CAST(:series_id AS bigint[]), CAST(:step AS bigint[]),"
    " CAST(:at_us AS bigint[]), CAST(:value AS float8[]), CAST(:is_nan AS boolean[])) ON CONFLICT DO NOTHING"
)
_FIELDS = ("step", "at_us", "value", "is_nan")
#: Step, microseconds, value (0 when it is not a number), and whether it is not a number.
_Kept = tuple[int, int, float, bool]


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


_IDS = select(metric_series.c.name, metric_series.c.id).where(
    metric_series.c.run_id == bindparam("run"), metric_series.c.name.in_(bindparam("names", expanding=True))
)


def add_points(connection: Connection, run_id: str, points: Sequence[Point]) -> None:
    """Keep points of one run; one that is there already is kept once."""
    if not points:
        return
    kept: dict[str, list[_Kept]] = {}
    for name, value, step, at_us in points:
        odd = value != value
        kept.setdefault(name, []).append((step, at_us, 0.0 if odd else value, odd))
    newest = [(run_id, name, *max(kept[name])) for name in sorted(kept)]
    (_add_on_sqlite if connection.dialect.name == "sqlite" else _add_on_postgres)(connection, run_id, kept, newest)


def _add_on_sqlite(
    connection: Connection, run_id: str, kept: dict[str, list[_Kept]], newest: list[tuple[Any, ...]]
) -> None:
    driver = driver_of(connection)
    driver.executemany(_NEWEST, newest)
    ids = {name: driver.execute(_ID, (run_id, name)).fetchone()[0] for name in kept}
    driver.executemany(_PLAIN, [(ids[name], *row) for name, some in kept.items() for row in some])


def _add_on_postgres(
    connection: Connection, run_id: str, kept: dict[str, list[_Kept]], newest: list[tuple[Any, ...]]
) -> None:
    series: list[dict[str, Any]] = [dict(zip(("run_id", "name", *_FIELDS), row, strict=True)) for row in newest]
    connection.execute(_NEWEST_NAMED, series)
    ids = _series_ids(connection, run_id, list(kept))
    rows = [(ids[name], *row) for name, some in kept.items() for row in some]
    columns = map(list, zip(*rows, strict=True))
    connection.execute(_FROM_ARRAYS, dict(zip(("series_id", *_FIELDS), columns, strict=True)))


def _series_ids(connection: Connection, run_id: str, names: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(names), _NAMES_AT_ONCE):
        some = {"run": run_id, "names": names[start : start + _NAMES_AT_ONCE]}
        found.update((row[0], row[1]) for row in connection.execute(_IDS, some))
    return found


def newest_points(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[Point]]:
    """The newest point of each metric, by run, in the order of their names."""
    return points_by_run(plain_rows(connection, _NEWEST_OF, run_ids))


def points_by_run(rows: Iterable[Any]) -> dict[str, list[Point]]:
    """Rows of the table of newest points, by run."""
    found: dict[str, list[Point]] = {}
    for run_id, name, value, is_nan, step, at_us in rows:
        found.setdefault(run_id, []).append(Point(name, _value(value, is_nan), step, at_us))
    return found


def history(store: Store, run_id: str, name: str, *, offset: int = 0, limit: int | None = None) -> list[Point]:
    """The points of one metric of a run, by time, then step, then value; none for a metric that was never logged."""
    with store.database.read() as connection:
        return list(_points(connection, _history(run_id, name).offset(offset).limit(limit)))


def histories_of(store: Store, run_id: str, *, at_most: int) -> dict[str, list[Point]]:
    """The first points of each metric of a run, in one turn: as `history` gives them, at most so many of each."""
    p, s = metric_points.c, metric_series.c
    place = func.row_number().over(partition_by=s.name, order_by=(p.at_us, p.step, p.value)).label("place")
    placed = (
        select(s.name, p.value, p.is_nan, p.step, p.at_us, place)
        .join_from(metric_series, metric_points, p.series_id == s.id)
        .where(s.run_id == run_id)
        .subquery()
    )
    columns = [column for column in placed.c if column.key != "place"]
    asked = select(*columns).where(placed.c.place <= at_most).order_by(placed.c.name, placed.c.place)
    found: dict[str, list[Point]] = {}
    with store.database.read() as connection:
        for point in _points(connection, asked):
            found.setdefault(point.name, []).append(point)
    return found


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
    return nan if is_nan else value


def microseconds(moment: datetime) -> int:
    """A moment as the columns `at_us` have it.

    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1)
