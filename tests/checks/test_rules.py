from typing import Annotated, Literal

import pytest

from assay.checks import Checks, col, fresh, from_contract, rows, unique
from assay.contract import EventTime, Key, Record, between, nulls
from assay.errors import BadInput


class Weather(Record):
    station: Key[str]
    time: EventTime
    origin: Literal["EWR", "JFK"]
    wind_speed: Annotated[float, between(0, 100, unit="mph")]
    wind_gust: Annotated[float | None, nulls(max=0.5, severity="warn")]
    visibility: float | None


def told(checks: Checks) -> list[tuple[str, str, str]]:
    return [(rule.name, ", ".join(rule.columns), rule.expected) for rule in checks.rules]


def test_a_contract_states_its_rules() -> None:
    assert told(from_contract(Weather)) == [
        ("rows", "", "at least 1 row"),
        ("type", "station", "a text"),
        ("nulls", "station", "none missing"),
        ("unique", "station", "no two rows alike"),
        ("type", "time", "a time with an offset, like 2013-06-03T10:00:00Z"),
        ("nulls", "time", "none missing"),
        ("type", "origin", "a text"),
        ("nulls", "origin", "none missing"),
        ("isin", "origin", "one of EWR, JFK"),
        ("type", "wind_speed", "a number"),
        ("nulls", "wind_speed", "none missing"),
        ("between", "wind_speed", "0 to 100 mph"),
        ("type", "wind_gust", "a number"),
        ("nulls", "wind_gust", "at most 50 % missing"),
        ("type", "visibility", "a number"),
    ]


def test_a_contracts_rules_keep_severity_origin_and_the_columns_a_row_is_known_by() -> None:
    checks = from_contract(Weather)
    assert [(rule.columns, rule.severity) for rule in checks.rules if rule.severity == "warn"] == [
        (("wind_gust",), "warn")
    ]
    assert {rule.declared for rule in checks.rules if rule.columns == ("wind_speed",)} == {"Weather.wind_speed"}
    assert (checks.context, checks.event_time) == (("station", "time"), "time")


def test_rules_declared_by_hand() -> None:
    checks = Checks(
        rows(min=1_000),
        col("wind").between(0, 100, unit="mph").nulls(max=0.05, severity="warn"),
        unique("flight", "day"),
        fresh("scheduled", error="26h"),
    )
    assert told(checks) == [
        ("rows", "", "at least 1,000 rows"),
        ("between", "wind", "0 to 100 mph"),
        ("nulls", "wind", "at most 5 % missing"),
        ("unique", "flight, day", "no two rows alike"),
        ("fresh", "scheduled", "not older than 26h"),
    ]
    assert [rule.severity for rule in checks.rules] == ["error", "error", "warn", "error", "error"]


def test_severity_is_taken_everywhere() -> None:
    column = (
        col("a")
        .between(0, severity="warn")
        .nulls(severity="warn")
        .isin("x", severity="warn")
        .unique(severity="warn")
        .rules
    )
    others = (
        rows(min=1, severity="warn"),
        unique("a", severity="warn"),
    )
    assert {rule.severity for rule in (*column, *others)} == {"warn"}


def test_checks_of_checks_say_each_rule_once() -> None:
    once = Checks(rows(min=1), col("a").nulls())
    assert Checks(once, once, rows(min=1)).rules == once.rules


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (rows, "needs an end"),
        (lambda: rows(min=5, max=1), "allows nothing"),
        (lambda: col("a").between(100, 0), "allows nothing"),
        (lambda: col("a").nulls(max=5), "not a share"),
        (lambda: col("a").isin(), "takes texts, numbers"),
        (lambda: col("a").isin("x", 1), "takes texts, numbers"),
        (unique, "needs a column"),
        (lambda: col("a").isin(["x", "y"]), "takes texts, numbers"),
        (lambda: fresh("a", error="soon"), "not a length of time"),
    ],
)
def test_rules_that_make_no_sense_are_refused(declare, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        declare()
