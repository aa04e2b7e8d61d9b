import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from records import GOOD, Everything, rows

from assay.contract import Decoder, EventTime, Invalid, Key, Record, between
from assay.contract.decode import list_faults, to_json
from assay.errors import BadInput


class Trip(Record):
    trip: Key[str]
    left: EventTime
    origin: Literal["EWR", "JFK"]
    miles: Annotated[float, between(0, 6000, unit="mi")]
    stops: int = 0


EVERYTHING = Decoder(Everything)
TRIPS = Decoder(Trip)
ONE = {"trip": "a", "left": "2013-06-03T10:00:00Z", "origin": "JFK", "miles": 12}


def refused(body: bytes, decoder: Decoder[Any] = TRIPS) -> list[str]:
    with pytest.raises(Invalid) as error:
        decoder.decode(body)
    return [str(fault) for fault in error.value.faults]


def trip(**other: object) -> bytes:
    return json.dumps(ONE | other).encode()


def test_one_object_and_an_array_of_them() -> None:
    expected = Trip(trip="a", left=datetime(2013, 6, 3, 10, tzinfo=UTC), origin="JFK", miles=12.0)
    one = TRIPS.decode(trip())
    assert (one.rows, one.single) == ([expected], True)
    two = TRIPS.decode(b" \n[" + trip() + b"," + trip(stops=0) + b"]")
    assert (two.rows, two.single) == ([expected, expected], False)
    assert TRIPS.decode(b"[]").rows == []


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("name", "1", "a text"),
        ("name", "null", "a text"),
        ("at", '"2013-06-03T10:00:00"', "a time with an offset, like 2013-06-03T10:00:00Z"),
        ("at", '"2013-06-03"', "a time with an offset, like 2013-06-03T10:00:00Z"),
        ("at", "1370253600", "a time with an offset, like 2013-06-03T10:00:00Z"),
        ("at", '"9999-12-31T23:59:59.9999999Z"', "a time with an offset, like 2013-06-03T10:00:00Z"),
        ("number", '"1"', "a number"),
        ("number", "true", "a number"),
        ("number", "null", "a number"),
        ("number", "1e400", "a number, of a size that its column holds"),
        ("number", "1" + "0" * 400, "a number, of a size that its column holds"),
        ("ranged", "2.6", "a number, -1.5 to 2.5 mi"),
        ("ranged", "-1e400", "a number, -1.5 to 2.5 mi"),
        ("count", "1.5", "a whole number"),
        ("count", "1.0e0", "a whole number"),
        ("count", "10000000000000000000.0", "a whole number"),
        ("count", "1e3", "a whole number"),
        ("count", "9223372036854775808", "a whole number, of a size that its column holds"),
        ("count", "-9223372036854775809", "a whole number, of a size that its column holds"),
        ("count", "1" + "0" * 400, "a whole number, of a size that its column holds"),
        ("few", "11", "a whole number, 0 to 10"),
        ("yes", "1", "true or false"),
        ("text", '["a"]', "a text"),
        ("day", '"2013-6-3"', "a date, like 2013-06-03"),
        ("day", '"2013-02-30"', "a date, like 2013-06-03"),
        ("carrier", '"aa"', "one of AA, 9E, it's"),
        ("lanes", "3", "one of 1, 2, -3"),
        ("lanes", '"1"', "one of 1, 2, -3"),
        ("number_or_null", "-1", "a number, at least 0, or null"),
        ("count_or_null", "9007199254740993", "a whole number, or null, of a size that its column holds"),
        ("text_or_null", "{}", "a text, or null"),
    ],
)
def test_every_kind_of_field_refuses_what_it_can_not_hold(field: str, value: str, rule: str) -> None:
    body = to_json(GOOD)
    assert len(EVERYTHING.decode(body).rows) == 1
    values = {name: json.dumps(good) for name, good in json.loads(body).items()} | {field: value}
    bad = "{" + ",".join(f'"{name}": {text}' for name, text in values.items()) + "}"
    shown = value if len(value) <= 120 else value[:120] + "..."
    assert refused(bad.encode(), EVERYTHING) == [f"$.{field}: {shown}, expected {rule}"]


def test_all_faults_are_named_at_once_with_path_value_and_rule() -> None:
    body = b"[" + trip() + b',{"trip": 7, "left": "yesterday", "orgin": "EWR", "miles": 6000.5}, 5]'
    with pytest.raises(Invalid) as error:
        TRIPS.decode(body)
    assert [str(fault) for fault in error.value.faults] == [
        '$[1].orgin: "EWR", expected no such field in Trip; did you mean origin?',
        "$[1].trip: 7, expected a text",
        '$[1].left: "yesterday", expected a time with an offset, like 2013-06-03T10:00:00Z',
        "$[1].origin: missing, expected one of EWR, JFK",
        "$[1].miles: 6000.5, expected a number, 0 to 6000 mi",
        "$[2]: 5, expected an object with the fields of Trip",
    ]
    lines = str(error.value).splitlines()
    assert (lines[0], lines[-1]) == ("the input breaks Trip in 6 places", "  ... and 1 more")


def test_a_strange_name_and_a_long_value_are_shown_so_that_they_can_be_read() -> None:
    faults = refused(trip(**{"a\nb": "x" * 500}))
    assert faults == [f'$["a\\nb"]: "{"x" * 119}..., expected no such field in Trip']


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is not JSON: Input data was truncated"),
        (b"  ", "the body is not JSON: Input data was truncated"),
        (b"miles=3", "the body is not JSON: JSON is malformed: invalid character (byte 0)"),
        (trip()[:-1], "the body is not JSON: Input data was truncated"),
        (trip() + b"}", "the body is not JSON: JSON is malformed: trailing characters"),
        (trip(miles=float("nan")), "the body is not JSON: JSON is malformed: invalid character"),
        (trip(miles=float("inf")), "the body is not JSON: JSON is malformed: invalid character"),
        (trip().replace(b"JFK", b"\xff"), "the body is not JSON: "),
        (b"\xef\xbb\xbf" + trip(), "the body is not JSON: JSON is malformed: invalid character (byte 0)"),
        (b'{"trip": 1, ', "the body is not JSON: Input data was truncated"),  # a wrong value, and then broken
        (b'{"trip": 1, "left": NaN}', "the body is not JSON: JSON is malformed: invalid character"),
        (b'{"other": ' + b"[" * 100_000, "the body is not JSON: "),
        (b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the body is not JSON: it is nested too deep"),
        (b"[" * 100_000 + b"]" * 100_000, "the body is not JSON: it is nested too deep"),
    ],
)
def test_what_is_no_json_is_refused_in_one_sentence(body: bytes, says: str) -> None:
    with pytest.raises(BadInput) as error:
        TRIPS.decode(body)
    assert not isinstance(error.value, Invalid)
    assert error.value.what.startswith(says)
    assert error.value.do == "Send one JSON object or an array of objects."


def test_a_name_that_stands_twice_is_named_when_the_first_is_wrong() -> None:
    body = b'{"miles": "far",' + trip()[1:]
    assert refused(body) == [
        "$.miles: refused, expected a name once, and what the decoder takes: Expected `float`, got `str`"
    ]


def test_the_rows_of_a_contract_may_leave_out_what_has_a_default() -> None:
    assert refused(trip(stops="2")) == ['$.stops: "2", expected a whole number']
    assert TRIPS.decode(trip(stops=2)).rows[0].stops == 2


def test_a_contract_that_allows_unknown_fields_names_none() -> None:
    class Loose(Record, forbid_unknown_fields=False):
        miles: float

    assert Decoder(Loose).decode(b'{"miles": 1, "other": 2}').rows == [Loose(miles=1.0)]
    assert [fault.path for fault in list_faults(b'{"miles": "", "other": 2}', Loose)] == ["$.miles"]


def faults_or_rows(decoder: Decoder[Any], body: bytes) -> None:
    faults = None
    try:
        decoder.decode(body)
    except Invalid as error:
        faults = error.faults
    except BadInput as error:
        faults = [error.do]
    assert faults is None or len(faults) > 0


@given(st.binary() | st.text('[]{}":,0123456789.eE+-ntfalsrue \\u', max_size=60).map(str.encode))
def test_any_bytes_decode_or_are_refused(body: bytes) -> None:
    faults_or_rows(TRIPS, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1e999", "9" * 400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(list(ONE)), json_values), st.booleans())
@example({"left": "0001-01-01T00:00:00+23:59"}, True)
@example({"left": "2013-06-03T10:00:00.9999999Z", "stops": 2**63}, False)
def test_any_values_decode_or_each_wrong_one_is_named(other: dict[str, object], many: bool) -> None:
    body = json.dumps(ONE | other).encode()
    faults_or_rows(TRIPS, b"[" + body + b"]" if many else body)
    faults_or_rows(TRIPS, json.dumps(other).replace('"1e999"', "1e999").encode())


@given(st.lists(st.tuples(st.sampled_from(["miles", "stops", "x"]), st.integers() | st.text(max_size=3)), max_size=5))
def test_a_body_with_names_twice_decodes_or_has_a_fault(pairs: list[tuple[str, object]]) -> None:
    faults_or_rows(TRIPS, trip()[:-1] + b"".join(b"," + json.dumps({k: v}).encode()[1:-1] for k, v in pairs) + b"}")


@given(rows)
def test_a_row_comes_back_from_its_json(row: dict[str, Any]) -> None:
    (back,) = EVERYTHING.decode(to_json(row)).rows
    assert msgspec.structs.asdict(back) == row


def test_json_knows_no_nan_and_times_are_sent_in_utc() -> None:
    amsterdam = timezone(timedelta(minutes=19, seconds=32))  # until 1937; an offset in JSON has whole minutes
    assert to_json({"a": float("nan"), "b": float("inf"), "c": datetime(1900, 1, 1, tzinfo=amsterdam)}) == (
        b'{"a":null,"b":null,"c":"1899-12-31T23:40:28Z"}'
    )
    assert to_json({"first": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))}) == (
        b'{"first":"0001-01-01T00:00:00+05:00"}'
    )


def test_a_body_of_nothing_but_faults_gets_a_short_answer() -> None:
    class Trip(Record):
        miles: float
        seats: int

    with pytest.raises(Invalid) as refused:
        Decoder(Trip).decode(b"[" + b",".join([b"{}"] * 20_000) + b"]")
    assert len(refused.value.faults) == 100
    assert refused.value.what == "the input breaks Trip in at least 100 places"


def test_a_whole_number_may_be_written_as_a_float() -> None:
    class Hour(Record):
        bikers: Annotated[int, between(0, 1000)]
        seats: int | None
        season: Literal[1, 2]
        share: float
        note: str = ""

    decoder = Decoder(Hour)
    sent = b'{"bikers": 400.0, "seats": -3.00, "season": 2.0, "share": 0.1, "note": "1.0"}'
    expected = Hour(bikers=400, seats=-3, season=2, share=0.1, note="1.0")
    assert decoder.decode(sent).rows == [expected]
    assert decoder.decode(b" [" + sent + b", " + sent + b"]").rows == [expected] * 2
    assert type(decoder.decode(sent).rows[0].bikers) is int
    large = b'{"bikers": 1.0, "seats": 9007199254740991.0, "season": 1, "share": 1}'
    assert decoder.decode(large).rows[0].seats == 2**53 - 1
    assert refused(sent.replace(b"400.0", b"400.5"), decoder) == ["$.bikers: 400.5, expected a whole number, 0 to 1000"]
    assert refused(sent.replace(b"400.0", b"4000.0"), decoder) == [
        "$.bikers: 4000.0, expected a whole number, 0 to 1000"
    ]
    assert refused(sent.replace(b"2.0", b"3.0"), decoder) == ["$.season: 3.0, expected one of 1, 2"]


def test_a_missing_field_is_told_from_null_in_the_answer_too() -> None:
    class Ride(Record):
        miles: float

    for body, value in ((b"{}", "missing"), (b'{"miles": null}', "null"), (b'{"miles": "missing"}', '"missing"')):
        (fault,) = list_faults(body, Ride)
        assert msgspec.to_builtins(fault) == {"path": "$.miles", "value": value, "rule": "a number"}
