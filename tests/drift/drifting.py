"""Faults as they happen to columns of a table, and in how many windows they are found."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from assay.profiles import profile
from assay.profiles.past import HISTORY, Past
from assay.profiles.shifts import judge

Fault = Callable[[pa.ChunkedArray], object]


def numbers(change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """A fault of the values as float64, missing as NaN; what is NaN afterwards is missing."""
    return lambda column: pa.array(change(column.cast(pa.float64()).to_numpy().copy()), from_pandas=True)


def renamed(old: str, new: str) -> Fault:
    return lambda column: [new if value == old else value for value in column.to_pylist()]


def half(old: str, new: str) -> Fault:
    return lambda column: [new if value == old and i % 2 else value for i, value in enumerate(column.to_pylist())]


def lost(one_in: int) -> Fault:
    """One in so many rows loses its value, whether it had one or not."""

    def change(values: np.ndarray) -> np.ndarray:
        values[np.random.default_rng(3).random(len(values)) < 1 / one_in] = np.nan
        return values

    return numbers(change)


def stuck(values: np.ndarray) -> np.ndarray:
    return np.full(len(values), values[~np.isnan(values)][0])


def found_in(weeks: Sequence[pa.Table], column: str, fault: Fault) -> list[int]:
    """The judged windows in which a fault of only that window is found."""
    past, found = Past(), []
    for i, week in enumerate(weeks):
        healthy = profile(week.select([column])).columns[column]
        if i >= HISTORY:
            broken = profile(pa.table({column: fault(week.column(column))})).columns[column]
            found += [i] if judge(column, past, broken, past.seasonal) else []
        past.add(healthy)
    return found
