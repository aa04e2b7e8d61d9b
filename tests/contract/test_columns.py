import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import GOOD, Everything, rows

from assay.contract import Columns, Decoder, Record, fields
from assay.contract.columns import TEXT, column_of, dtype_of, from_rows
from assay.contract.decode import to_json
from assay.contract.formats import arrow
from assay.contract.record import field_named
from assay.errors import BadInput


def same(some: Columns[Any], others: Columns[Any]) -> None:
    assert list(some) == list(others)
    assert len(some) == len(others)
    for name, column in some.items():
        other = others[name]
        assert (column.dtype, column.shape) == (other.dtype, other.shape), name
        assert column.flags.c_contiguous
        assert other.flags.c_contiguous
        if column.dtype == TEXT:
            assert [bits(value) for value in column] == [bits(value) for value in other], name
        else:
            assert column.tobytes() == other.tobytes(), name


def bits(value: object) -> object:
    return value if isinstance(value, str) else "missing"


@given(st.lists(rows, max_size=5))
def test_rows_and_a_table_give_the_very_same_columns(values: list[dict[str, Any]]) -> None:
    records = [Everything(**row) for row in values]
    from_requests = from_rows(records, Everything)
    table = arrow.table(records, Everything)
    same(from_requests, arrow.columns(table, Everything))
    sent = [Decoder(Everything).decode(to_json(row)).rows[0] for row in values]
    same(from_requests, from_rows(sent, Everything))
    in_chunks = pa.concat_tables([table.slice(0, 2), table.slice(2)])
    same(from_requests, arrow.columns(in_chunks, Everything))


@given(st.lists(rows, min_size=2, max_size=4))
def test_a_row_alone_has_the_values_it_has_among_others(values: list[dict[str, Any]]) -> None:
    records = [Everything(**row) for row in values]
    together = from_rows(records, Everything)
    for i, record in enumerate(records):
        same(from_rows([record], Everything), together.take(np.array([i])))


def test_each_declared_type_has_one_form() -> None:
    columns = from_rows([Everything(**GOOD)], Everything)
    assert {name: str(column.dtype) for name, column in columns.items() if column.dtype != TEXT} == {
        "at": "datetime64[us]",
        "number": "float64",
        "ranged": "float64",
        "count": "int64",
        "few": "int64",
        "yes": "bool",
        "day": "datetime64[D]",
        "lanes": "int64",
        "number_or_null": "float64",
        "count_or_null": "float64",
        "yes_or_null": "float64",
        "at_or_null": "datetime64[us]",
        "day_or_null": "datetime64[D]",
        "lanes_or_null": "float64",
    }
    assert all(column.dtype == dtype_of(field_named(Everything, name)) for name, column in columns.items())
    for name, column in columns.items():
        missing = (
            bits(column[0]) == "missing"
            if column.dtype == TEXT
            else bool(np.isnat(column[0]) if column.dtype.kind == "M" else np.isnan(column[0]))
        )
        assert missing == (GOOD[name] is None), name


def test_times_become_utc() -> None:
    new_york = timezone(timedelta(hours=-4))
    column = column_of([datetime(2013, 6, 3, 10, 0, 0, 1, new_york), None], field_named(Everything, "at_or_null"))
    assert [str(value) for value in column] == ["2013-06-03T14:00:00.000001", "NaT"]
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))  # year 0 in UTC, which only Python can't hold
    assert str(column_of([first], field_named(Everything, "at"))[0]) == "0000-12-31T19:00:00.000000"


def test_no_rows_give_empty_columns_of_the_same_form() -> None:
    empty, full = from_rows([], Everything), from_rows([Everything(**GOOD)], Everything)
    assert {name: (column.dtype, len(column)) for name, column in empty.items()} == {
        name: (column.dtype, 0) for name, column in full.items()
    }


def test_a_record_of_one_field_and_the_rows_of_a_subclass() -> None:
    class One(Record):
        miles: float

    class Two(One):
        day: date
        miles: float | None

    assert from_rows([One(miles=1.0), One(miles=2.0)], One).miles.tolist() == [1.0, 2.0]
    assert from_rows([Two(miles=1.0, day=date(2013, 6, 3))], One).miles.tolist() == [1.0]
    assert [field.name for field in fields(Two)] == list(from_rows([Two(miles=None, day=date(2013, 6, 3))], Two))


def test_a_column_that_is_not_there_is_named_with_the_nearest() -> None:
    columns: Columns[Any] = Columns({"distance": np.zeros(2), "items": np.ones(2)})
    with pytest.raises(BadInput) as error:
        _ = columns.distnce
    assert str(error.value) == "there is no column 'distnce'\n  there are distance, items\ndid you mean distance?"
    assert getattr(columns, "wind", None) is None
    assert columns["items"].tolist() == [1.0, 1.0]  # though items is a method
    with pytest.raises(BadInput):
        columns["wind"]


def test_columns_are_copied_and_pickled() -> None:
    columns = from_rows([Everything(**GOOD)], Everything)
    same(columns, copy.copy(columns))
    same(columns, copy.deepcopy(columns))
    numbers: Columns[Any] = Columns({"at": np.array([datetime(2013, 6, 3)], "datetime64[us]")})
    same(numbers, pickle.loads(pickle.dumps(numbers)))


def test_a_million_years_are_not_needed_but_the_ends_of_the_calendar_are() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
    assert str(column_of([last], field_named(Everything, "at"))[0]) == "9999-12-31T23:59:59.999999"


@pytest.mark.parametrize("known", [["a", "b"], ["é", "", "b"], ["a", "a\0", "\0"], ["x" * 40, "y"], ["a"]])
@pytest.mark.parametrize("missing", [False, True])
def test_a_long_column_of_few_texts_holds_what_each_value_is(known: list[str], missing: bool) -> None:
    values = [None if missing and i % 7 == 0 else known[i % len(known)] for i in range(5_000)]
    for column in (pa.chunked_array([values[:100], values[100:]]), pa.chunked_array([pa.array(values)])):
        made = arrow.to_numpy(column, TEXT)
        assert made.dtype == TEXT
        assert [value if isinstance(value, str) else None for value in made.tolist()] == values


def test_a_rare_long_text_among_many_is_kept() -> None:
    values = ["a", "b"] * 2_000
    values[1_234] = "c" * 1_000
    assert arrow.to_numpy(pa.chunked_array([values]), TEXT).tolist() == values


def test_texts_of_a_table_are_made_when_they_are_read_and_can_not_be_changed() -> None:
    class Trip(Record):
        name: str
        miles: float

    columns = arrow.columns(pa.table({"name": ["a", "b"], "miles": [1.0, 2.0]}), Trip)
    again = pickle.loads(pickle.dumps(copy.copy(columns)))
    for one in (columns, again):
        assert (len(one), list(one)) == (2, ["name", "miles"])
        assert one.name.tolist() == ["a", "b"]
        assert one.name is one.name
        assert {name: column.tolist() for name, column in one.items()} == {"name": ["a", "b"], "miles": [1.0, 2.0]}
        with pytest.raises(ValueError, match="read-only"):
            one.name[0] = "c"
