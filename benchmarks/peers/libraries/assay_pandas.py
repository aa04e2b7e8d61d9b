"""Assay on a pandas frame that is in memory already."""

import pandas as pd
from libraries.assay import prepare as on


def prepare(file):
    return on(pd.read_parquet(file))
