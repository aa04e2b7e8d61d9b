"""One table in every source: the same rows for training, the same report for checks."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import assay
from assay.contract.formats.arrow import columns
from assay.errors import AssayError, BadInput, NotFound, Unavailable


class Trip(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    city: str | None
    miles: float | None
    seats: int | None
    late: bool


FIRST = datetime(2013, 1, 1, tzinfo=UTC)
ROWS = pa.table(
    {
        "trip": [f"{i:03}" for i in range(200)],
        "start": pa.array([FIRST + timedelta(hours=7 * (199 - i)) for i in range(200)], pa.timestamp("us", "UTC")),
        "city": ["Łódź, PL", None, 'the "big" one', "NULL"] * 50,
        "miles": pa.array([0.1, None, 1e300, -2.5] * 50),
        "seats": pa.array([1, 2**53, None, -4] * 50),
        "late": [True, False] * 100,
        "extra": pa.array(range(200)),
    }
)
CHECKS = assay.Checks(
    assay.rows(min=200, max=200),
    assay.unique("trip"),
    assay.col("seats").nulls(max=0.1),
    assay.col("city").isin("NULL"),
)


def _lines(path: Path) -> str:
    rows = [{k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in ROWS.to_pylist()]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path.name


def _array(path: Path) -> str:
    _lines(path)
    path.write_text("[" + path.read_text().replace("}\n", "},\n") + "]")
    return path.name


def _stream(path: Path) -> str:
    with pa.ipc.new_stream(path, ROWS.schema) as writer:
        for batch in ROWS.to_batches(max_chunksize=50):
            writer.write_batch(batch)
    return path.name


def _duckdb(path: Path) -> str:
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", ROWS)
        connection.execute(
            "CREATE SCHEMA shop; CREATE TABLE shop.trips AS SELECT * FROM rows; CREATE TABLE other (x INT)"
        )
    return f"{path.name}#shop.trips"


def _csv(path: Path) -> str:
    times = ROWS["start"].cast(pa.string())  # as 2013-01-01 00:00:00Z
    pa.csv.write_csv(ROWS.set_column(1, "start", times), path)
    return path.name


SOURCES: dict[str, Callable[[Path], str]] = {
    "x.csv": _csv,
    "x.jsonl": _lines,
    "x.json": _array,
    "x.feather": lambda path: pa.feather.write_feather(ROWS, path) or path.name,
    "x.arrow": lambda path: pa.feather.write_feather(ROWS, path, compression="uncompressed") or path.name,
    "x.arrows": _stream,
    "x.duckdb": _duckdb,
}


def plain(rows: pa.Table) -> dict[str, list[Any]]:
    found = columns(rows, Trip)
    return {name: [None if value != value else value for value in column.tolist()] for name, column in found.items()}


def reported(target: Any) -> list[tuple[Any, ...]]:
    return [(one.rule, one.column, one.status, one.failing, one.total) for one in assay.check(target, CHECKS).results]


@pytest.mark.parametrize("name", SOURCES)
def test_every_file_gives_the_rows_of_parquet(name: str, opened, tmp_path: Path) -> None:
    place = SOURCES[name](tmp_path / name)
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    for span in ({}, {"until": "2013-02-01", "last": "9d"}):
        found, expected = assay.read(place, Trip, **span), assay.read("rows.parquet", Trip, **span)
        assert plain(found) == plain(expected)
        assert found["extra"].to_pylist() == expected["extra"].to_pylist()
    assert len(expected) == 31
    if name != "x.csv":  # there an empty text is missing and so is NULL for nobody
        assert reported(str(tmp_path / place)) == reported(str(tmp_path / "rows.parquet"))


def test_postgresql_gives_the_rows_of_parquet(in_postgres: Callable[[pa.Table], str], opened, tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    url = in_postgres(ROWS)
    for span in ({}, {"until": "2013-02-01", "last": "9d"}):
        assert plain(assay.read(url, Trip, **span)) == plain(assay.read("rows.parquet", Trip, **span))


def _sqlite(path: Path, *statements: str) -> str:
    with sqlite3.connect(path) as connection:
        connection.executescript(";".join(statements))
    connection.close()
    return str(path)


def test_sqlite_is_read_by_path_and_never_made(opened, tmp_path: Path) -> None:
    place = _sqlite(
        tmp_path / "x.db", 'CREATE TABLE "odd names" (i INTEGER, t TEXT)', """INSERT INTO "odd names" VALUES (1, 'a')"""
    )
    checks = assay.Checks(assay.rows(min=1, max=1), assay.col("i").between(1, 1))
    assert assay.check(place, checks).passed  # it has one table
    assert assay.check(f"{place}#odd names", checks).passed
    with pytest.raises(NotFound, match="odd name does not exist") as refusal:
        assay.check(f"{place}#odd name", checks)
    assert "did you mean odd names?" in str(refusal.value)
    for missing in (f"{tmp_path}/y.db#t", f"sqlite:///{tmp_path}/y.db#t"):
        with pytest.raises(NotFound, match=r"y\.db.* does not exist"):
            assay.check(missing, checks)
    assert not (tmp_path / "y.db").exists()


def test_a_database_without_a_table_named_lists_them(tmp_path: Path) -> None:
    two = _sqlite(tmp_path / "x.db", "CREATE TABLE a (i INTEGER)", "CREATE TABLE b (i INTEGER)")
    with pytest.raises(BadInput, match="names no table\n  it has a, b\nName one after #"):
        assay.check(two, CHECKS)
    _duckdb(tmp_path / "x.duckdb")
    with pytest.raises(BadInput, match=r"names no table\n  it has other, shop\.trips\nName one after #"):
        assay.check(tmp_path / "x.duckdb", CHECKS)
    with pytest.raises(NotFound, match=r"has no table shop\.trip\n  did you mean shop\.trips\?"):
        assay.check(f"{tmp_path}/x.duckdb#shop.trip", CHECKS)


def test_a_file_of_duckdb_that_is_being_written_says_so(tmp_path: Path) -> None:
    place = tmp_path / _duckdb(tmp_path / "x.duckdb")
    with duckdb.connect(tmp_path / "x.duckdb"), pytest.raises(Unavailable, match="is open elsewhere"):
        assay.check(place, CHECKS)
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / "x.duckdb")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(Unavailable, match="is open elsewhere"):
            assay.check(place, CHECKS)
        other.communicate()
    assert assay.check(place, assay.Checks(assay.rows(min=200))).passed


def test_a_view_of_a_foreign_database_reads_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute(f"CREATE VIEW v AS SELECT * FROM read_csv('{tmp_path}/secret.csv')")
        connection.execute("CREATE VIEW w AS SELECT 1 AS a")
    with pytest.raises(AssayError, match=r"x\.duckdb#v"):
        assay.check(f"{tmp_path}/x.duckdb#v", assay.Checks(assay.rows(min=1)))
    assert assay.check(f"{tmp_path}/x.duckdb#w", assay.Checks(assay.rows(min=1))).passed


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl", b'{"a": 1}\n{"a": 2\n{"a": 3}\n', "line 2: "),
        ("x.jsonl", b'{"a": 1}\n\n{"a": 2', "line 3: "),
        ("x.jsonl", b'{"a": 1}\n[1]\n', "line 2 is [1]"),
        ("x.jsonl", b"7\n8\n", "line 1 is 7"),
        ("x.jsonl", b'{"a": "' + b"x" * 20_000_000 + b'"}', "line 1 is longer than 16,777,216 bytes"),
        ("x.jsonl", b'{"A": 1, "a": 2}\n', "columns called A and a, which differ in case only"),
        ("x.jsonl", b'{"a": ' + b"[" * 100_000, "line 1: "),
        ("x.json", b'{"a": 1', "x.json can't be read"),
        ("x.arrow", b"ARROW1\x00\x00" + bytes(100), "x.arrow can't be read"),
        ("x.feather", b"FEA1" + bytes(100), "x.feather can't be read"),
        ("x.arrow", b"", "x.arrow can't be read"),
        ("x.duckdb", bytes(8) + b"DUCK" + bytes(5_000), "x.duckdb can't be read"),
        ("x.db", b"SQLite format 3\x00" + bytes(5_000), "x.db"),
    ],
)
def test_a_damaged_file_is_named(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AssayError) as refusal:
        assay.check(tmp_path / name, assay.Checks(assay.rows(min=1)))
    assert says in str(refusal.value)
    assert name in str(refusal.value)


def test_a_cut_arrow_file_is_named_wherever_it_is_cut(tmp_path: Path) -> None:
    pa.feather.write_feather(ROWS, tmp_path / "whole.feather")
    whole = (tmp_path / "whole.feather").read_bytes()
    for size in range(0, len(whole), len(whole) // 40):
        (tmp_path / "cut.feather").write_bytes(whole[:size])
        with pytest.raises(AssayError, match=r"cut\.feather"):
            assay.check(tmp_path / "cut.feather", CHECKS)


def test_folders_of_one_format_are_one_table(opened, tmp_path: Path) -> None:
    for part in range(2):
        (tmp_path / "lines" / f"part={part}").mkdir(parents=True)
        _lines(tmp_path / "lines" / f"part={part}" / "a.jsonl")
    report = assay.check(
        tmp_path / "lines", assay.Checks(assay.rows(min=400, max=400), assay.col("miles").between(0, 1))
    )
    assert report.results[0].status == "pass"
    assert {one.file for one in report.results[1].worst} <= {"part=0/a.jsonl", "part=1/a.jsonl"}
    assert {one.row for one in report.results[1].worst} <= set(range(200))
    _csv(tmp_path / "lines" / "b.csv")
    with pytest.raises(BadInput, match="holds CSV and JSON files"):
        assay.check(tmp_path / "lines", CHECKS)
    shutil.rmtree(tmp_path / "lines")


@pytest.mark.parametrize("form", ["frame", "parquet", "json", "arrow"])
def test_names_that_differ_in_case_only_are_refused(form: str, tmp_path: Path) -> None:
    table = pa.table({"ID": [1, 1, 1], "id": [1, 2, None]})
    pq.write_table(table, tmp_path / "x.parquet")
    pa.feather.write_feather(table, tmp_path / "x.arrow")
    (tmp_path / "x.json").write_text('[{"ID": 1, "id": 2}]')
    target = table if form == "frame" else tmp_path / f"x.{form}"
    if form == "json":
        (tmp_path / "x.json").write_text('{"ID": 1, "id": 2}')
    with pytest.raises(BadInput, match="columns called ID and id, which differ in case only"):
        assay.check(target, assay.Checks(assay.unique("id")))


def test_a_hint_ignores_case(tmp_path: Path) -> None:
    report = assay.check(pa.table({"ID": [1]}), assay.Checks(assay.col("id").nulls()))
    assert "did you mean ID?" in report.results[0].message


def test_sqlite_rows_that_are_not_what_their_column_says_are_named(opened, tmp_path: Path) -> None:
    place = _sqlite(tmp_path / "x.db", "CREATE TABLE t (start DATETIME, i INTEGER)", "INSERT INTO t VALUES ('x', 1)")
    with pytest.raises(BadInput, match="start is timestamp\\[us\\], a time without a zone"):
        assay.read(place, Trip)
