"""Event times without a zone, whose contract says which zone it is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import assay
from assay.contract import Decoder
from assay.contract.columns import from_rows
from assay.contract.formats.arrow import columns
from assay.errors import BadInput

PARIS = ZoneInfo("Europe/Paris")


class Hour(assay.Record):
    at: assay.EventTime(zone="Europe/Paris")
    riders: int


#: Around the end of summer; 02:30 is shown twice, and taken for the later.
MOMENTS = [datetime(2013, 10, 27, 1, 30, tzinfo=UTC) + timedelta(hours=12 * i) for i in range(-60, 60)]
NAIVE = pa.table(
    {
        "at": pa.array([one.astimezone(PARIS).replace(tzinfo=None) for one in MOMENTS], pa.timestamp("us")),
        "riders": range(120),
    }
)


def _duckdb(path: Path) -> str:
    with duckdb.connect(path) as connection:
        connection.register("rows", NAIVE)
        connection.execute("CREATE TABLE hours AS SELECT * FROM rows")
    return path.name


def _sqlite(path: Path) -> str:
    from sqlalchemy import Column, DateTime, Integer, MetaData, Table, create_engine

    engine = create_engine(f"sqlite:///{path}")
    hours = Table("hours", MetaData(), Column("at", DateTime), Column("riders", Integer))
    with engine.begin() as connection:
        hours.create(connection)
        connection.execute(hours.insert(), NAIVE.to_pylist())
    engine.dispose()
    return path.name


SOURCES: dict[str, Callable[[Path], Any]] = {
    "x.parquet": lambda path: pq.write_table(NAIVE, path) or path.name,
    "x.csv": lambda path: pa.csv.write_csv(NAIVE, path) or path.name,
    "x.duckdb": _duckdb,
    "x.sqlite": _sqlite,
    "pandas": lambda _: NAIVE.to_pandas(),
    "pandas, ns": lambda _: NAIVE.to_pandas().astype({"at": "datetime64[ns]"}),
    "polars": lambda _: pl.from_arrow(NAIVE),
}


@pytest.mark.parametrize("name", SOURCES)
def test_times_are_those_of_the_zone_in_every_source(name: str, opened, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path / name)
    assert columns(assay.read(source, Hour), Hour).at.tolist() == [one.replace(tzinfo=None) for one in MOMENTS]
    found = assay.read(source, Hour, until="2013-10-27T01:30:00Z", last="1d")
    assert found["riders"].to_pylist() == [58, 59]
    if not isinstance(source, str):
        past, holdout = assay.split(source, Hour, holdout="7d")
        assert [past.num_rows, holdout.num_rows] == [106, 14]
        assert columns(holdout, Hour).at.tolist() == [one.replace(tzinfo=None) for one in MOMENTS[106:]]


def test_postgresql_without_a_zone(in_postgres: Callable[[pa.Table], str], opened) -> None:
    url = in_postgres(NAIVE)
    assert assay.read(url, Hour, until="2013-10-27T01:30:00Z", last="1d")["riders"].to_pylist() == [58, 59]


def test_a_check_takes_the_declared_zone_and_still_refuses_texts() -> None:
    assert assay.check(NAIVE, Hour).passed
    (wrong,) = [
        one for one in assay.check(pa.table({"at": ["soon"], "riders": [1]}), Hour).results if one.status != "pass"
    ]
    assert wrong.column == "at"


def test_a_request_may_leave_the_zone_out_too() -> None:
    body = b'[{"at": "2013-10-27T02:30:00", "riders": 1}, {"at": "2013-10-27T02:30:00+02:00", "riders": 2}]'
    rows = Decoder(Hour).decode(body).rows
    assert from_rows(rows, Hour).at.tolist() == [datetime(2013, 10, 27, 1, 30), datetime(2013, 10, 27, 0, 30)]
    table = columns(NAIVE.filter(pa.compute.equal(NAIVE["riders"], 60)), Hour).at
    assert table.tolist() == from_rows(rows[:1], Hour).at.tolist()


def test_a_time_that_no_clock_shows_is_refused_in_every_form() -> None:
    gap = datetime(2013, 3, 31, 2, 30)
    for rows in (pa.table({"at": [gap], "riders": [1]}), pd.DataFrame({"at": [gap], "riders": [1]})):
        with pytest.raises(BadInput, match=r"2013-03-31 02:30:00"):
            assay.split(rows, Hour, holdout="1d")
    with pytest.raises(BadInput, match="at: 2013-03-31T02:30:00 does not exist"):
        from_rows(Decoder(Hour).decode(b'{"at": "2013-03-31T02:30:00", "riders": 1}').rows, Hour)


def test_the_zone_is_known_when_it_is_declared() -> None:
    with pytest.raises(BadInput, match="Europe/Pari"):
        assay.EventTime(zone="Europe/Pari")

    class Plain(assay.Record):
        at: assay.EventTime
        other: Annotated[float | None, assay.between(0, 1)]

    with pytest.raises(BadInput, match="a time without a zone"):
        assay.split(NAIVE, Plain, holdout="1d")
