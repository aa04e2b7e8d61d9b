"""Measures every claim of BENCHMARKS.md again and writes its table. Name benchmarks to run only those."""

import importlib
import os
import platform
import sys
from datetime import date
from pathlib import Path

from measure import Row

ALL = (
    "imports",
    "spool",
    "crash_states",
    "tracking",
    "checks",
    "profiles",
    "memory",
    "features",
    "metrics",
    "reading",
    "predicting",
    "scoring",
    "serving",
    "hostile",
    "growth",
    "demo",
)
PAGE = Path(__file__).parents[1] / "BENCHMARKS.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> None:
    chosen = sys.argv[1:] or list(ALL)
    rows: list[Row] = []
    for name in chosen:
        print(f"{name} ...", flush=True)
        rows += importlib.import_module(name).measure()
    lines = ["| what | Assay | beside | theirs | ratio |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row.cells)} |" for row in rows]
    print("\n".join(lines))
    if chosen == list(ALL):
        where = (
            f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {date.today():%Y-%m-%d}"
        )
        before, _, rest = PAGE.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{where}\n\n" + "\n".join(lines) + f"\n{END}{after}")


if __name__ == "__main__":
    main()
