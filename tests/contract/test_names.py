"""Columns whose names Python does not take: everything outside of Python uses their own."""

import pickle
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract import Decoder, EventTime, Field, Invalid, Key, Probabilities, Record, between, field, fields
from assay.contract.columns import NoColumn, from_rows
from assay.contract.fields import UNNAMEABLE
from assay.contract.formats import arrow, sql
from assay.errors import BadInput


class Penguin(Record):
    id: Annotated[Key[str], field(name="Sample Number")]
    at: Annotated[EventTime, field(name="Date Egg")]
    class_: Annotated[Literal["1st", "2nd"], field(name="class")]
    mass: Annotated[float | None, between(2000, 7000, unit="g"), field(name="Body Mass (g)")]
    second: Annotated[int, field(name="2nd")] = 3


ROW: dict[str, Any] = {
    "Sample Number": "a",
    "Date Egg": "2007-11-11T00:00:00Z",
    "class": "2nd",
    "Body Mass (g)": 3750.0,
    "2nd": 4.0,
}


def declare(**annotations: Any) -> type[Record]:
    return type(Record)("Trip", (Record,), {"__annotations__": annotations, "__module__": __name__})


def test_a_field_knows_its_name_and_what_python_calls_it() -> None:
    assert [(one.name, one.attribute) for one in fields(Penguin)] == [
        ("Sample Number", "id"),
        ("Date Egg", "at"),
        ("class", "class_"),
        ("Body Mass (g)", "mass"),
        ("2nd", "second"),
    ]
    assert Field("miles", float).attribute == "miles"


def test_requests_use_the_name_and_attributes_are_pythons() -> None:
    decoder = Decoder(Penguin)
    made = Penguin(id="a", at=datetime(2007, 11, 11, tzinfo=UTC), class_="2nd", mass=3750.0, second=4)
    assert decoder.decode(msgspec.json.encode(ROW)).rows == [made]
    assert decoder.decode(msgspec.json.encode(made)).rows == [made]
    short = {name: value for name, value in ROW.items() if name != "2nd"}
    assert decoder.decode(msgspec.json.encode(short)).rows[0].second == 3


def test_faults_have_the_name_in_their_path() -> None:
    body = msgspec.json.encode({**ROW, "class": "3rd", "mass": 1, "Body Mass (g)": 1, "2nd": "x"})
    with pytest.raises(Invalid) as refused:
        Decoder(Penguin).decode(body)
    assert [(one.path, one.rule) for one in refused.value.faults] == [
        ("$.mass", "no such field in Penguin; did you mean class?"),
        ("$.class", "one of 1st, 2nd"),
        ('$["Body Mass (g)"]', "a number, 2000 to 7000 g, or null"),
        ('$["2nd"]', "a whole number"),
    ]


def test_columns_are_read_by_attribute_and_by_name() -> None:
    rows = Decoder(Penguin).decode(msgspec.json.encode([ROW, {**ROW, "Body Mass (g)": None}])).rows
    found = from_rows(rows, Penguin)
    assert list(found) == [one.name for one in fields(Penguin)]
    for columns in (found, found.take(np.array([0, 1])), pickle.loads(pickle.dumps(found))):
        assert columns.mass is columns["Body Mass (g)"]
        assert columns.class_.tolist() == ["2nd", "2nd"]
    with pytest.raises(NoColumn, match=r"no column 'mas'\n.*\ndid you mean mass"):
        _ = found.mas
    with pytest.raises(NoColumn, match=r"no column 'mass'\n.*\nWrite d\.mass\."):
        found["mass"]


def test_tables_have_the_name() -> None:
    other = {**ROW, "Sample Number": "b", "Body Mass (g)": None}
    rows = Decoder(Penguin).decode(msgspec.json.encode([ROW, other])).rows
    table = arrow.table(rows, Penguin)
    assert table.column_names == list(ROW)
    there, here = arrow.columns(table, Penguin), from_rows(rows, Penguin)
    assert all(str(there[name]) == str(here[name]) for name in here)
    assert there.second.tolist() == [4, 4]
    with pytest.raises(BadInput, match=r"column Body Mass \(g\) is missing"):
        arrow.columns(table.drop_columns(["Body Mass (g)"]), Penguin)
    with duckdb.connect() as database:
        database.execute(sql.create_table(Penguin, "penguins"))
        database.register("rows", table)
        database.execute("INSERT INTO penguins SELECT * FROM rows")
        assert database.sql('SELECT "Body Mass (g)" FROM penguins').fetchall() == [(3750.0,), (None,)]


def test_a_json_schema_has_the_name() -> None:
    schema = msgspec.json.schema(Penguin)["$defs"]["Penguin"]
    assert list(schema["properties"]) == list(ROW)
    assert schema["required"] == list(ROW)[:-1]


@given(st.text(min_size=1).filter(lambda name: not UNNAMEABLE.search(name)))
def test_any_name_of_a_column_can_be_sent(name: str) -> None:
    record: Any = declare(x=Annotated[float, field(name=name)])
    body = msgspec.json.encode({name: 2.5})
    assert Decoder(record).decode(body).rows == [record(x=2.5)]
    assert msgspec.json.decode(msgspec.json.encode(record(x=2.5))) == {name: 2.5}
    assert arrow.columns(pa.table({name: [2.5]}), record).x.tolist() == [2.5]


def test_names_may_be_swapped() -> None:
    record: Any = declare(a=Annotated[float, field(name="b")], b=Annotated[float, field(name="a")])
    (row,) = Decoder(record).decode(b'{"a": 1, "b": 2}').rows
    assert (row.a, row.b) == (2.0, 1.0)
    found = from_rows([row], record)
    assert (found.a[0], found.b[0], found["a"][0], found["b"][0]) == (2.0, 1.0, 1.0, 2.0)


def test_a_field_that_is_declared_again_has_the_name_that_it_then_says() -> None:
    class Heavy(Penguin):
        mass: Annotated[float, between(5000, 7000)]
        class_: Annotated[Literal["2nd"], field(name="Class")]

    assert [one.name for one in fields(Heavy)] == ["Sample Number", "Date Egg", "2nd", "mass", "Class"]
    body = {"Sample Number": "a", "Date Egg": "2007-11-11T00:00:00Z", "mass": 6000, "Class": "2nd"}
    assert Decoder(Heavy).decode(msgspec.json.encode(body)).rows[0].mass == 6000


def test_an_output_may_have_one_too() -> None:
    (one,) = fields(declare(p=Annotated[Probabilities[Literal["a", "b"]], field(name="p (%)")]))
    assert one.columns == ("p (%)_a", "p (%)_b")


@pytest.mark.parametrize("name", ["", 3, 'a"b', "a\\b", "a\nb", "a\0b", "a\ud800"])
def test_a_name_that_no_request_can_hold_is_refused(name: Any) -> None:
    with pytest.raises(BadInput, match=r"^field\(name="):
        field(name=name)


def test_a_name_stands_in_the_annotation_and_once() -> None:
    with pytest.raises(BadInput) as refused:
        type(Record)("Trip", (Record,), {"__annotations__": {"x": float}, "x": field(name="y"), "__module__": __name__})
    said = "Trip.x: field() stands in the annotation\nWrite x: Annotated[TYPE, assay.field(name=...)]."
    assert str(refused.value) == said
    with pytest.raises(BadInput, match=r"^Trip: y and x are both called 'y'"):
        declare(y=float, x=Annotated[float, field(name="y")])
    with pytest.raises(BadInput, match=r"^Trip\.x: field must be called"):
        declare(x=Annotated[float, field])
