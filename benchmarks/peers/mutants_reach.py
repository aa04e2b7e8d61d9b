"""Tells mutmut of the functions that a test reaches in a process of its own.

It is a plug-in of pytest in the process that runs the tests, and loaded by `sitecustomize` in those that they start.
PYTEST_DONT_REWRITE: both may be true of one process.
"""

import os
from contextlib import suppress
from pathlib import Path


def begin() -> None:
    """In a process that a test started: write down what is reached, instead of counting it where nobody looks."""
    if os.environ.get("MUTANT_UNDER_TEST") != "stats":
        return
    from mutmut.mutation import trampoline

    file = os.open(os.environ["MUTANTS_REACHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
    written: set[str] = set()
    waiting: set[str] = set()

    def record(name: str, caller: str | None = None) -> None:
        if name in written:
            return
        waiting.add(name)
        with suppress(OSError):  # a test that fills the disk, or allows no file to grow: the next call writes these too
            os.write(file, "".join(f"{one}\n" for one in waiting).encode())
            written.update(waiting)
            waiting.clear()

    trampoline.record_trampoline_hit = record


def pytest_runtest_makereport() -> None:
    """After a test, before its end, at which mutmut asks what it reached."""
    path = Path(os.environ["MUTANTS_REACHED"])
    if os.environ.get("MUTANT_UNDER_TEST") == "stats" and path.exists():
        from mutmut.state import state

        state()._stats.update(path.read_text().split())  # noqa: SLF001 (it has no other door)
        path.unlink()
