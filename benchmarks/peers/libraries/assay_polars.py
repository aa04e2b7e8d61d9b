"""Assay on a polars frame that is in memory already."""

import polars as pl
from libraries.assay import prepare as on


def prepare(file):
    return on(pl.read_parquet(file))
