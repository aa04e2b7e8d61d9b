"""The answers that Assay gives, by one hand-written query of a polars frame that is in memory already."""

import polars as pl
from twenty import FULL, RANGES, SETS


def prepare(file):
    frame = pl.read_parquet(file)
    floats = [name for name in {*RANGES, *FULL} if frame.schema[name].is_float()]
    wanted = [
        *(getattr(pl.col(name), end)().alias(f"{end}.{name}") for name in RANGES for end in ("min", "max")),
        *(pl.col(name).is_in(values).not_().sum().alias(f"strange.{name}") for name, values in SETS.items()),
        *(pl.col(name).null_count().alias(f"missing.{name}") for name in {*RANGES, *FULL}),
        *(pl.col(name).is_nan().sum().alias(f"nan.{name}") for name in floats),  # missing too, for Assay
    ]

    def run():
        found = frame.lazy().select(wanted).collect().row(0, named=True)
        assert all(found[f"min.{name}"] >= low and found[f"max.{name}"] <= high for name, (low, high) in RANGES.items())
        assert not any(found[f"strange.{name}"] for name in SETS)
        assert not any(found[f"missing.{name}"] + found.get(f"nan.{name}", 0) for name in FULL)

    return run
