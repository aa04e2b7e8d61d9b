"""Nothing grows without bound: few files, opened by few, each row once whatever happens in between."""

import shutil
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay import store
from assay.contract import EventTime, Key, Record
from assay.contract.columns import from_rows
from assay.predictions import (
    Layout,
    PredictionLog,
    bound,
    compact_served,
    count_days,
    drain_predictions,
    log_training,
    open_sql,
    read_rows,
)
from assay.store import Home
from assay.store.compact import MANY, choose, compact
from assay.store.shared import files_here
from assay.store.table_files import TableFile, name_for, stamp, told
from assay.store.tables import DAYS_OF_PART, FAR_DAYS, NO_DAY, filed_days, write_part
from assay.track import By, aliases, begin_run, register

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)


class Asked(Record):
    key: Key[str]
    at: EventTime
    value: float


class Said(Record):
    value: float


LAYOUT = Layout("small", Asked, Said, {"value": "number"})
WIDER = Layout("small", Asked, Said, {"value": "number", "word": "text"})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ".assay")


def serve(
    home: Home, times: list[datetime], received: datetime = NOW, *, name: str = "r", layout: Layout = LAYOUT
) -> None:
    """One segment with a row for each event time, all received at one moment."""
    log = PredictionLog(home, layout, 1)
    rows = [Asked(key=f"{name}{i}", at=at, value=float(i)) for i, at in enumerate(times)]
    features = {"value": np.arange(len(rows), dtype=float)}
    if layout is WIDER:
        features["word"] = np.array(["w"] * len(rows), np.dtypes.StringDType(na_object=np.nan))
    assert log.append(name, received, received, rows, features, [(1.0,)] * len(rows))
    log.close()


def drained(home: Home, times: list[datetime], received: datetime = NOW, **more: object) -> None:
    serve(home, times, received, **more)  # type: ignore[arg-type]
    drain_predictions(home)


def table(home: Home) -> Path:
    return home.tables / "served.small"


def parquet_files(home: Home) -> list[Path]:
    return sorted(table(home).rglob("*.parquet"))


def keys(home: Home, **asked: object) -> Counter[str]:
    rows = read_rows(home, "small", **asked)  # type: ignore[arg-type]
    return Counter(rows.column("input_key").to_pylist() if rows else [])


def test_a_request_with_three_thousand_days_makes_a_bounded_number_of_files(home: Home) -> None:
    days = [datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(3_000)]
    serve(home, days)
    before = keys(home)
    drain_predictions(home)
    assert len(parquet_files(home)) == DAYS_OF_PART + 1
    assert keys(home) == before
    assert set(before.values()) == {1}
    rows = read_rows(home, "small", day=(1, NO_DAY))
    assert rows is not None
    assert len(rows) == 3_000 - DAYS_OF_PART
    assert rows.column("input_at").to_pylist()[-1] == days[-1]  # the true time is in the column
    assert sum(keys(home, since=NOW - timedelta(seconds=1)).values()) == 3_000
    assert sum(keys(home, since=NOW + timedelta(seconds=2)).values()) == 0


def test_many_requests_with_odd_days_make_a_bounded_number_of_folders(home: Home) -> None:
    for i in range(10):
        first = datetime(1900 + i, 1, 1, tzinfo=UTC)
        drained(home, [first + timedelta(days=day) for day in range(60)], name=f"odd{i}-")
    drained(home, [NOW, NOW - timedelta(days=300), NOW + timedelta(days=2)], name="honest")
    folders = {path.name for path in table(home).glob("day=*")}
    assert len(folders) == FAR_DAYS + 1 + 3
    assert {"day=2026-11-25", "day=2026-01-29", "day=2026-11-27", f"day={NO_DAY}"} <= folders
    assert sum(keys(home).values()) == 603


def test_the_end_of_time_is_no_fault(home: Home) -> None:
    drained(home, [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC), NOW])
    assert sum(keys(home).values()) == 3
    assert {day for _, day in count_days(home, "small")} == {"0001-01-01", "9999-12-31", "2026-11-25"}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dates(), min_size=1, max_size=200))
def test_a_day_is_kept_or_none(days: list[date]) -> None:
    times = pa.array(
        [datetime(day.year, day.month, day.day, 12, tzinfo=UTC) for day in days], pa.timestamp("us", "UTC")
    )
    rows = pa.table({"at": times, "received": pa.array([NOW] * len(days), pa.timestamp("us", "UTC"))})
    filed = filed_days(Path("no such table"), rows, day="at", at="received").tolist()
    assert len(filed) == len(days)
    assert all(one in (NO_DAY, f"{day:%Y-%m-%d}".zfill(10)) for one, day in zip(filed, days, strict=True))
    assert len(set(filed) - {NO_DAY}) <= DAYS_OF_PART
    if len(set(days)) <= DAYS_OF_PART:
        assert NO_DAY not in filed or date(1970, 1, 1) in days


def test_a_look_up_opens_only_the_files_that_can_hold_what_it_looks_for(home: Home) -> None:
    for i in range(5):
        then = NOW - timedelta(days=i)
        drained(home, [then], then, name=f"day{i}-")
    for path in parquet_files(home):
        if "day=2026-11-25" not in str(path):
            path.write_bytes(b"whoever opens this file fails")
    assert keys(home, since=NOW - timedelta(hours=1)) == {"day0-0": 1}
    assert keys(home, day=(1, "2026-11-25")) == {"day0-0": 1}


def test_sql_over_one_day_opens_that_day_and_one_file_to_know_the_columns(home: Home) -> None:
    for i in range(5):
        drained(home, [NOW - timedelta(days=i)], NOW - timedelta(days=i), name=f"day{i}-")
    files = parquet_files(home)
    for path in files[1:-1]:
        path.write_bytes(b"whoever opens this file fails")
    with store.use(home) as opened:
        assert open_sql(opened, "SELECT input_key FROM served.small WHERE day = '2026-11-25'").to_pylist() == [
            {"input_key": "day0-0"}
        ]


def test_late_rows_are_found_by_when_they_were_received(home: Home) -> None:
    drained(home, [NOW - timedelta(days=200)], NOW, name="late")
    drained(home, [NOW - timedelta(days=200)], NOW - timedelta(days=200), name="early")
    assert keys(home, since=NOW - timedelta(minutes=1)) == {"late0": 1}
    compact_served(home)
    assert keys(home, since=NOW - timedelta(minutes=1)) == {"late0": 1}


def segments(home: Home) -> list[Path]:
    return sorted((home.spool / "predictions").glob("*.seg"))


def test_rows_of_a_segment_that_is_drained_but_still_there_count_once(home: Home, tmp_path: Path) -> None:
    serve(home, [NOW, NOW - timedelta(days=3)])
    shutil.copytree(home.spool, tmp_path / "spool")
    drain_predictions(home)
    shutil.copytree(tmp_path / "spool", home.spool, dirs_exist_ok=True)  # a drainer was killed before it removed it
    assert keys(home) == {"r0": 1, "r1": 1}
    with store.use(home) as opened:
        assert open_sql(opened, "SELECT count(*) AS n FROM served.small").to_pylist() == [{"n": 2}]
    assert sum(count_days(home, "small").values()) == 2
    drain_predictions(home)
    assert keys(home) == {"r0": 1, "r1": 1}


def test_a_segment_drained_again_after_its_rows_were_compacted_does_not_double(home: Home, tmp_path: Path) -> None:
    then = NOW - timedelta(days=3)
    for i in range(3):
        serve(home, [then, then - timedelta(days=1)], then + timedelta(minutes=i), name=f"s{i}-")
    shutil.copytree(home.spool, tmp_path / "spool")
    drain_predictions(home)
    before = keys(home)
    done = compact(table(home), at=NOW)
    assert (done.folders, done.merged, done.into) == (2, 6, 2)
    assert keys(home) == before
    shutil.copytree(tmp_path / "spool", home.spool, dirs_exist_ok=True)
    assert keys(home) == before
    drain_predictions(home)
    assert not segments(home)
    assert keys(home) == before
    assert len(parquet_files(home)) == 2


def test_a_compaction_killed_at_any_point_neither_loses_nor_doubles_a_row(home: Home, tmp_path: Path) -> None:
    then = NOW - timedelta(days=3)
    for i in range(4):
        drained(home, [then + timedelta(seconds=i)], then + timedelta(minutes=i), name=f"s{i}-")
    before, inputs = keys(home), [(path, path.read_bytes()) for path in parquet_files(home)]
    compact(table(home), at=NOW)
    (merged,) = parquet_files(home)
    for left in range(len(inputs) + 1):  # it removes them one by one
        for path, content in inputs[:left]:
            path.write_bytes(content)
        (merged.parent / ".part-left").write_bytes(b"half a file")
        assert keys(home) == before
        assert sum(count_days(home, "small").values()) == 4
        compact(table(home), at=NOW)
        assert parquet_files(home) == [merged]
        assert keys(home) == before
    later = [(merged, merged.read_bytes())]
    drained(home, [then], then + timedelta(hours=1), name="late")
    compact(table(home), at=NOW)
    after = keys(home)
    assert after == before + Counter(["late0"])
    for path, content in [*inputs, *later]:
        path.write_bytes(content)
    assert keys(home) == after
    assert len(files_here(home, table(home).name)) == 1


def test_each_row_is_seen_once_while_days_are_compacted(home: Home) -> None:
    stop, failed = threading.Event(), list[Exception]()

    def work() -> None:
        try:
            while not stop.is_set():
                compact(table(home), at=NOW + timedelta(days=3))
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    told_so_far: list[str] = []
    for i in range(25):
        drained(home, [NOW, NOW - timedelta(days=1)], NOW + timedelta(seconds=i), name=f"s{i}-")
        told_so_far += [f"s{i}-0", f"s{i}-1"]
        assert keys(home) == Counter(told_so_far)
    stop.set()
    thread.join()
    assert not failed
    compact(table(home), at=NOW + timedelta(days=3))
    assert len(parquet_files(home)) == 2


def test_other_columns_are_merged_and_other_types_are_not(home: Home) -> None:
    then = NOW - timedelta(days=3)
    drained(home, [then], then, name="narrow")
    drained(home, [then], then, name="wide", layout=WIDER)
    compact(table(home), at=NOW)
    assert len(parquet_files(home)) == 1
    rows = read_rows(home, "small")
    assert rows is not None
    assert dict(zip(rows.column("input_key").to_pylist(), rows.column("feature_word").to_pylist(), strict=True)) == {
        "narrow0": None,
        "wide0": "w",
    }
    other = Layout("small", Asked, Said, {"value": "text"})
    log = PredictionLog(home, other, 2)
    text = {"value": np.array(["x"], np.dtypes.StringDType(na_object=np.nan))}
    log.append("text", then, then, [Asked(key="text0", at=then, value=1.0)], text, [(1.0,)])
    log.close()
    drain_predictions(home)
    for _ in range(2):
        assert compact(table(home), at=NOW).folders == 0
    assert keys(home) == {"narrow0": 1, "wide0": 1, "text0": 1}


def test_a_damaged_file_stays_and_holds_up_no_other_day(home: Home) -> None:
    for i in (3, 4):
        for j in range(2):
            then = NOW - timedelta(days=i, minutes=j)
            drained(home, [then], then, name=f"{i}-{j}-")
    damaged = parquet_files(home)[0]
    damaged.write_bytes(b"PAR1 and no more")
    assert compact(table(home), at=NOW).folders == 1
    assert damaged.exists()


def file(i: int, *, merged: bool = False, last: datetime = NOW) -> TableFile:
    part = f"merged-{i}" if merged else f"part-{i}"
    return told("day=2026-11-25", Path("nowhere") / name_for(part, pa.schema([]), last, last))


def test_a_quiet_day_becomes_one_file_and_a_busy_one_few() -> None:
    quiet, old = stamp(NOW - timedelta(days=1)), NOW - timedelta(days=2)
    assert choose([file(1), file(2)], quiet) == []
    assert len(choose([file(1, last=old), file(2, last=old)], quiet)) == 2
    assert choose([file(1, last=old)], quiet) == []
    assert choose([file(1, last=old), file(2)], quiet) == []
    many = [file(i) for i in range(MANY)]
    assert len(choose(many, quiet)) == MANY
    assert choose([*many[1:], file(0, merged=True)], quiet) == []
    assert len(choose([file(i, merged=True) for i in range(MANY)], quiet)) == MANY


def test_files_of_an_older_assay_are_read_compacted_and_not_doubled(home: Home, tmp_path: Path) -> None:
    then = NOW - timedelta(days=3)
    for i in range(3):
        serve(home, [then], then + timedelta(minutes=i), name=f"s{i}-")
    shutil.copytree(home.spool, tmp_path / "spool")
    drain_predictions(home)
    for path in parquet_files(home):  # as they were called before
        path.rename(path.parent / f"{told(path.parent.name, path).id}.parquet")
    before = keys(home)
    assert before == {"s0-0": 1, "s1-0": 1, "s2-0": 1}
    assert keys(home, since=then + timedelta(seconds=90)) == {"s2-0": 1}
    shutil.copytree(tmp_path / "spool", home.spool, dirs_exist_ok=True)
    assert keys(home) == before
    compact(table(home), at=NOW + timedelta(days=400))
    assert keys(home) == before
    assert len(parquet_files(home)) == 1
    drain_predictions(home)
    assert keys(home) == before


def test_the_folders_of_one_pass_are_bounded(home: Home) -> None:
    for i in range(6):
        for j in range(2):
            then = NOW - timedelta(days=3 + i, minutes=j)
            drained(home, [then], then, name=f"{i}-{j}-")
    assert compact(table(home), limit=4, at=NOW).folders == 4
    assert compact(table(home), limit=4, at=NOW).folders == 2
    assert compact(table(home), limit=4, at=NOW).folders == 0


def trained(home: Home, run_id: str, rows: int = 3, part: str = "train") -> None:
    asked = [Asked(key=f"k{i}", at=NOW - timedelta(days=i), value=float(i)) for i in range(rows)]
    value = np.arange(rows, dtype=float)
    log_training(
        home, LAYOUT, run_id, None, part, from_rows(asked, Asked), {"value": value}, {"value": value}, {"label": value}
    )


def test_training_writes_one_file_whatever_the_days_and_again_replaces_it(home: Home) -> None:
    for _ in range(2):
        trained(home, "e-1", 500)
        trained(home, "e-1", 10, "holdout")
    trained(home, "e-2", 4)
    assert len(list((home.tables / "trained.small").rglob("*.parquet"))) == 3
    rows = read_rows(home, "small", "trained", request_id="e-1")
    assert rows is not None
    assert Counter(rows.column("part").to_pylist()) == {"train": 500, "holdout": 10}
    with store.use(home) as opened:
        days = open_sql(opened, "SELECT day, count(*) AS n FROM trained.small GROUP BY day ORDER BY day DESC LIMIT 1")
    assert days.to_pylist() == [{"day": "2026-11-25", "n": 3}]


def test_training_rows_that_nobody_needs_go_and_the_others_stay(home: Home) -> None:
    with store.use(home) as opened:
        runs = []
        for i in range(9):
            with begin_run(opened, "small") as run:
                trained(home, run.id)
            with opened.database.begin() as connection:
                made = register(connection, "small", f"{i:064}", run_id=run.id, trained_until=None)
                if i == 1:
                    aliases.move(connection, "small", made.version, By("a test"))
            runs.append(run.id)
        trained(home, "e-refused")
        write_part(home.tables, "trained.small", "e-older-train", _older(), day="input_at")
        assert bound(opened).training_runs == 0  # all are young
        assert bound(opened, older_than=timedelta(), dry_run=True).training_runs == 5
        assert len(_runs(home)) == 11
        assert bound(opened, older_than=timedelta()).training_runs == 5
        assert _runs(home) == {runs[1], *runs[4:]}


def _older() -> pa.Table:
    return pa.table({"request_id": ["e-older"], "input_at": pa.array([NOW], pa.timestamp("us", "UTC"))})


def _runs(home: Home) -> set[str]:
    files = files_here(home, "trained.small")
    return {file.run or file.id.rpartition("-")[0] for file in files}


def test_merged_files_are_plain_parquet(home: Home) -> None:
    then = NOW - timedelta(days=3)
    for i in range(2):
        drained(home, [then], then, name=f"s{i}-")
    compact(table(home), at=NOW)
    (path,) = parquet_files(home)
    assert sorted(pq.read_table(path, partitioning=None).column("input_key").to_pylist()) == ["s0-0", "s1-0"]
