import numpy as np
import pyarrow as pa
import pytest

from assay.profiles import HISTORY, Profile, profile, replay, shifts
from assay.profiles.past import seasonal_columns

random = np.random.default_rng(8)


def week(values: object) -> Profile:
    return profile(pa.table({"x": pa.array(values, from_pandas=True)}))


def normal(mean: float = 0.0, rows: int = 2_000) -> np.ndarray:
    return random.normal(mean, 1, rows)


CALM = [week(normal()) for _ in range(12)]
SWINGING = [week(normal(2 * np.sin(i))) for i in range(12)]
WORDS = [week(random.choice(["a", "b", "c"], 2_000, p=[0.45, 0.35, 0.2]).tolist()) for _ in range(12)]


def rules(history: list[Profile], values: object) -> set[str]:
    return {shift.rule for shift in shifts(history, week(values))}


def test_nothing_is_said_before_there_is_enough_history() -> None:
    odd = week(normal(50))
    assert shifts(CALM[: HISTORY - 1], odd) == []
    assert shifts(CALM[:HISTORY], odd)


def test_calm_weeks_say_nothing() -> None:
    assert not any(replay(CALM))
    assert not any(replay(WORDS))


def test_a_moved_mean_is_said_in_words() -> None:
    (shift,) = shifts(CALM, week(normal(0.7)))
    assert (shift.column, shift.rule, shift.seasonal) == ("x", "distribution", False)
    assert "of the values are above" in shift.sentence
    assert shift.value > shift.limit == pytest.approx(0.1)


def test_a_column_that_often_moves_is_seasonal_and_measured_by_its_own_past() -> None:
    assert seasonal_columns(SWINGING) == ["x"]
    assert seasonal_columns(CALM) == []
    assert rules(SWINGING, normal(2 * np.sin(12))) == set()
    assert "distribution" in rules(SWINGING, normal(9))
    assert shifts(SWINGING, week(normal(2 * np.sin(12))), seasonal=[])[0].rule == "distribution"


@pytest.mark.parametrize(
    ("history", "values", "rule"),
    [
        (CALM, np.where(np.arange(2_000) % 20, normal(), np.nan), "nulls"),
        (CALM, np.full(2_000, 0.1), "constant"),
        (CALM, np.where(np.arange(2_000) % 50, normal(), 99.0), "range"),
        (WORDS, ["a", "b", "c", "B"] * 500, "unseen"),
        (WORDS, ["b"] * 2_000, "constant"),
        (WORDS, ["a", "b"] * 1_000, "distribution"),
    ],
)
def test_each_rule_speaks(history: list[Profile], values: object, rule: str) -> None:
    assert rule in rules(history, values)


def test_one_odd_row_is_left_to_the_checks() -> None:
    assert rules(CALM, [*normal(), 1e6]) == set()
    assert rules(WORDS, [*["a"] * 900, *["b"] * 700, *["c"] * 400, "d"]) == set()


def test_one_odd_week_of_the_past_makes_nobody_blind() -> None:
    outage = week(np.where(np.arange(2_000) % 2, normal(), np.nan))
    assert "nulls" in {
        shift.rule for shift in shifts([*CALM[:5], outage, *CALM[5:]], week([*normal()[:1_400], *[None] * 600]))
    }


def test_a_few_rows_say_nothing_of_a_distribution() -> None:
    assert rules(CALM, normal(0.5, 20)) == {"rows"}


def test_an_empty_window_and_a_changed_type_are_told() -> None:
    assert rules(CALM, pa.array([], pa.float64())) == {"rows"}
    assert rules(CALM, ["a"] * 2_000) == {"type"}
    assert rules(CALM, np.full(2_000, np.nan)) == {"nulls"}


def busy(times: float = 1.0) -> Profile:
    hours = np.arange(2_016) % 24
    return week(times * random.poisson(60 + 50 * np.sin(hours / 24 * 2 * np.pi)))


def test_a_fault_that_lasts_is_told_for_eight_windows_and_then_history() -> None:
    told = replay([*(busy() for _ in range(12)), *(busy(3) for _ in range(12))])
    assert [bool(each) for each in told] == [False] * 12 + [True] * 8 + [False] * 4
    empty = [week(np.where(np.arange(2_000) % 5, normal(), np.nan)) for _ in range(12)]
    assert [bool(each) for each in replay([*CALM, *empty])] == [False] * 12 + [True] * 8 + [False] * 4


def test_a_lost_column_another_type_and_another_number_of_rows_are_told_for_eight_windows() -> None:
    def both(x: object, rows: int = 2_000) -> Profile:
        return profile(
            pa.table({"x": x, "y": pa.array(normal(rows=rows))} if x is not None else {"y": normal(rows=rows)})
        )

    calm = [both(normal()) for _ in range(10)]
    lost = replay([*calm, *(both(None) for _ in range(10)), both(normal())])
    assert [[(each.column, each.rule) for each in window] for window in lost[10:]] == [[("x", "lost")]] * 8 + [[]] * 3
    typed = replay([*calm, *(both([str(value) for value in normal()]) for _ in range(10))])
    assert [[(each.column, each.rule) for each in window] for window in typed[10:]] == [[("x", "type")]] * 8 + [[]] * 2
    assert typed[10][0].sentence == "holds text, before numbers"
    for rows in (20, 4_000):
        (amount,) = shifts(calm, both(normal(rows=rows), rows=rows))
        assert (amount.column, amount.rule) == ("", "rows")
        assert amount.sentence == f"{rows:,} rows, before 2,000 to 2,000"


def test_categories_that_vanished_are_named() -> None:
    (gone, *_) = sorted(shifts(WORDS, week(["a", "b"] * 1_000)), key=lambda each: each.rule != "gone")
    assert (gone.rule, gone.sentence[:20]) == ("gone", "no value is 'c', bef")
    rare = [week(["a"] * 1_990 + ["b"] * 10) for _ in range(9)]
    assert shifts(rare, week(["a"] * 2_000)) == []


def test_the_same_windows_give_the_same_words() -> None:
    values = [*(normal(np.sin(i)) for i in range(12)), normal(9)]
    first, second = (replay([week(one) for one in values]) for _ in range(2))
    assert first == second
    assert any(first)
