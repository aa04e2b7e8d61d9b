"""Tries a model file in a process of its own, with limits, before it is opened in this one.

The libraries behind the formats are written in C and C++: what they make of a crafted file can't be known beforehand. The
child opens the file and predicts some rows; a crash, a loop and a bomb end the child. What passed is remembered by content
hash in the home, and so is what this home saved itself, so that an honest model is tried at most once.
"""

import hashlib
import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from assay.errors import AssayError, BadInput
from assay.model.estimator import Opened, Saved, open_file
from assay.store.durable import make_folder, open_writable

#: Beside the size of the file: what the libraries themselves need.
MEMORY_BYTES, MEMORY_FACTOR = 3 << 30, 8
CPU_S, WALL_S = 60, 180
MAX_FEATURES = 1_000_000
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "LANG", "TMPDIR")
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


class _Verdict(msgspec.Struct):
    """What the child says: nothing against the file, or an error's three parts."""

    what: str = ""
    values: list[str] = []
    do: str = ""


def vouch(folder: Path, saved: Saved, code: Path | None = None, modules: frozenset[str] = frozenset()) -> None:
    """Try a model file, unless it was tried before; `folder` is that of a home. Raises `BadInput` for a bad one.

    `code` is where the modules of the project lie whose classes it may hold.
    """
    mark = _mark(folder, saved)
    if saved.format not in ("pickle", "own") and not mark.exists():
        _try(saved, code, modules)
        _leave(mark)


def remember(folder: Path, saved: Saved) -> None:
    """Note that this home made a model file itself."""
    _leave(_mark(folder, saved))


def _mark(folder: Path, saved: Saved) -> Path:
    return folder / "opened" / f"{saved.format}-{hashlib.sha256(saved.data).hexdigest()}"


def _leave(mark: Path) -> None:
    with suppress(OSError):  # a home that can't be written: it is tried again next time
        make_folder(mark.parent)
        os.close(open_writable(mark, os.O_WRONLY))


def _try(saved: Saved, code: Path | None, modules: frozenset[str]) -> None:
    own = [str(code), *sorted(modules)] if code else []
    command = [sys.executable, "-P", "-m", "assay.model.probe", saved.format, *own]
    environment = {name: value for name, value in os.environ.items() if name in _KEPT} | _ONE_THREAD
    try:
        done = subprocess.run(
            command, input=saved.data, capture_output=True, env=environment, cwd="/", timeout=WALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise _refused(f"it was not opened within {WALL_S} s") from None
    try:
        verdict = msgspec.json.decode(done.stdout.rpartition(b"\n")[2], type=_Verdict)
    except msgspec.DecodeError:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise _refused(f"the process that tried to open it ended with {how}") from None
    if verdict.what:
        raise BadInput(verdict.what, *verdict.values, do=verdict.do)


def _refused(why: str) -> BadInput:
    return BadInput("the model file can't be opened safely", why, do="Save the model again, or do not use the file.")


def _main() -> None:
    """Open the model on stdin and predict some rows; the last line of stdout is what came of it."""
    said = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print
    data = sys.stdin.buffer.read()
    memory = MEMORY_BYTES + MEMORY_FACTOR * len(data)
    for limit, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, CPU_S + len(data) // 1_000_000),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    try:
        sys.path += sys.argv[2:3]
        opened = open_file(msgspec.convert({"format": sys.argv[1], "data": data}, Saved), frozenset(sys.argv[3:]))
        _predict(opened)
        verdict = _Verdict()
    except AssayError as error:
        verdict = _Verdict(error.what, list(error.values), error.do)
    except MemoryError:
        refused = _refused(f"it needs more than {memory >> 20:,} MiB of memory")
        verdict = _Verdict(refused.what, list(refused.values), refused.do)
    said.write(b"\n" + msgspec.json.encode(verdict))
    said.flush()
    os._exit(0)  # nothing that the file made is taken down


def _predict(opened: Opened) -> None:
    """Predict rows of plain and of extreme numbers, each alone; what is wrong with them is no fault of the file."""
    if opened.features is None:
        return
    if not 0 < opened.features <= MAX_FEATURES:
        raise _refused(f"it wants rows of {opened.features:,} columns")
    for value in (0.0, 1.0, -1e9, 1e9, np.nan):
        for ask in (opened.predict, opened.probabilities):
            with suppress(ValueError, RuntimeError, TypeError, AttributeError, LookupError):
                if ask:
                    ask(np.full((1, opened.features), value))


if __name__ == "__main__":
    _main()
