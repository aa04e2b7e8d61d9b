"""What the benchmarks share: rows of the table, peers in environments of their own, medians."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
VENVS = HERE.parent / "bench-results" / "venvs"


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, ours, the peer's, and how many times better ours is."""

    claim: str
    ours: str
    peer: str = ""
    theirs: str = ""
    ratio: float | None = None

    @property
    def cells(self) -> list[str]:
        return [self.claim, self.ours, self.peer, self.theirs, "" if self.ratio is None else f"{self.ratio:.3g}x"]


def peer(name: str) -> Path | None:
    """The Python of a peer's environment, made when it is missing; None, said aloud, when it can't be installed."""
    python = VENVS / name / "bin" / "python"
    if (VENVS / name / "ready").exists():
        return python
    try:
        subprocess.run([sys.executable, "-m", "venv", VENVS / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "peers" / f"{name}.txt"], check=True)
    except subprocess.CalledProcessError:
        print(f"MISSING: the peer {name} could not be installed", flush=True)
        return None
    (VENVS / name / "ready").touch()
    return python


def seconds(command: Sequence[str | Path], times: int = 9, cwd: Path | None = None) -> float:
    """The median time of a whole process."""
    subprocess.run(command, check=True, cwd=cwd, capture_output=True)
    return statistics.median(
        timed(lambda: subprocess.run(command, check=True, cwd=cwd, capture_output=True)) for _ in range(times)
    )


def timed(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
