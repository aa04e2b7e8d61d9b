"""pointblank on polars, with the loading of the file."""

import pointblank as pb
import polars as pl
from twenty import FULL, RANGES, SETS


def prepare(file):
    def run():
        asked = pb.Validate(pl.read_parquet(file))
        for name, (low, high) in RANGES.items():
            asked = asked.col_vals_between(name, low, high, na_pass=True)
        for name, values in SETS.items():
            asked = asked.col_vals_in_set(name, values)
        assert asked.col_vals_not_null(FULL).interrogate().all_passed()

    return run
