"""The profile of 1 million rows of flights, beside peers."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import HERE, Row, peer, timed

ROWS = 1_000_000
#: Name of the peer's environment and script `peers/profiles.py NAME FILE` -> what it is called in the table.
PEERS: dict[str, str] = {}


def measure() -> list[Row]:
    import pyarrow.parquet as pq

    from assay.profiles import encode, profile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flights.parquet"
        _write(file)
        table = pq.read_table(file)
        size = len(encode(profile(table))) / table.num_columns
        ours = statistics.median(timed(lambda: profile(table)) for _ in range(5))
        claim = f"profile of 1 M rows x {table.num_columns} columns"
        rows = [Row(claim, f"{ours:.2f} s, {size:,.0f} bytes a column")]
        for name, words in PEERS.items():
            if python := peer(name):
                theirs = _seconds(python, name, file)
                rows.append(Row(claim, f"{ours:.2f} s", words, f"{theirs:.1f} s", theirs / ours))
    return rows


def _seconds(python: Path, name: str, file: Path) -> float:
    script = HERE / "peers" / "profiles.py"
    said = subprocess.run([python, script, name, file], check=True, capture_output=True, text=True).stdout
    return float(said.split()[-1])


def _write(file: Path) -> None:
    import duckdb

    from assay.cli.flights_data import build

    data = file.parent / "data"
    build(data)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT f.* EXCLUDE (day, flight), f.distance / 5 AS miles5, f.temp - 32 AS above, f.carrier || f.origin AS desk, "
            f"hash(f.flight) % 4043 AS code, f.seats * 2 AS seats2 FROM read_parquet('{data}/flights/*/*.parquet') f, range(3) t(r) LIMIT {ROWS}) "
            f"TO '{file}' (FORMAT parquet, COMPRESSION zstd)"
        )


if __name__ == "__main__":
    sys.stdout.write("\n".join(" | ".join(row.cells) for row in measure()) + "\n")
