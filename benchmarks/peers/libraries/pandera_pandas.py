"""pandera on pandas, with the loading of the file."""

import pandas as pd
import pandera.pandas as pa
from twenty import FULL, RANGES, SETS


def prepare(file):
    columns = {name: [pa.Check.in_range(low, high)] for name, (low, high) in RANGES.items()}
    columns |= {name: [pa.Check.isin(values)] for name, values in SETS.items()}
    schema = pa.DataFrameSchema(
        {name: pa.Column(checks=columns.get(name, []), nullable=name not in FULL) for name in {*columns, *FULL}}
    )
    return lambda: schema.validate(pd.read_parquet(file), lazy=True)
