from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.contract import EventTime, Key, Record, between
from assay.contract.columns import from_rows
from assay.contract.formats import arrow
from assay.errors import BadInput

NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)


class Trip(Record):
    trip: Key[str]
    left: EventTime
    origin: Literal["EWR", "JFK"]
    miles: Annotated[float, between(0, 6000, unit="mi")]
    stops: int
    bags: int | None
    day: date
    late: bool | None


ROWS = [
    Trip(trip="a", left=NOON, origin="EWR", miles=1.5, stops=1, bags=2, day=date(2013, 6, 3), late=True),
    Trip(trip="b", left=NOON, origin="JFK", miles=0.1, stops=0, bags=None, day=date(1969, 6, 3), late=None),
]
TABLE = arrow.table(ROWS, Trip)


def with_column(name: str, column: pa.Array) -> pa.Table:
    return TABLE.set_column(TABLE.column_names.index(name), name, column)


def refused(table: pa.Table) -> str:
    with pytest.raises(BadInput) as error:
        arrow.columns(table, Trip)
    return str(error.value)


def test_a_table_and_its_schema_come_back_from_a_parquet_file(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "trips.parquet")
    back = pq.read_table(tmp_path / "trips.parquet")
    assert back.equals(TABLE)
    assert back.schema.equals(arrow.schema(Trip), check_metadata=False)
    assert [field.nullable for field in back.schema] == [False, False, False, False, False, True, False, True]
    facts = back.schema.field("miles").metadata
    assert (facts[b"assay.unit"], facts[b"assay.rule"]) == (b"mi", b"a number, 0 to 6000 mi")
    assert back.schema.field("left").metadata[b"assay.role"] == b"event_time"
    columns, expected = arrow.columns(back, Trip), from_rows(ROWS, Trip)
    for name, column in expected.items():
        np.testing.assert_array_equal(columns[name], column)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("trip", pa.array(["a", "b"], pa.large_string())),
        ("trip", pa.array(["a", "b"], pa.string_view())),
        ("origin", pa.array(["EWR", "JFK"]).dictionary_encode()),
        ("origin", pa.array(["EWR", "JFK"], pa.large_string()).dictionary_encode()),
        ("left", pa.array([NOON, NOON], pa.timestamp("ns", "UTC"))),
        ("left", pa.array([NOON, NOON], pa.timestamp("ms", "America/New_York"))),
        ("left", pa.array([NOON, NOON], pa.timestamp("s", "+05:30"))),
        ("stops", pa.array([1, 0], pa.int32())),
        ("stops", pa.array([1, 0], pa.uint8())),
        ("bags", pa.array([2, None], pa.int16())),
        ("day", pa.array([date(2013, 6, 3), date(1969, 6, 3)], pa.date64())),
        ("late", pa.array([True, None]).dictionary_encode()),
    ],
)
def test_other_widths_and_encodings_of_a_type_are_accepted(name: str, column: pa.Array) -> None:
    found, expected = arrow.columns(with_column(name, column), Trip)[name], from_rows(ROWS, Trip)[name]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_float32_and_whole_numbers_become_float64() -> None:
    for column in (pa.array([1.5, 0.25], pa.float32()), pa.array([2, 3], pa.int8())):
        found = arrow.columns(with_column("miles", column), Trip).miles
        assert (found.dtype, found.tolist()) == (np.float64, column.to_pylist())


def test_a_column_of_nulls_only_is_missing_everywhere() -> None:
    columns = arrow.columns(with_column("bags", pa.nulls(2)), Trip)
    assert columns.bags.dtype == np.float64
    assert np.isnan(columns.bags).all()


def test_all_faults_of_a_table_are_named_at_once() -> None:
    bad = pa.table(
        {
            "tripp": ["a", "b"],
            "left": pa.array([NOON, NOON], pa.timestamp("us")),
            "origin": ["EWR", None],
            "miles": ["1", "2"],
            "stops": [1.5, 2.0],
            "bags": [1, 2],
            "day": [NOON, NOON],
            "late": [True, False],
        }
    )
    assert refused(bad) == (
        "the table does not fit Trip\n"
        "  column trip is missing. did you mean tripp?\n"
        "  column left has no time zone: say which zone its times are in, like "
        'pc.assume_timezone(table["left"], "America/New_York")\n'
        "  column origin has 1 nulls of 2, the contract allows none\n"
        "  column miles is string, the contract declares a number, 0 to 6000 mi\n"
        "  column stops holds numbers that are not whole, like 1.5\n"
        "  ... and 1 more\n"
        "Correct the table or the contract; `assay check` shows the rows."
    )


@pytest.mark.parametrize(
    ("name", "column", "says"),
    [
        ("miles", pa.array([1.0, float("nan")]), "column miles has 1 nulls of 2, the contract allows none"),
        ("stops", pa.array([1, 2**64 - 1], pa.uint64()), "column stops can't become int64: Integer value 18446744"),
        ("bags", pa.array([None, 2**53 + 1]), "column bags may be missing, so it is stored as float64: Integer value"),
        ("bags", pa.array([1, 2**53 + 1]), "column bags may be missing, so it is stored as float64: Integer value"),
        ("left", pa.array([1, 2], pa.timestamp("ns", "UTC")), "column left can't become timestamp[us, tz=UTC]: "),
        ("left", pa.array([2**62, 2], pa.timestamp("s", "UTC")), "column left can't become timestamp[us, tz=UTC]: "),
        ("day", pa.array([NOON, NOON]), "column day is timestamp[us, tz=UTC], the contract declares a date"),
        ("trip", pa.array([["a"], ["b"]]), "column trip is list<item: string>, the contract declares a text"),
        ("trip", pa.array([b"a", b"b"]), "column trip is binary, the contract declares a text"),
        ("late", pa.array([1, 0]), "column late is int64, the contract declares true or false, or null"),
    ],
)
def test_a_column_that_does_not_fit(name: str, column: pa.Array, says: str) -> None:
    assert refused(with_column(name, column)).splitlines()[1].startswith(f"  {says}")


def test_a_name_that_stands_twice() -> None:
    assert "column miles is in the table more than once" in refused(TABLE.append_column("miles", pa.array([1.0, 2.0])))


def test_an_empty_table_and_one_without_chunks() -> None:
    for table in (TABLE.slice(0, 0), arrow.schema(Trip).empty_table(), arrow.table([], Trip)):
        columns: Any = arrow.columns(table, Trip)
        assert len(columns) == 0
        assert {name: column.dtype for name, column in columns.items()} == {
            name: column.dtype for name, column in from_rows(ROWS, Trip).items()
        }
