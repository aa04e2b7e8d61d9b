"""Reading a million rows of five columns from each kind of source into Arrow, beside polars and DuckDB."""

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
from measure import Row

import assay

ROWS = 1_000_000
TURNS = 3


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        return [row for source in _sources(Path(name), _table(ROWS)) for row in _rows(*source)]


def _rows(kind: str, ours, others: dict) -> list[Row]:
    works = {"": ours, **others}
    for work in works.values():
        assert len(work()) == ROWS, kind
    took = {name: statistics.median(_seconds(work) for _ in range(TURNS)) for name, work in works.items()}
    own = took.pop("")
    return [Row(f"1 M rows of {kind}", f"{own:.2f} s", name, f"{one:.2f} s", one / own) for name, one in took.items()]


def _table(count: int) -> pa.Table:
    random = np.random.default_rng(1)
    at = np.datetime64("2013-01-01", "us") + np.arange(count) * np.timedelta64(1_000_000, "us")
    return pa.table(
        {
            "at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "place": pa.array(np.array(["EWR", "JFK", "LGA"])[random.integers(0, 3, count)]),
            "seats": random.integers(1, 9, count),
            "miles": random.uniform(0, 5000, count),
            "wind": pa.array(random.uniform(0, 60, count), mask=random.random(count) < 0.1),
        }
    )


def _sources(folder: Path, made_of: pa.Table):
    paths = {
        kind: str(folder / f"rows.{kind}") for kind in ("parquet", "csv", "jsonl", "arrow", "duckdb", "sqlite", "delta")
    }
    frame = pl.from_arrow(made_of)
    pq.write_table(made_of, paths["parquet"])
    yield _source("Parquet", paths["parquet"], pl.read_parquet, "read_parquet")
    pyarrow.csv.write_csv(made_of, paths["csv"])
    yield _source("CSV", paths["csv"], lambda p: pl.read_csv(p, try_parse_dates=True), "read_csv")
    frame.write_ndjson(paths["jsonl"])
    yield _source("JSON lines", paths["jsonl"], pl.read_ndjson, "read_json")
    pyarrow.feather.write_feather(made_of, paths["arrow"])
    yield "Arrow", (lambda: assay.read(paths["arrow"])), {"polars": lambda: pl.read_ipc(paths["arrow"]).to_arrow()}
    with duckdb.connect(paths["duckdb"]) as made:
        made.execute("SET TimeZone = 'UTC'; CREATE TABLE rows AS SELECT * FROM made_of")
    yield (
        "a DuckDB file",
        (lambda: assay.read(f"{paths['duckdb']}#rows")),
        {"DuckDB": lambda: _of_duckdb(paths["duckdb"])},
    )
    frame.with_columns(at=pl.col("at").dt.to_string("iso")).to_pandas().to_sql(
        "rows", sqlite := sqlite3.connect(paths["sqlite"]), index=False
    )
    sqlite.close()
    yield (
        "a SQLite file",
        lambda: assay.read(f"{paths['sqlite']}#rows"),
        {"polars, read_database": lambda: _of_sqlite(paths["sqlite"])},
    )
    frame.write_delta(paths["delta"])
    yield "Delta", (lambda: assay.read(paths["delta"])), {"polars": lambda: pl.read_delta(paths["delta"]).to_arrow()}


def _source(kind: str, path: str, by_polars, function: str):
    query = f"SELECT * FROM {function}('{path}')"
    others = {"polars": lambda: by_polars(path).to_arrow(), "DuckDB": lambda: duckdb.sql(query).to_arrow_table()}
    return kind, lambda: assay.read(path), others


def _of_duckdb(path: str) -> pa.Table:
    with duckdb.connect(path, read_only=True) as opened:
        return opened.sql("SELECT * FROM rows").to_arrow_table()


def _of_sqlite(path: str) -> pa.Table:
    opened = sqlite3.connect(path)
    try:
        return pl.read_database("SELECT * FROM rows", opened).to_arrow()
    finally:
        opened.close()


def _seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
