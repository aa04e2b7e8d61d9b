"""Great Expectations on pandas, with the loading of the file: on DuckDB 2.0 each of its expectations raises an error."""

import great_expectations as gx
import pandas as pd
from great_expectations import expectations as gxe
from twenty import FULL, RANGES, SETS


def prepare(file):
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("flights")
    definition = asset.add_batch_definition_whole_dataframe("whole")
    suite = gx.ExpectationSuite(
        "flights",
        expectations=[
            *(gxe.ExpectColumnValuesToBeBetween(column=n, min_value=a, max_value=b) for n, (a, b) in RANGES.items()),
            *(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=values) for name, values in SETS.items()),
            *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in FULL),
        ],
    )

    def run():
        batch = definition.get_batch({"dataframe": pd.read_parquet(file)})
        assert batch.validate(suite).success

    return run
