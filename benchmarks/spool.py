"""One durable append of a 268-byte record, beside other ways to keep one through a kill."""

import logging
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import Row

from assay.store.spool import Spool

RECORD = b"x" * 268
A_ROUND, ROUNDS = 4_000, 15


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "spool": _spool(folder),
            "sqlite": _sqlite(folder),
            "logging": _logging(folder),
            "write": _write(folder),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):  # in turns, so that what else the machine does hits all alike
            for name, append in ways.items():
                taken[name] += _round(append)
    us = {name: statistics.median(times) * 1e6 for name, times in taken.items()}
    worst = {name: statistics.quantiles(times, n=1000)[-1] * 1e6 for name, times in taken.items()}
    ours = f"{us['spool']:.1f} us, p99.9 {worst['spool']:.0f} us"
    peers = {
        "sqlite": "SQLite WAL, autocommit, synchronous=NORMAL",
        "logging": "`logging.FileHandler`, plain text",
        "write": "bare `os.write`, the floor",
    }
    return [
        Row(
            "spool append, 268 bytes",
            ours,
            words,
            f"{us[name]:.1f} us, p99.9 {worst[name]:.0f} us",
            us[name] / us["spool"],
        )
        for name, words in peers.items()
    ]


def _round(append: Callable[[], object]) -> list[float]:
    times: list[float] = []
    for _ in range(A_ROUND):
        started = time.perf_counter()
        append()
        times.append(time.perf_counter() - started)
    return times


def _spool(folder: str) -> Callable[[], object]:
    spool = Spool(Path(folder), "bench", b"meta")
    return lambda: spool.append(RECORD)


def _sqlite(folder: str) -> Callable[[], object]:
    connection = sqlite3.connect(Path(folder) / "log.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE log (record BLOB)")
    return lambda: connection.execute("INSERT INTO log VALUES (?)", (RECORD,))


def _logging(folder: str) -> Callable[[], object]:
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.setLevel("INFO")
    logger.addHandler(logging.FileHandler(Path(folder) / "log.txt"))
    text = RECORD.decode()
    return lambda: logger.info(text)


def _write(folder: str) -> Callable[[], object]:
    file = os.open(Path(folder) / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return lambda: os.write(file, RECORD)
