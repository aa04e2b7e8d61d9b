"""From numbers to a verdict."""

from datetime import timedelta
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from assay.blessing import Policy
from assay.blessing.bootstrap import Interval, paired_interval, student_t
from assay.blessing.verdict import compare, days_to_decide, leniency, range_fault, reasons_for
from assay.errors import BadInput
from assay.metrics import scorer

POLICY = Policy("auc", margin=0.01, within=(0.55, 0.9), max_age="21d")
numbers = st.floats(-0.2, 0.2)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.001, 0.02, "better"),
        (-0.009, 0.02, "not worse"),
        (-0.009, -0.001, "not worse"),
        (-0.03, 0.02, "undecidable"),
        (-0.03, -0.001, "worse"),
        (-inf, inf, "undecidable"),
        # An end that stands on a limit is not surely beyond it.
        (0.0, 0.02, "not worse"),
        (-0.01, 0.02, "undecidable"),
        (-0.01, -0.001, "worse"),
        (-0.03, 0.0, "undecidable"),
    ],
)
def test_the_four_values(low: float, high: float, outcome: str) -> None:
    assert compare(Interval(0.0, low, high, 7), 0.01) == outcome


@given(numbers, st.floats(0, 0.1), st.floats(0, 0.1), st.timedeltas(timedelta(), timedelta(days=400)))
def test_what_is_worse_is_never_blessed_and_what_is_better_always(
    d: float, below: float, above: float, age: timedelta
) -> None:
    interval = Interval(d, d - below, d + above, 7)
    outcome = compare(interval, POLICY.margin)
    passes, _ = reasons_for(outcome, interval, POLICY, age)
    if outcome == "worse":
        assert not passes
    if outcome in ("better", "not worse"):
        assert passes


@given(
    numbers,
    st.floats(0.05, 0.1),
    st.timedeltas(timedelta(), timedelta(days=400)),
    st.timedeltas(timedelta(), timedelta(days=99)),
)
def test_an_older_incumbent_never_turns_a_blessing_into_a_refusal(
    d: float, half: float, age: timedelta, more: timedelta
) -> None:
    interval = Interval(d, d - half, d + half, 7)
    outcome = compare(interval, POLICY.margin)
    younger, older = (reasons_for(outcome, interval, POLICY, when)[0] for when in (age, age + more))
    assert older or not younger


def test_leniency_grows_to_the_margin_and_doubles_past_the_limit() -> None:
    ages = [timedelta(days=days) for days in (0, 10.5, 21, 22, 300)]
    assert [round(leniency(POLICY, age), 6) for age in ages] == [0, 0.005, 0.01, 0.02, 0.02]
    assert leniency(Policy("auc", margin=0.01), timedelta(days=900)) == 0


def test_the_reason_says_the_numbers_and_what_would_decide() -> None:
    interval = Interval(-0.006, -0.03, 0.018, 7)
    passes, (reason,) = reasons_for("undecidable", interval, POLICY, timedelta(days=7))
    assert not passes
    assert reason == (
        "undecidable: auc -0.0060 [-0.0300, +0.0180] is below -0.0033, the limit beside an incumbent of 7d; "
        "about 253 days of holdout would decide"
    )
    assert days_to_decide(Interval(0.0, -inf, inf, 1), 0.01) is None


def test_an_absolute_range_has_both_ends() -> None:
    assert range_fault(0.95, POLICY) == "auc 0.9500 lies outside 0.55 to 0.9"
    assert range_fault(0.5, POLICY)
    assert range_fault(0.9, POLICY) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"metric": "aux", "margin": 0.1}, "did you mean auc?"),
        ({"metric": "auc", "margin": -0.1}, "must be a number of 0 or more"),
        ({"metric": "auc", "margin": 0.1, "within": (0.9, 0.5)}, "is not a range"),
        ({"metric": "auc", "margin": 0.1, "level": 1.5}, "not a confidence level"),
        ({"metric": "auc", "margin": 0.1, "max_age": "3 fortnights"}, "is not a length of time"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(given: dict, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        Policy(**given)
    assert words in str(refused.value)


@pytest.mark.parametrize("freedom", [1, 2, 5, 6, 13, 40])
@pytest.mark.parametrize("p", [0.01, 0.05, 0.5, 0.9, 0.95])
def test_students_t_is_scipys(p: float, freedom: int) -> None:
    assert student_t(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), abs=0.03 if freedom < 6 else 0.003)


def correlated_days(
    random: np.random.Generator, days: int, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two models' predictions; a day favours one model or the other as a whole."""
    blocks = np.repeat(np.arange(days), rows)
    truth = random.normal(0, 1, days * rows)
    label = (truth + random.normal(0, 1, days * rows) > 0).astype(float)
    favour = random.normal(0, 0.4, days)[blocks]
    a = truth + random.normal(0, 1, days * rows) * (1 + favour)
    b = truth + random.normal(0, 1, days * rows) * (1 - favour)
    return label, a, b, blocks


def test_intervals_over_days_cover_the_truth_where_intervals_over_rows_do_not() -> None:
    random = np.random.default_rng(1)
    covered = {"days": 0, "rows": 0}
    draws, days, rows = 120, 14, 120
    for _ in range(draws):
        label, a, b, blocks = correlated_days(random, days, rows)
        for name, where in (("days", blocks), ("rows", np.arange(len(label)) % 400)):
            interval = paired_interval(
                scorer("brier", label, 1 / (1 + np.exp(-a)), where),
                scorer("brier", label, 1 / (1 + np.exp(-b)), where),
                int(where.max()) + 1,
                level=0.9,
                resamples=400,
            )
            covered[name] += interval.low <= 0 <= interval.high
    assert 0.80 <= covered["days"] / draws <= 0.99
    assert covered["rows"] / draws < covered["days"] / draws - 0.15


def test_the_same_rows_give_the_same_interval_and_one_block_says_nothing() -> None:
    label, a, b, blocks = correlated_days(np.random.default_rng(2), 7, 50)
    scorers = [scorer("auc", label, x, blocks) for x in (a, b)]
    first, second = (paired_interval(*scorers, 7, level=0.9, resamples=500) for _ in range(2))
    assert first == second
    one = [scorer("auc", label, x, blocks * 0) for x in (a, b)]
    assert (paired_interval(*one, 1, level=0.9, resamples=10).low) == -inf


@pytest.mark.parametrize("days", [6, 7, 14, 28])
def test_the_interval_of_a_mean_over_a_few_days_is_as_wide_as_students(days: int) -> None:
    """Plain percentiles of a bootstrap are too narrow by sqrt((n - 1) / n) and by what t is wider than the normal."""
    each = np.random.default_rng(3).normal(0.01, 0.02, days)
    interval = paired_interval(
        lambda weights: weights @ each / days, lambda weights: weights @ each * 0, days, level=0.9, resamples=20_000
    )
    half = stats.t.ppf(0.95, days - 1) * each.std(ddof=1) / np.sqrt(days)
    assert (interval.high - interval.low) / (2 * half) == pytest.approx(1, abs=0.07)


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_of_a_few_days_nothing_can_be_said(blocks: int) -> None:
    def growing(weights):
        return weights @ np.arange(blocks, dtype=float)

    interval = paired_interval(growing, lambda weights: growing(weights) * 0, blocks, level=0.9, resamples=200)
    assert (interval.low, interval.high) == (-inf, inf)
    assert compare(interval, 0.01) == "undecidable"
