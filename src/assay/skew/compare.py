"""Placeholder while a colleague writes this file."""
import numpy as np
from assay.contract.columns import Array


def ulps(a: Array, b: Array) -> int:
    x, y = (np.where(v.view(np.int64) < 0, np.iinfo(np.int64).min - v.view(np.int64), v.view(np.int64)) for v in (a, b))
    return int(np.abs(x - y).max())
