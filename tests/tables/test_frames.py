"""A frame goes wherever a path goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay
from assay.contract.formats.arrow import columns
from assay.errors import BadInput


class Hour(assay.Record):
    start: assay.EventTime
    city: str | None
    bikers: int | None
    share: float | None


ROWS = pa.table(
    {
        "start": pa.array(
            np.arange("2013-01-01", "2013-01-21", dtype="datetime64[h]")[::-1].astype("datetime64[us]")
        ).cast(pa.timestamp("us", "UTC")),
        "city": pa.array(["Łódź", None, "Rome", "Rome"] * 120),
        "bikers": pa.array([1, None, 3, 4] * 120),
        "share": pa.array([0.5, None, 0.25, 1.0] * 120),
        "left": pa.array(range(480)),
    }
)
FRAMES: dict[str, Callable[[pa.Table], Any]] = {
    "pyarrow": lambda table: table,
    "pandas": lambda table: table.to_pandas(),
    "pandas, times as index": lambda table: table.to_pandas().set_index("start"),
    "pandas, Arrow inside": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
    "polars, lazy": lambda table: pl.from_arrow(table).lazy(),
    "polars, categories": lambda table: pl.from_arrow(table).with_columns(pl.col("city").cast(pl.Categorical)),
}


def plain(rows: pa.Table) -> dict[str, list[Any]]:
    """The columns of the contract as feature code sees them."""
    return {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in columns(rows, Hour).items()
    }


@pytest.mark.parametrize("form", FRAMES)
def test_a_frame_is_read_as_its_file_is(form: str, opened, tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "hours.parquet")
    span = {"until": "2013-01-15", "last": "7d"}
    found = assay.read(FRAMES[form](ROWS), Hour, **span)
    assert plain(found) == plain(assay.read("hours.parquet", Hour, **span))
    assert len(found) == 7 * 24
    assert found["start"][0].as_py().isoformat() == "2013-01-08T00:00:00+00:00"
    assert found["left"].to_pylist() == sorted(found["left"].to_pylist(), reverse=True)


@pytest.mark.parametrize("form", FRAMES)
def test_a_frame_is_split_as_its_table_is(form: str) -> None:
    past, holdout = assay.split(FRAMES[form](ROWS), Hour, holdout="5d", gap="1d")
    expected = assay.split(ROWS, Hour, holdout="5d", gap="1d")
    assert plain(past) == plain(expected.past)
    assert plain(holdout) == plain(expected.holdout)


@pytest.mark.parametrize(
    "use", [lambda rows: assay.read(rows, Hour), lambda rows: assay.split(rows, Hour, holdout="1d")]
)
@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ({"start": [1]}, "builtins.dict is not a table"),
        (7, "builtins.int is not a table"),
        (pd.DataFrame({"start": [1, "x"]}), "pandas.DataFrame can't become an Arrow table"),
        (pd.DataFrame({"start": pd.to_datetime(["2013-01-01"])}), "a time without a zone"),
        (pl.DataFrame({"begin": [1]}), "start"),
        (pl.DataFrame({"start": [1]}).lazy().select(pl.col("nothing")), "polars.LazyFrame can't be read"),
    ],
)
def test_what_can_t_be_read_is_bad_input(use: Callable[[Any], Any], frame: Any, says: str, opened) -> None:
    with pytest.raises(BadInput) as refusal:
        use(frame)
    assert says in str(refusal.value)


def test_whole_numbers_as_pandas_keeps_them_beside_missing_ones() -> None:
    frame = pd.DataFrame(
        {"start": pd.to_datetime(["2013-01-01"] * 3, utc=True), "city": "Rome", "bikers": [2, np.nan, 3], "share": 0.5}
    )
    assert plain(pa.table(frame))["bikers"] == [2, None, 3]
    with pytest.raises(BadInput, match=r"column bikers holds numbers that are not whole, like 2\.5"):
        columns(pa.table(frame.assign(bikers=[2.5, np.nan, 3])), Hour)
    with pytest.raises(BadInput, match="column bikers holds numbers that are not whole"):
        columns(pa.table(frame.assign(bikers=[np.inf, np.nan, 1e300])), Hour)
