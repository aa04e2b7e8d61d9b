"""Contracts and rows that the tests of this part share."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any, Literal

from hypothesis import strategies as st

from assay.contract import EventTime, Key, Record, between, nulls


class Everything(Record):
    """Every form that a field can have."""

    name: Key[str]
    at: EventTime
    number: float
    ranged: Annotated[float, between(-1.5, 2.5, unit="mi")]
    count: int
    few: Annotated[int, between(0, 10)]
    yes: bool
    text: str
    day: date
    carrier: Literal["AA", "9E", "it's"]
    lanes: Literal[1, 2, -3]
    number_or_null: Annotated[float | None, between(0), nulls(max=0.5)]
    count_or_null: int | None
    yes_or_null: bool | None
    text_or_null: str | None
    at_or_null: datetime | None
    day_or_null: date | None
    carrier_or_null: Literal["AA", "BB"] | None
    lanes_or_null: Literal[1, 2] | None
    note: str = "none"


offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets | st.just(UTC))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": texts,
    "at": moments,
    "number": numbers,
    "ranged": st.floats(-1.5, 2.5),
    "count": whole,
    "few": st.integers(0, 10),
    "yes": st.booleans(),
    "text": texts,
    "day": st.dates(),
    "carrier": st.sampled_from(["AA", "9E", "it's"]),
    "lanes": st.sampled_from([1, 2, -3]),
    "number_or_null": st.none() | st.floats(0, allow_infinity=False),
    "count_or_null": st.none() | st.integers(-(2**53), 2**53),
    "yes_or_null": st.none() | st.booleans(),
    "text_or_null": st.none() | texts,
    "at_or_null": st.none() | moments,
    "day_or_null": st.none() | st.dates(),
    "carrier_or_null": st.sampled_from([None, "AA", "BB"]),
    "lanes_or_null": st.sampled_from([None, 1, 2]),
    "note": texts,
}
rows = st.fixed_dictionaries(VALUES)

GOOD: dict[str, Any] = {
    "name": "a",
    "at": datetime(2013, 6, 3, 10, tzinfo=UTC),
    "number": 1.0,
    "ranged": 0.5,
    "count": 3,
    "few": 4,
    "yes": True,
    "text": "b",
    "day": date(2013, 6, 3),
    "carrier": "9E",
    "lanes": 2,
    "number_or_null": None,
    "count_or_null": None,
    "yes_or_null": None,
    "text_or_null": None,
    "at_or_null": None,
    "day_or_null": None,
    "carrier_or_null": None,
    "lanes_or_null": None,
    "note": "none",
}
