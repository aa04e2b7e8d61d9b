"""Metrics of a million rows, beside scikit-learn."""

import statistics
import time

import numpy as np
from measure import Row
from sklearn import metrics as theirs

from assay.metrics.scoring import score

ROWS = 1_000_000


def measure() -> list[Row]:
    random = np.random.default_rng(1)
    p = random.random(ROWS)
    y = (random.random(ROWS) < p).astype(float)
    number, near = random.gamma(2, 3, ROWS), random.gamma(2, 3, ROWS)
    decided = p >= 0.5
    pairs = {
        "auc": (y, p, lambda: theirs.roc_auc_score(y, p)),
        "average_precision": (y, p, lambda: theirs.average_precision_score(y, p)),
        "log_loss": (y, p, lambda: theirs.log_loss(y, p)),
        "brier": (y, p, lambda: theirs.brier_score_loss(y, p)),
        "f1": (y, p, lambda: theirs.f1_score(y, decided)),
        "mae": (number, near, lambda: theirs.mean_absolute_error(number, near)),
        "rmse": (number, near, lambda: theirs.root_mean_squared_error(number, near)),
        "r2": (number, near, lambda: theirs.r2_score(number, near)),
        "poisson_deviance": (number, near, lambda: theirs.mean_poisson_deviance(number, near)),
    }
    rows: list[Row] = []
    for name, (label, said, beside) in pairs.items():
        ours = lambda name=name, label=label, said=said: score(name, label, said)  # noqa: E731
        assert abs(ours() - beside()) < 1e-9, name
        took = [(_seconds(ours), _seconds(beside)) for _ in range(5)]  # in turns
        own, other = (statistics.median(column) for column in zip(*took, strict=True))
        claim = f"{name} of 1 M rows"
        rows.append(Row(claim, f"{own * 1e3:,.0f} ms", "scikit-learn", f"{other * 1e3:,.0f} ms", other / own))
    return rows


def _seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
