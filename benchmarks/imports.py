"""`import assay` <= 0.15 s and `assay --help` <= 0.25 s, as whole processes."""

import sys

from measure import Row, peer, seconds


def measure() -> list[Row]:
    python = sys.executable
    empty = seconds([python, "-c", "pass"])
    ours = seconds([python, "-c", "import assay"])
    shown = seconds([python, "-m", "assay", "--help"])
    rows = [
        Row("`import assay` (Python alone: " + f"{empty:.3f} s)", f"{ours:.3f} s"),
        Row("`assay --help`", f"{shown:.3f} s"),
    ]
    if other := peer("mlflow"):
        theirs = seconds([other, "-c", "import mlflow"], times=3)
        rows[0] = Row(
            rows[0].claim, rows[0].ours, "`import mlflow` (mlflow-skinny 3.17.2)", f"{theirs:.2f} s", theirs / ours
        )
    return rows
