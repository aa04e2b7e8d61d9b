"""How long a piece of work takes and how much memory its process ever held."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

#: Work that takes longer is run three times in all, or once.
LONG_S, VERY_LONG_S = 5, 15


def report(run: Callable[[], object], times: int = 5) -> None:
    """Print the median seconds and the peak MiB.

    The first of several runs is left out: it loads what later ones find loaded. Of work above 15 s it is all there is,
    and `times=1` asks for that.
    """
    first = _seconds(run)
    if first > VERY_LONG_S or times == 1:
        took = [first]
    else:
        took = [_seconds(run) for _ in range(min(times, 3) if first > LONG_S else times)]
    print(statistics.median(took), _peak_mib())


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be that of the process that started this one
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
