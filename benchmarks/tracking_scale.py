"""100,000 runs and 100 million points: how large they are, and how long they take to search. Not part of `make bench`: 5 minutes."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import Row
from trackers import FIRST_SERIES, Ours

RUNS, METRICS, POINTS = 100_000, 10, 100
FILL = """
INSERT INTO metric_points (series_id, step, at_us, value, is_nan)
WITH RECURSIVE n(step) AS (SELECT 1 UNION ALL SELECT step + 1 FROM n WHERE step < {points})
SELECT s.id, n.step, 1700000000000000 + n.step * 1000000 + s.id % 1000, (s.id * 31 + n.step * 7) % 1000 / 1000.0 + 1e-7, 0
FROM metric_series s CROSS JOIN n WHERE s.id BETWEEN {first} AND {last}
"""


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        return _measure(Ours(Path(name) / "ours"))


def _measure(ours: Ours) -> list[Row]:
    from assay import store
    from assay.track import search
    from assay.track.points import history

    started = time.perf_counter()
    ours.fill(RUNS)
    runs_took = time.perf_counter() - started
    with store.use(store.find_home(ours.home)) as opened:
        path = ours.home / "assay.db"
        _fold(opened)
        before = path.stat().st_size
        started = time.perf_counter()
        for first in range(FIRST_SERIES, FIRST_SERIES + RUNS * METRICS, 100_000):
            with opened.database.begin() as connection:
                connection.exec_driver_sql(FILL.format(points=POINTS, first=first, last=first + 99_999))
        took = time.perf_counter() - started
        _fold(opened)
        count = RUNS * METRICS * POINTS
        size = path.stat().st_size - before
        asked: list[tuple[str, Callable[[], object]]] = [
            ("the newest 100 runs", lambda: search(opened, limit=100)),
            (
                "metrics.auc > 0.8 and params.lr = '0.1', best first",
                lambda: search(opened, "metrics.auc > 0.8 and params.lr = '0.1'", order_by=["metrics.auc DESC"]),
            ),
            ("the history of one metric", lambda: history(opened, f"{RUNS // 2:032x}", "auc")),
            (
                "two conditions that nothing orders, OR between them",
                lambda: search(opened, "params.p3 = '2' OR metrics.m3 < 5", order_by=["metrics.m1"]),
            ),
        ]
        rows = [
            Row(
                f"{count / 1e6:,.0f} M points of {RUNS:,} runs",
                f"{size / 1e9:.2f} GB, {size / count:.0f} bytes a point",
            ),
            Row("written by one process", f"{took:.0f} s for the points, {runs_took:.0f} s for the runs"),
        ]
        return rows + [Row(f"searched: {what}", f"{_median(work) * 1000:.0f} ms") for what, work in asked]


def _fold(opened: object) -> None:
    with opened.database.engine.connect() as connection:  # pyright: ignore[reportAttributeAccessIssue]
        raw = connection.connection.driver_connection
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _median(work: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
