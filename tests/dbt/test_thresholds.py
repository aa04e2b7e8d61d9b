"""Thresholds from four levels."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.dbt.declared import Thresholds, Unreadable
from assay.dbt.thresholds import ABSENT, freshness_of, merge

HOUR, DAY = {"count": 1, "period": "hour"}, {"count": 1, "period": "day"}
limits = st.none() | st.fixed_dictionaries({"count": st.integers(0, 9), "period": st.sampled_from(["minute", "day"])})
levels = st.none() | st.fixed_dictionaries(
    {}, optional={"warn_after": limits, "error_after": limits, "filter": st.sampled_from(["a = 1", "b = 2"])}
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([{"warn_after": HOUR}, ABSENT, ABSENT, ABSENT], Thresholds(timedelta(hours=1))),
        (
            [{"warn_after": HOUR, "error_after": DAY}, ABSENT, {"warn_after": DAY}, ABSENT],
            Thresholds(timedelta(days=1), timedelta(days=1)),
        ),
        ([{"warn_after": HOUR, "error_after": DAY}, {"error_after": None}], Thresholds(timedelta(hours=1))),
        ([{"warn_after": HOUR}, ABSENT, None, ABSENT], Thresholds()),
        ([{"warn_after": HOUR}, None, {"error_after": DAY}], Thresholds(None, timedelta(days=1))),
        ([{"warn_after": HOUR, "filter": "a"}, {"filter": "b"}], Thresholds(timedelta(hours=1), None, "b")),
        ([{"warn_after": {"count": 1}}, {"warn_after": {"period": "day"}}], Thresholds()),
    ],
)
def test_levels_are_merged_as_dbt_does(said: list[Any], expected: Thresholds) -> None:
    assert merge(said) == expected


@given(st.lists(levels, min_size=1, max_size=4))
def test_a_level_that_says_nothing_changes_nothing(said: list[Any]) -> None:
    merged = merge(said)
    assert merge([*said, ABSENT]) == merged


@given(st.lists(levels, min_size=1, max_size=3))
def test_a_null_at_the_end_opts_out(said: list[Any]) -> None:
    assert merge([*said, None]) == Thresholds()


@given(levels, levels)
def test_a_limit_of_the_last_level_wins(outer: Any, inner: Any) -> None:
    merged = merge([outer, inner])
    if inner and inner.get("error_after"):
        limit = inner["error_after"]
        assert merged.error_after == timedelta(**{limit["period"] + "s": limit["count"]})


def test_zero_is_a_limit() -> None:
    assert bool(merge([{"warn_after": {"count": 0, "period": "hour"}}]))


def test_dbt_project_counts_only_when_no_level_sets_a_limit() -> None:
    assert merge([ABSENT], {"warn_after": DAY}) == Thresholds(timedelta(days=1))
    assert merge([{"warn_after": HOUR}], {"warn_after": DAY}) == Thresholds(timedelta(hours=1))
    assert merge([None], {"warn_after": DAY}) == Thresholds()


def test_absent_is_not_null() -> None:
    assert freshness_of({}) is ABSENT
    assert freshness_of({"freshness": None}) is None


@pytest.mark.parametrize(
    "wrong", [7, {"warn_after": 3}, {"warn_after": {"count": 1, "period": "week"}}, {"error_after": {"count": "x"}}]
)
def test_what_is_no_threshold_is_told(wrong: Any) -> None:
    with pytest.raises(Unreadable, match=r"not a mapping|none of|not a whole number"):
        merge([wrong])
