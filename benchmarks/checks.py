"""Twenty checks of 10 million rows of 20 columns in one Parquet file, beside reading them all and beside peers."""

import subprocess
import sys
import tempfile
from pathlib import Path

from flights_rows import write
from measure import HERE, Row, peer

COPIES = 30
#: Environment and library to what the table calls it.
PEERS = {
    "pandera": "pandera 0.35.0 on polars",
    "pointblank": "pointblank 1.1.1 on polars",
    "soda": "Soda 3.5.6 on DuckDB 1.0",
    "dbt": "dbt 1.11.16, `dbt test` on DuckDB",
    "pandera_pandas": "pandera 0.35.0 on pandas",
    "great_expectations": "Great Expectations 1.24.1 on pandas",
}
CLAIM = "20 checks, 10 M rows x 20 columns"
DECODE = "every value decoded (DuckDB)"
BY_HAND = "polars, the query written by hand"
#: The median seconds of the checks and the peak memory in MiB, or why there are none.
Measured = tuple[float, float] | str


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        told, silent = Path(folder) / "told.parquet", Path(folder) / "silent.parquet"
        write(COPIES, told, silent)
        ours = checked(sys.executable, "assay", told)
        return [
            _row(CLAIM, ours, DECODE, checked(sys.executable, "decode", told)),
            _row(
                "the same without statistics in the file",
                checked(sys.executable, "assay", silent),
                DECODE,
                checked(sys.executable, "decode", silent),
            ),
            *_frames(told),
            *(_row(CLAIM, ours, words, _by_peer(name, told)) for name, words in PEERS.items()),
        ]


def _frames(file: Path) -> list[Row]:
    by_hand = checked(sys.executable, "polars_by_hand", file)
    return [
        _row("the same of a polars frame", checked(sys.executable, "assay_polars", file), BY_HAND, by_hand),
        _row("the same of a pandas frame", checked(sys.executable, "assay_pandas", file), BY_HAND, by_hand),
    ]


def _by_peer(name: str, file: Path) -> Measured:
    python = peer(name)
    return checked(python, name, file) if python else "does not install"


def _row(claim: str, ours: Measured, words: str, theirs: Measured) -> Row:
    known = not isinstance(ours, str) and not isinstance(theirs, str)
    return Row(claim, shown(ours), words, shown(theirs), theirs[0] / ours[0] if known else None)


def shown(found: Measured) -> str:
    """A cell of the table."""
    return found if isinstance(found, str) else f"{found[0]:.2f} s, {found[1]:,.0f} MiB"


def checked(python: str | Path, library: str, table: Path, times: int = 5) -> Measured:
    """The checks by one library in a process of its own, its libraries loaded before the clock starts."""
    script = HERE / "peers" / "run_checks.py"
    done = subprocess.run([python, script, library, table, str(times)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"MISSING: {library} does not run\n{done.stderr}", flush=True)
        return f"does not run: {(done.stderr.splitlines() or ['killed'])[-1][:80]}".replace("|", "/")
    time_s, peak_mib = map(float, done.stdout.split()[-2:])
    return time_s, peak_mib
