"""How many states that a power cut may leave were opened, and in how many something acknowledged was lost."""

import os
import sys
import tempfile
import time
from pathlib import Path

from measure import Row

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "faults"))
from crash.search import WORKLOADS, Searched, recorded, search

#: Of one workload; some have fewer.
MOST, SAMPLES = 2_200, 60


def measure() -> list[Row]:
    started, found = time.perf_counter(), Searched()
    for workload in WORKLOADS:
        with tempfile.TemporaryDirectory() as folder:
            recording = recorded(workload, Path(folder))
        one = search(recording, samples=SAMPLES, most=MOST, workers=os.cpu_count() or 1)
        print(
            f"  {workload}: {one.states:,} states, {one.promises} acknowledgements, {len(one.faults)} faults",
            flush=True,
        )
        found.states += one.states
        found.promises += one.promises
        found.faults += one.faults
    for fault in found.faults[:10]:
        print(f"  LOST: {fault}", flush=True)
    seconds = time.perf_counter() - started
    what = f"power cuts: {len(WORKLOADS)} recorded programs, {found.promises} acknowledgements"
    return [Row(what, f"{found.states:,} states opened in {seconds:.0f} s, {len(found.faults)} with something lost")]
