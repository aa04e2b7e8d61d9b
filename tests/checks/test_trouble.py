"""What goes wrong while a table is checked is a result; the other rules are still asked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine

from assay.checks import Checks, check, col, rows, sql, unique
from assay.errors import BadInput, Unavailable

RULES = Checks(rows(min=3), col("x").between(0, 5), unique("x"))


def write(path: Path, *values: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"x": list(values)}), path)
    return path


@pytest.mark.parametrize("damage", ["half written", "empty", "pages"])
def test_a_damaged_file_among_others_is_named_and_the_others_are_checked(damage: str, tmp_path: Path) -> None:
    write(tmp_path / "day=1" / "a.parquet", 1.0, 2.0, 9.0)
    broken = write(tmp_path / "day=2" / "b.parquet", *map(float, range(2000)))
    whole = broken.read_bytes()
    damaged = {"half written": whole[:1000], "empty": b"", "pages": whole[:4] + b"\xff" * 3000 + whole[3004:]}
    broken.write_bytes(damaged[damage])
    report = check(tmp_path, RULES)
    said = [(one.rule, one.status, one.failing) for one in report.results]
    assert said == [("file", "error", 0), ("rows", "pass", 0), ("between", "fail", 1), ("unique", "pass", 0)]
    assert report.results[0].message.startswith("can't be read: ")
    assert report.results[0].column == "day=2/b.parquet"
    assert report.files == 1


def test_where_every_file_is_damaged_nothing_can_be_checked(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        (tmp_path / name).write_bytes(b"PAR1")
    with pytest.raises(Unavailable, match="can't be read"):
        check(tmp_path, RULES)


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Does `work` again and again on another thread."""
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_file_that_changes_while_it_is_read_is_reported_and_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", 1.0, 2.0, 3.0)

    def replace() -> None:
        write(tmp_path / "new", 1.0, 2.0, 3.0).replace(path)

    with meanwhile(replace):  # some of many looks meet it: none has to
        reports = (check(path, RULES) for _ in range(200))
        report = next(report for report in reports if not report.passed)
    assert [(one.rule, one.status) for one in report.results] == [
        ("rows", "pass"),
        ("between", "pass"),
        ("unique", "pass"),
        ("table", "error"),
    ]
    assert "changed while it was read" in report.results[-1].message
    assert check(path, RULES).passed


@pytest.fixture
def admin(postgres: str) -> Iterator[Any]:
    engine = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_dropped_connection_is_opened_again(in_postgres: Callable[[pa.Table], str], admin: Any) -> None:
    url = in_postgres(pa.table({"x": [1.0, 2.0, 9.0]}))
    dropped: list[int] = []

    def drop_once() -> None:
        found = (
            admin.exec_driver_sql(
                "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE '%%pg_sleep%%' AND pid <> pg_backend_pid()"
            ).all()
            if not dropped
            else []
        )
        dropped.extend(row[0] for row in found)

    with meanwhile(drop_once):
        report = check(url, Checks(RULES, sql("pg_sleep(0.3) IS NOT NULL")))
    assert len(dropped) == 1
    assert [one.status for one in report.results] == ["pass", "fail", "pass", "pass"]


def test_a_rule_that_kills_the_connection_each_time_leaves_the_others_their_results(
    in_postgres: Callable[[pa.Table], str],
) -> None:
    url = in_postgres(pa.table({"x": [1.0, 2.0, 9.0]}))
    report = check(url, Checks(RULES, sql("pg_terminate_backend(pg_backend_pid())"), col("x").nulls()))
    assert [one.status for one in report.results] == ["pass", "fail", "pass", "error", "pass"]
    assert "does not answer" in report.results[3].message


def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"postgresql://me:\*\*\*@127\.0\.0\.1:1/shop does not answer"):
        check("postgresql://me:secret@127.0.0.1:1/shop#orders", RULES)


def test_a_vanished_table_is_named_with_what_there_is(in_postgres: Callable[[pa.Table], str]) -> None:
    url = in_postgres(pa.table({"x": [1.0]}))
    with pytest.raises(BadInput, match=r"does not exist\n  did you mean t"):
        check(url[:-1], RULES)
