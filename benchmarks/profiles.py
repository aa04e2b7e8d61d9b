"""The profile of 1 million rows of flights, beside peers."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
from measure import HERE, Row, peer, timed

ROWS = 1_000_000
#: What the peer of that environment does in `peers/profiles.py`, as the table calls it.
PEERS = {
    "whylogs": "whylogs 1.6.4, profile",
    "evidently": "Evidently 0.7.23, drift between two halves",
}


def measure() -> list[Row]:
    import pyarrow.parquet as pq

    from assay.profiles import encode, profile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flights.parquet"
        _write(file)
        table = pq.read_table(file)
        size = len(encode(profile(table))) / table.num_columns
        ours = {
            "whylogs": statistics.median(timed(lambda: profile(table)) for _ in range(5)),
            "evidently": statistics.median(timed(lambda: _halves(table)) for _ in range(5)),
        }
        claims = {
            "whylogs": f"profile of 1 M rows x {table.num_columns} columns, {size:,.0f} bytes a column",
            "evidently": "two halves of them profiled, and every distance between them",
        }
        return [_row(name, claims[name], ours[name], words, file) for name, words in PEERS.items()]


def _halves(table: pa.Table) -> None:
    from assay.profiles import distances, profile

    before, after = profile(table.slice(0, ROWS // 2)), profile(table.slice(ROWS // 2))
    for name, column in before.columns.items():
        distances(column, after.columns[name])


def _row(name: str, claim: str, ours: float, words: str, file: Path) -> Row:
    python = peer(name)
    if python is None:
        return Row(claim, f"{ours:.2f} s", words, "does not install")
    script = HERE / "peers" / "profiles.py"
    done = subprocess.run([python, script, name, file], check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"MISSING: {name} does not run\n{done.stderr}", flush=True)
        return Row(claim, f"{ours:.2f} s", words, "does not run")
    theirs, mib = map(float, done.stdout.split()[-2:])
    return Row(claim, f"{ours:.2f} s", words, f"{theirs:.1f} s, {mib:,.0f} MiB", theirs / ours)


def _write(file: Path) -> None:
    import duckdb

    from assay.cli.flights_data import build

    data = file.parent / "data"
    build(data)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT f.* EXCLUDE (day, flight, scheduled), f.distance / 5 AS miles5, f.temp - 32 AS above, f.carrier || f.origin AS desk, "
            f"hash(f.flight) % 4043 AS code, f.seats * 2 AS seats2 FROM read_parquet('{data}/flights/*/*.parquet') f, range(3) t(r) LIMIT {ROWS}) "
            f"TO '{file}' (FORMAT parquet, COMPRESSION zstd)"
        )


if __name__ == "__main__":
    sys.stdout.write("\n".join(" | ".join(row.cells) for row in measure()) + "\n")
