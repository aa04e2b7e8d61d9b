"""Records a program, builds the states that a power cut may leave and opens each."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from crash.disk import Recorder, Recording, Said
from crash.oracles import faults
from crash.states import State, build, states
from crash.trace import calls, record

PROGRAMS = Path(__file__).with_name("programs.py")
#: Memory, where there is any: a state is written, opened and removed within a hundredth of a second.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass(frozen=True)
class Workload:
    """A program, and what fails or dies under it: runs of it one after the other, each with an injection of strace."""

    name: str
    #: Whether the home is there, with what `before_NAME` leaves, when it begins.
    begun: bool = True
    injections: tuple[str, ...] = ("",)

    def __str__(self) -> str:
        home = "" if self.begun else " from nothing"
        return ", ".join([f"{self.name}{home}", *filter(None, self.injections)])


KILLED_AT = range(1, 7)
#: What is recorded, searched by the tests and counted in BENCHMARKS.md.
WORKLOADS = (
    Workload("points"),
    Workload("points", begun=False),
    Workload("served"),
    Workload("steps"),
    Workload("sealed"),
    Workload("kept"),
    Workload("filed"),
    Workload("purged"),
    Workload("published"),
    Workload("answers"),
    Workload("compacted"),
    Workload("handed"),
    Workload("serves"),
    *(Workload("drained", injections=(f"fsync:signal=KILL:when={n}", "")) for n in KILLED_AT),
    *(Workload("merged", injections=(f"fsync:signal=KILL:when={n}", "")) for n in range(1, 5)),
    *(Workload("handed", injections=(f"fsync:signal=KILL:when={n}", "")) for n in (3, 9)),
    *(Workload("put", begun=False, injections=(f"fsync:signal=KILL:when={n}", "")) for n in KILLED_AT),
)


@dataclass
class Searched:
    """What was found in the states of one workload."""

    states: int = 0
    promises: int = 0
    faults: list[str] = field(default_factory=list[str])


def recorded(workload: Workload, folder: Path) -> Recording:
    """Run a program and record what it does to its home."""
    project, marker = folder / "project", folder / "said"
    project.mkdir(parents=True)
    if workload.begun:
        subprocess.run(_command(f"before_{workload.name}", project, marker), env=_environment(), check=True)
    marker.write_bytes(b"")
    recorder = Recorder(project, marker)
    for number, injection in enumerate(workload.injections):
        trace = folder / f"trace{number}"
        code = record(_command(workload.name, project, marker), trace, environment=_environment(), inject=injection)
        assert injection or code == 0, f"{workload} ended with {code}"
        recorder.take(calls(trace))
    return recorder.recording


def _command(name: str, project: Path, marker: Path) -> list[str]:
    return [sys.executable, str(PROGRAMS), name, str(project / ".assay"), str(marker)]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def search(recording: Recording, *, samples: int, most: int, workers: int = 0) -> Searched:
    """Open at most so many states, those of all prefixes alike; in this process, or in others."""
    prefixes = range(recording.beginning, len(recording.operations) + 1)
    found = Searched(promises=sum(isinstance(one, Said) for one in recording.operations))
    seen = set[bytes]()
    for digests, wrong in _opened(recording, prefixes, samples, most, workers):
        seen |= digests
        found.faults += wrong
    found.states = len(seen)
    return found


def _opened(
    recording: Recording, prefixes: range, samples: int, most: int, workers: int
) -> Iterator[tuple[set[bytes], list[str]]]:
    if not workers:
        yield open_states(recording, prefixes, samples, most)
        return
    shares = [prefixes[start : start + 25] for start in range(0, len(prefixes), 25)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording")
        path.write_bytes(pickle.dumps(recording))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _begin_worker, (str(path),)) as pool:
            each = [most * len(share) // len(prefixes) for share in shares]
            yield from pool.map(_open_share, shares, [samples] * len(shares), each)


_recording: list[Recording] = []


def _begin_worker(path: str) -> None:
    _recording[:] = [pickle.loads(Path(path).read_bytes())]


def _open_share(prefixes: range, samples: int, most: int) -> tuple[set[bytes], list[str]]:
    return open_states(_recording[0], prefixes, samples, most)


def open_states(recording: Recording, prefixes: Sequence[int], samples: int, most: int) -> tuple[set[bytes], list[str]]:
    """Open the states of some prefixes: the digests of those that were opened, and what was wrong.

    The last prefix comes first, so that of equal states the one with the most promises is opened.
    """
    seen, wrong = set[bytes](), list[str]()
    every = list(reversed(prefixes))
    for place, prefix in enumerate(every):
        room = most * (place + 1) // len(every)
        for state in states(recording, prefix, samples):
            if len(seen) >= room:
                break
            if fault := _open_new(recording, state, seen):
                wrong.append(fault)
    return seen, wrong


def _open_new(recording: Recording, state: State, seen: set[bytes]) -> str:
    tree = build(recording, state)
    digest = tree.digest()
    if digest in seen:
        return ""
    seen.add(digest)
    said = [one for one in recording.operations[: state.prefix] if isinstance(one, Said)]
    folder = Path(tempfile.mkdtemp(dir=FAST))
    try:
        tree.write(folder)
        found = faults(folder / ".assay", said)
    finally:
        shutil.rmtree(folder)
    return f"{state}: {'; '.join(found)}" if found else ""
