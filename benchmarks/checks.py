"""Twenty checks of 10 million rows of 20 columns in one Parquet file, beside reading them all and beside peers."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import HERE, Row, peer

COPIES = 30
PEERS = {"pandera": "pandera 0.35.0 on polars", "pointblank": "pointblank 1.1.1 on polars"}


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        told, silent = Path(folder) / "told.parquet", Path(folder) / "silent.parquet"
        _write(told, silent)
        ours = _seconds(sys.executable, "assay", told)
        blind = _seconds(sys.executable, "assay", silent)
        decode = _seconds(sys.executable, "decode", told)
        rows = [
            Row(
                "20 checks, 10 M rows x 20 columns",
                _shown(ours),
                "every value decoded (DuckDB)",
                _shown(decode),
                decode[0] / ours[0],
            ),
            Row(
                "the same without statistics in the file",
                _shown(blind),
                "every value decoded (DuckDB)",
                _shown(decode),
                decode[0] / blind[0],
            ),
        ]
        for name, words in PEERS.items():
            if python := peer(name):
                theirs = _seconds(str(python), name, told)
                rows.append(
                    Row("20 checks, 10 M rows x 20 columns", _shown(ours), words, _shown(theirs), theirs[0] / ours[0])
                )
    return rows


def _shown(found: tuple[float, float]) -> str:
    return f"{found[0]:.2f} s, {found[1]:,.0f} MiB"


def _seconds(python: str, what: str, file: Path) -> tuple[float, float]:
    """The median time of the checks alone, in a process that has its libraries loaded, and its peak memory."""
    script = HERE / "peers" / "checks.py"
    said = subprocess.run([python, script, what, file], check=True, capture_output=True, text=True).stdout
    time_s, peak_mib = said.split()[-2:]
    return float(time_s), float(peak_mib)


def _write(told: Path, silent: Path) -> None:
    import duckdb
    import pyarrow.parquet as pq

    from assay.cli.flights_data import build

    data = told.parent / "data"
    build(data)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT f.* EXCLUDE (day), r AS copy, f.distance / 5 AS miles5, f.temp - 32 AS above, f.carrier || f.origin AS desk, "
            f"hash(f.flight) % 4043 AS code, f.seats * 2 AS seats2 FROM read_parquet('{data}/flights/*/*.parquet') f, range({COPIES}) t(r)) "
            f"TO '{told}' (FORMAT parquet, COMPRESSION zstd)"
        )
    shutil.rmtree(data)
    with (
        pq.ParquetFile(told) as source,
        pq.ParquetWriter(silent, source.schema_arrow, compression="zstd", write_statistics=False) as sink,
    ):
        for batch in source.iter_batches(1 << 20):
            sink.write_batch(batch)
