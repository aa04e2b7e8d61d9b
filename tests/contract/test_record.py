from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest

from assay.contract import Decoder, EventTime, Field, Key, Probabilities, Record, between, fields, nulls
from assay.contract.record import event_time_field, field_named, key_fields, need_event_time
from assay.errors import BadInput


class Place(Record):
    """A record of a module with `from __future__ import annotations`, which are texts."""

    made_by: ClassVar[str] = "a survey"
    name: Key[str]
    seen: EventTime
    height: Annotated[float | None, between(-500, 9000, unit="m"), nulls(max=0.1, severity="warn")]
    kind: Literal["hill", "lake"] | None


class Lake(Place):
    kind: Literal["lake"]
    depth: float
    date: date | None = None
    salty: bool = False


def declare(**annotations: Any) -> type[Record]:
    return type(Record)("Trip", (Record,), {"__annotations__": annotations, "__module__": __name__})


def test_every_fact_of_a_declaration_is_read() -> None:
    assert fields(Place) == (
        Field("name", str, is_key=True),
        Field("seen", datetime, is_event_time=True),
        Field(
            "height", float, nullable=True, range=between(-500, 9000, unit="m"), nulls=nulls(max=0.1, severity="warn")
        ),
        Field("kind", str, nullable=True, categories=("hill", "lake")),
    )
    assert Place.made_by == "a survey"
    assert field_named(Place, "height").unit == "m"
    assert ([one.name for one in key_fields(Place)], need_event_time(Place)) == (["name"], "seen")


def test_a_record_inherits_fields_and_may_narrow_them() -> None:
    assert [(f.name, f.categories, f.optional) for f in fields(Lake)] == [
        ("name", None, False),
        ("seen", None, False),
        ("height", None, False),
        ("kind", ("lake",), False),
        ("depth", None, False),
        ("date", None, True),
        ("salty", None, True),
    ]
    assert field_named(Lake, "date").type is date  # though the field of that name has a default
    body = b'{"name": "Erie", "seen": "2013-06-03T10:00:00Z", "height": null, "kind": "lake", "depth": 64}'
    (lake,) = Decoder(Lake).decode(body).rows
    seen = datetime(2013, 6, 3, 10, tzinfo=UTC)
    assert lake == Lake(name="Erie", seen=seen, height=None, kind="lake", depth=64.0, date=None, salty=False)
    assert key_fields(Lake) == key_fields(Place)


def test_a_record_is_frozen_and_takes_its_fields_by_name() -> None:
    trip: Any = declare(miles=float)
    with pytest.raises(TypeError):
        trip(1.0)
    with pytest.raises(AttributeError):
        trip(miles=1.0).miles = 2.0


@pytest.mark.parametrize(
    ("annotation", "rule"),
    [
        (float, "a number"),
        (int | None, "a whole number, or null"),
        (bool, "true or false"),
        (str, "a text"),
        (datetime, "a time with an offset, like 2013-06-03T10:00:00Z"),
        (date, "a date, like 2013-06-03"),
        (Literal[1, 2], "one of 1, 2"),
        (Annotated[int, between(1900, 2100)], "a whole number, 1900 to 2100"),
        (Annotated[float, between(0)], "a number, at least 0"),
        (Annotated[float, between(high=1e6, unit="km")], "a number, at most 1,000,000 km"),
        (Annotated[float, between(0, float("inf"))], "a number, at least 0"),
    ],
)
def test_the_rule_in_words(annotation: Any, rule: str) -> None:
    assert fields(declare(x=annotation))[0].rule == rule


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (list[int], "Trip.x: list[int] can't be a column\nUse float, int, bool, str, datetime, date or Literal of"),
        (int | str, "Trip.x: int | str can't be a column"),
        (Literal["a", 1], "Trip.x: typing.Literal['a', 1] can't be a column"),
        (None, "Trip.x: None can't be a column"),
        (Annotated[str, between(0, 1)], "Trip.x: between() is for numbers, not for str"),
        (Annotated[Literal[1, 2], between(0, 1)], "Trip.x: between() is not for a category"),
        (Annotated[int, between(0.2, 0.8)], "Trip.x: no whole number lies in 0.2 to 0.8"),
        (Annotated[float, nulls(max=0.1)], "Trip.x: nulls() is for a field that may be null\nWrite float | None."),
        (Annotated[float, msgspec.Meta(ge=0)], "Trip.x: msgspec.Meta is not supported\nUse between() and nulls()."),
        (Annotated[float, between], "Trip.x: between must be called\nWrite between(0, 100)."),
        (Key[str] | None, "Trip.x: a key can't be null\nRemove | None."),
        (EventTime | None, "Trip.x: an event time can't be null\nRemove | None."),
        (Literal[1, 2**63], "Trip.x: a category is too large a number for its column"),
        (
            "Nowhere",
            "Trip.x: can't read 'Nowhere': name 'Nowhere' is not defined\nUse only names that the module defines",
        ),
        ("int |", "Trip.x: can't read 'int |': invalid syntax"),
        ("datetime.hour.zone", "Trip.x: can't read 'datetime.hour.zone': "),
        ("between(2, 1)", "between(2, 1) allows nothing"),
    ],
)
def test_a_field_that_can_not_work(annotation: Any, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        declare(x=annotation)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (between, "between() needs an end\nWrite between(0, 100) or between(0)."),
        (lambda: between(3, 2), "between(3, 2) allows nothing\nPut the smaller end first."),
        (lambda: between(float("nan")), "between() can't end at nan\nGive a number, or leave the end out: between(0)."),
        (lambda: between(float("-inf"), float("inf")), "between() needs an end\nWrite between(0, 100) or between(0)."),
        (lambda: between("0", "9"), "between() can't end at '0'\nGive a number, or leave the end out: between(0)."),  # pyright: ignore[reportArgumentType]
        (lambda: nulls(max=5), "nulls(max=5) is not a share\nGive a number from 0 to 1, like 0.05."),
    ],
)
def test_a_rule_that_can_not_work(make: Any, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        make()
    assert str(refused.value) == says


def test_several_fields_are_one_key_and_the_event_time_may_be_among_them() -> None:
    trip = declare(a=Key[str], b=float, c=Key[EventTime], d=Key[int])
    assert [one.name for one in key_fields(trip)] == ["a", "c", "d"]
    assert [one.role for one in fields(trip)] == ["key", None, "key, event_time", "key"]
    assert need_event_time(trip) == "c"
    (zoned,) = fields(declare(at=Key[EventTime(zone="Europe/Paris")]))  # pyright: ignore[reportInvalidTypeForm]
    assert (zoned.is_key, zoned.is_event_time, zoned.zone) == (True, True, "Europe/Paris")


def test_one_event_time() -> None:
    with pytest.raises(BadInput) as refused:
        declare(a=EventTime, b=EventTime)
    assert str(refused.value) == "Trip has 2 fields as event time: a, b\nKeep one."


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (float, None),
        (float, "3"),
        (Annotated[float, between(0, 1)], 2.0),
        (int, 1.0),
        (Literal["a", "b"], "c"),
        (datetime, "2013-06-03T10:00:00Z"),
        (datetime, datetime(2013, 6, 3)),
        (float, msgspec.field(default=1.0)),
    ],
)
def test_a_default_keeps_its_own_rule(annotation: Any, default: object) -> None:
    with pytest.raises(BadInput, match=r"Trip\.x: the default .* breaks its own rule: "):
        type(Record)("Trip", (Record,), {"__annotations__": {"x": annotation}, "x": default, "__module__": __name__})


@pytest.mark.parametrize(
    ("option", "do"),
    [
        ({"rename": "camel"}, "Name single fields with assay.field(name=...)."),
        ({"tag": True}, "Leave it out."),
        ({"array_like": True}, "Leave it out."),
    ],
)
def test_an_option_that_changes_the_body_is_refused(option: dict[str, Any], do: str) -> None:
    with pytest.raises(BadInput) as refused:
        type(Record)("Trip", (Record,), {"__annotations__": {"x": float}, "__module__": __name__}, **option)
    assert str(refused.value) == f"Trip: {next(iter(option))}= is not for a contract\n{do}"


def test_two_bases_with_fields_are_refused() -> None:
    with pytest.raises(BadInput, match=r"^Both can't be a record: "):
        type(Record)("Both", (declare(a=float), declare(b=float)), {"__module__": __name__})


def test_a_missing_key_event_time_or_field_is_named() -> None:
    trip = declare(miles=float, origin=str)
    assert key_fields(trip) == ()
    assert event_time_field(trip) is None
    for ask, says in (
        (lambda: need_event_time(trip), "Trip has no event time\nDeclare one field as assay.EventTime."),
        (
            lambda: field_named(trip, "mile"),
            "Trip has no field 'mile'\n  it has miles, origin\ndid you mean miles?",
        ),
    ):
        with pytest.raises(BadInput) as refused:
            ask()
        assert str(refused.value) == says


def test_quoted_annotations_of_a_module_are_read() -> None:
    module = ModuleType("made_while_running")
    source = """
from __future__ import annotations
from assay import Key, Record
class Trip(Record):
    trip: Key[str]
    miles: "float | None"
"""
    sys.modules[module.__name__] = module
    try:
        exec(source, vars(module))
        assert [field.rule for field in fields(module.Trip)] == ["a text", "a number, or null"]
    finally:
        del sys.modules[module.__name__]


def test_classes_keep_the_order_in_which_each_contract_declares_them() -> None:
    """`typing` keeps types by equality, and for it two Literals are equal whatever the order of their values."""

    class One(Record):
        of: Probabilities[Literal["a", "b"]]

    class Two(Record):
        of: Probabilities[Literal["b", "a"]]

    assert [field.classes for field in fields(One)] == [("a", "b")]
    assert [field.classes for field in fields(Two)] == [("b", "a")]
