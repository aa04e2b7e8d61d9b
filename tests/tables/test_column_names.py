"""Columns whose names Python does not take, in tables of every source."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import assay
from assay.contract.formats.arrow import columns

TABLE = pa.table(
    {
        "Order ID": [f"o{i}" for i in range(60)],
        "[Order] Date": pa.array(range(0, 60 * 10**9, 10**9), pa.timestamp("us", "UTC")),
        "class": ["1st" if i % 3 else "2nd" for i in range(60)],
        "Body Mass (g)": pa.array([None if i == 7 else float(i) for i in range(60)]),
        "2nd": [i % 5 for i in range(60)],
        "50% off: 'yes'?": [i / 4 for i in range(60)],
        "a.b": [1.5 * i for i in range(60)],
        "größe": [2.5 * i for i in range(60)],
    }
)


class Order(assay.Record):
    order: Annotated[assay.Key[str], assay.field(name="Order ID")]
    at: Annotated[assay.EventTime, assay.field(name="[Order] Date")]
    class_: Annotated[Literal["1st", "2nd"], assay.field(name="class")]
    mass: Annotated[float | None, assay.between(0, 100), assay.field(name="Body Mass (g)")]
    second: Annotated[int, assay.field(name="2nd")]
    off: Annotated[float, assay.between(0, 100), assay.field(name="50% off: 'yes'?")]
    dotted: Annotated[float, assay.field(name="a.b")]
    size: Annotated[float, assay.field(name="größe")]


def _csv(folder: Path) -> str:
    pyarrow.csv.write_csv(TABLE, folder / "orders.csv")
    return "orders.csv"


def _parquet(folder: Path) -> str:
    for part in (0, 1):
        (folder / f"orders/part={part}").mkdir(parents=True)
        pq.write_table(TABLE.slice(30 * part, 30), folder / f"orders/part={part}/a.parquet")
    return "orders"


def _feather(folder: Path) -> str:
    pyarrow.feather.write_feather(TABLE, folder / "orders.feather")
    return "orders.feather"


def _json(folder: Path) -> str:
    (folder / "orders.jsonl").write_text(TABLE.to_pandas().to_json(orient="records", lines=True, date_format="iso"))
    return "orders.jsonl"


def _duckdb(folder: Path) -> str:
    with duckdb.connect(folder / "shop.duckdb") as connection:
        connection.register("rows", TABLE)
        connection.execute("CREATE TABLE orders AS SELECT * FROM rows")
    return "shop.duckdb#orders"


SOURCES: dict[str, Callable[[Path], Any]] = {
    "csv": _csv,
    "parquet": _parquet,
    "feather": _feather,
    "json": _json,
    "duckdb": _duckdb,
    "arrow": lambda _: TABLE,
    "pandas": lambda _: TABLE.to_pandas(),
    "polars": lambda _: pl.from_arrow(TABLE),
    "lazy": lambda _: pl.from_arrow(TABLE).lazy(),  # pyright: ignore[reportAttributeAccessIssue]
}


def _read_and_checked(target: Any, checked: Any) -> None:
    rows = assay.read(target, Order, until="1970-01-01T10:00:00Z", last="10h")
    assert len(rows) == 36
    there = columns(rows, Order)
    assert there.order.tolist() == [f"o{i}" for i in range(36)]
    assert there.dotted.tolist() == TABLE["a.b"].to_pylist()[:36]
    assert there.class_.tolist() == TABLE["class"].to_pylist()[:36]
    rules = [Order, assay.col("Body Mass (g)").between(0, 50), assay.sql("\"50% off: 'yes'?\" < 14")]
    report = assay.check(checked, rules)
    found = {one.rule: one for one in report.results if one.failing}
    assert {name: one.failing for name, one in found.items()} == {"between": 9, "sql": 4}
    worst = found["sql"].worst[0].values
    assert list(worst)[:2] == ["Order ID", "[Order] Date"]
    assert "50% off: 'yes'?" in worst


@pytest.mark.parametrize("source", SOURCES)
def test_a_table_is_read_and_checked(source: str, opened, tmp_path: Path) -> None:
    target = SOURCES[source](tmp_path)
    _read_and_checked(target, tmp_path / target if isinstance(target, str) else target)


def test_a_table_of_postgresql(in_postgres: Callable[[pa.Table], str], opened) -> None:
    url = in_postgres(TABLE)
    _read_and_checked(url, url)


def test_a_table_of_sqlite(opened, tmp_path: Path) -> None:
    from sqlalchemy import Column, DateTime, Float, Integer, MetaData, Table, Text, create_engine

    kinds = [Text, DateTime, Text, Float, Integer, Float, Float, Float]
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.sqlite'}")
    named = zip(TABLE.column_names, kinds, strict=True)
    orders = Table("orders", MetaData(), *(Column(name, kind, key=f"c{i}") for i, (name, kind) in enumerate(named)))
    with engine.begin() as connection:
        orders.create(connection)
        connection.execute(
            orders.insert(), [{f"c{i}": v for i, v in enumerate(row.values())} for row in TABLE.to_pylist()]
        )
    engine.dispose()

    class Naive(Order):
        at: Annotated[assay.EventTime(zone="UTC"), assay.field(name="[Order] Date")]

    rows = assay.read("shop.sqlite#orders", Naive, until="1970-01-01T10:00:00Z", last="10h")
    assert columns(rows, Naive).off.tolist() == TABLE["50% off: 'yes'?"].to_pylist()[:36]
    assert not assay.check(tmp_path / "shop.sqlite#orders", Naive).failed


def test_a_frame_of_spark(in_spark: Callable[[pa.Table], Any], opened) -> None:
    frame = in_spark(TABLE)
    _read_and_checked(frame, frame)


def test_pandas_keeps_whole_numbers() -> None:
    assert columns(pa.Table.from_pandas(pd.DataFrame(TABLE.to_pandas())), Order).second.dtype == "int64"
