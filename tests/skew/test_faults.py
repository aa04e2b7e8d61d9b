from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.columns import TEXT
from assay.skew.faults import Evidence, History, name_shapes
from assay.skew.units import conversions

NAN = float("nan")
CARRIERS = np.array(["UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL", "AS"], dtype=TEXT)
ORIGINS = np.array(["EWR", "JFK", "LGA"], dtype=TEXT)
HOUR = np.timedelta64(1, "h")


def named(expected, served, unit=None, history=None):
    shapes = name_shapes(Evidence("column", expected, served, unit, history))
    assert not np.logical_and.reduce([s.explained for s in shapes]).any() or len(shapes) < 2
    return [(shape.sentence, int(shape.explained.sum())) for shape in shapes]


def rng(seed=0):
    return np.random.default_rng(seed)


def moments(n, seed=0):
    return np.datetime64("2013-10-01T05:00", "us") + rng(seed).integers(0, 40_000, n) * np.timedelta64(1, "m")


def texts(*values):
    return np.array(values, dtype=TEXT)


class TestTheSuite:
    """The faults of research/platforms.md, each in 5 % of 1,000 rows."""

    def test_miles_sent_as_kilometres(self):
        miles = rng().integers(96, 2600, 39).astype(float)
        assert named(miles, miles * 1.609344, "mi") == [("ratio 1.609344: miles sent as kilometres?", 39)]
        assert named(miles, (miles * 1.609344).astype(np.float32).astype(float)) == [
            ("ratio 1.609344: miles sent as kilometres?", 39)
        ]

    def test_a_clock_five_hours_ahead(self):
        times = moments(39)
        assert named(times, times + 5 * HOUR) == [("+5h: time zone?", 39)]

    def test_missing_sent_as_zero(self):
        for n in (1, 8):
            assert named(np.full(n, NAN), np.zeros(n)) == [("missing sent as 0", n)]

    def test_fahrenheit_sent_as_celsius(self):
        warm = rng().integers(30, 90, 39) + 0.02
        served = (warm - 32) * 5 / 9
        assert named(warm, served) == [("degrees Fahrenheit sent as Celsius?", 39)]
        assert named(warm, served.astype(np.float32).astype(float)) == [("degrees Fahrenheit sent as Celsius?", 39)]

    def test_a_recoded_carrier(self):
        expected = rng().choice(CARRIERS, 39)
        served = CARRIERS[[CARRIERS.tolist().index(code) - 3 for code in expected]]
        [(sentence, rows)] = named(expected, served)
        assert sentence.startswith("recoded: ")
        assert "UA sent as WN" in sentence or "more" in sentence
        assert rows == 39

    def test_weekday_plus_one(self):
        weekday = rng().integers(0, 7, 39).astype(float)
        assert named(weekday, (weekday + 1) % 7) == [("offset +1 modulo 7", 39)]

    @pytest.mark.parametrize("column", ["temp", "wind_speed", "pressure"])
    def test_weather_of_yesterday(self, column):
        history, truth, at = weather(column, rows=45)
        stale = at(24)
        wrong = np.flatnonzero(truth != stale)
        [(sentence, rows), *_] = named(truth[wrong], stale[wrong], history=history.take(wrong))
        assert sentence == "the value of 24h before (same origin): stale look-up?"
        assert rows == len(wrong)


def weather(column, rows, seed=0, hours=2000, keep=1.0):
    """Hourly weather at three airports, in the steps that instruments report; the truth of some rows, and at a lag."""
    random, time = rng(seed), np.arange(hours)
    place = {
        "temp": lambda: np.round(55 + 12 * np.sin(time / 24 * 2 * np.pi) + walk(random, hours, 1.5), 0) + 0.02,
        "wind_speed": lambda: np.abs(np.round(8 + walk(random, hours, 2.0))) * 1.15078,
        "pressure": lambda: np.round(1015 + walk(random, hours, 0.5), 1),
        "visib": lambda: np.where(random.random(hours) < 0.05, random.integers(1, 10, hours), 10).astype(float),
        "season": lambda: np.floor(time / 500) + 1.0,
    }
    table = np.stack([place[column]() for _ in ORIGINS])
    start = np.datetime64("2013-10-01T00:00", "us")
    where, when = random.integers(0, 3, rows), random.integers(200, hours - 200, rows)
    kept = random.random(3 * hours) < keep
    history = History(
        values=table.ravel()[kept],
        times=np.tile(start + time * HOUR, 3)[kept],
        row_times=start + when * HOUR + random.integers(0, 25, rows) * np.timedelta64(1, "m"),
        keys={"origin": np.repeat(ORIGINS, hours)[kept]},
        row_keys={"origin": ORIGINS[where]},
    )
    return history, table[where, when], lambda lag: table[where, when - lag]


def walk(random, n, step):
    """A series that wanders, and comes back."""
    noise, values = random.normal(0, step, n), np.zeros(n)
    for i in range(1, n):
        values[i] = 0.97 * values[i - 1] + noise[i]
    return values


class TestUnits:
    def test_the_declared_unit_chooses_the_words(self):
        speed = rng().uniform(1, 90, 20)
        assert named(speed, speed * 1.609344, "mph") == [("ratio 1.609344: mph sent as km/h?", 20)]

    def test_one_row_is_enough_for_an_odd_ratio_and_not_for_a_plain_one(self):
        assert named(np.array([100.0]), np.array([160.9344])) == [("ratio 1.609344: miles sent as kilometres?", 1)]
        assert named(np.array([3.0]), np.array([180.0])) == []
        assert named(np.array([3.0]), np.array([180.0]), "h") != []

    def test_one_row_among_many_is_no_evidence(self):
        expected, served = rng(1).uniform(1, 100, 30), rng(2).uniform(1, 100, 30)
        served[7] = expected[7] * 1.609344
        assert named(expected, served) == []

    def test_whole_numbers_of_another_unit(self):
        miles = rng().integers(96, 2600, 39)
        assert named(miles, np.round(miles * 1.609344).astype(int), "mi") == [
            ("ratio 1.609344, rounded: miles sent as kilometres?", 39)
        ]

    @given(st.sampled_from(conversions(None)), st.integers(0, 2**32 - 1), st.integers(3, 60), st.booleans())
    def test_a_known_conversion_is_always_found(self, conversion, seed, n, single):
        expected = rng(seed).uniform(50, 2000, n)
        served = expected * conversion.factor + conversion.shift
        served = served.astype(np.float32).astype(float) if single else served
        for unit in (None, *conversion.units):
            [shape] = name_shapes(Evidence("column", expected, served, unit))
            assert shape.name == "unit"
            assert shape.explained.all()
            assert shape.parameter == pytest.approx(conversion.factor, rel=1e-5)
            assert unit is None or conversion.words in shape.sentence or conversion.factor in (0.1, 10)


class TestNumbers:
    def test_a_ratio_of_no_table(self):
        expected = rng().uniform(1, 100, 10)
        assert named(expected, expected * 2.5) == [("ratio 2.5", 10)]

    def test_a_changed_sign(self):
        expected = rng().uniform(1, 100, 10)
        assert named(expected, -expected) == [("ratio -1: sign changed", 10)]

    def test_a_constant_offset(self):
        expected = rng().uniform(1, 100, 10)
        assert named(expected, expected - 3) == [("offset -3", 10)]

    @pytest.mark.parametrize(("cycle", "step", "first"), [(24, 5, 0), (12, 1, 1), (60, -15, 0), (7, -1, 1)])
    def test_an_offset_that_wraps(self, cycle, step, first):
        expected = rng().integers(first, cycle + first, 60)
        served = (expected - first + step) % cycle + first
        assert named(expected, served) == [(f"offset {step:+d} modulo {cycle}", 60)]

    def test_rounded_and_cut_numbers(self):
        expected = rng().uniform(5, 100, 30)
        assert named(expected, np.round(expected, 1)) == [("rounded to 1 decimal", 30)]
        assert named(expected, np.round(expected)) == [("rounded to whole numbers", 30)]
        assert named(expected, np.trunc(expected * 100) / 100) == [("cut to 2 decimals", 30)]

    def test_a_line_needs_five_expected_values(self):
        five = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
        assert named(five, five * 3 + 4) == [("served = 3 * expected +4", 5)]
        assert named(five[:4], five[:4] * 3 + 4) == []

    def test_a_stuck_value(self):
        assert named(rng().uniform(1, 9, 12), np.full(12, 42.5)) == [("always sent as 42.5: stuck?", 12)]

    @pytest.mark.parametrize("seed", range(20))
    def test_noise_has_no_name(self, seed):
        random = rng(seed)
        for n in (3, 40, 500):
            drawn = [
                (random.normal(0, 1, n), random.normal(0, 1, n)),
                (random.uniform(0, 100, n), random.uniform(0, 100, n)),
                (random.integers(0, 200, n).astype(float), random.integers(0, 200, n).astype(float)),
                (random.integers(0, 7, n), random.integers(0, 7, n)),
                (random.integers(0, 24, n), random.integers(0, 24, n)),
            ]
            for expected, served in drawn if n > 3 else drawn[:2]:
                wrong = expected != served
                assert named(expected[wrong], served[wrong]) == []

    def test_flipped_truths_have_no_name(self):
        truth = rng().random(40) < 0.5
        assert named(truth, ~truth) == []


class TestMissing:
    def test_missing_sent_as_a_text(self):
        assert named(texts(NAN, NAN, NAN), texts("UNKNOWN", "UNKNOWN", "UNKNOWN")) == [("missing sent as UNKNOWN", 3)]
        assert named(texts(NAN), texts("")) == [("missing sent as an empty text", 1)]

    def test_another_default_needs_three_rows(self):
        assert named(np.full(3, NAN), np.full(3, -1.0)) == [("missing sent as -1", 3)]
        assert named(np.full(2, NAN), np.full(2, -1.0)) == []

    def test_a_lost_value(self):
        assert named(np.arange(4.0), np.full(4, NAN)) == [("value lost: sent as missing", 4)]
        assert named(moments(4), np.full(4, np.datetime64("NaT"), "datetime64[us]"))[0][1] == 4


class TestTimes:
    @pytest.mark.parametrize(
        ("apart", "sentence"),
        [
            (timedelta(hours=-4), "-4h: time zone?"),
            (timedelta(hours=5, minutes=30), "+5h 30m: time zone?"),
            (timedelta(minutes=-15), "-15m: time zone?"),
            (timedelta(days=1), "offset +1d"),
            (timedelta(seconds=90), "offset +1m 30s"),
        ],
    )
    def test_a_constant_offset(self, apart, sentence):
        times = moments(10)
        assert named(times, times + np.timedelta64(apart)) == [(sentence, 10)]

    def test_summer_and_winter_have_two_offsets(self):
        times = moments(40)
        served = times + np.where(np.arange(40) < 25, 4, 5) * HOUR
        assert named(times, served) == [("+4h: time zone?", 25), ("+5h: time zone?", 15)]

    def test_days(self):
        days = moments(10).astype("datetime64[D]")
        assert named(days, days - np.timedelta64(1, "D")) == [("offset -1d", 10)]

    def test_noise_has_no_name(self):
        assert named(moments(40, 1), moments(40, 2)) == []


class TestCategories:
    def test_pairs_are_named_with_the_most_rows_first(self):
        expected, served = texts(*["UA"] * 20, *["AA"] * 15), texts(*["DL"] * 20, *["B6"] * 15)
        assert named(expected, served) == [("recoded: UA sent as DL, AA sent as B6", 35)]

    def test_only_the_case_or_the_spaces(self):
        assert named(texts("UA", "AA", "B6"), texts("ua", "aa", "b6")) == [("only case differs: 'UA' sent as 'ua'", 3)]
        assert named(texts("UA", "AA", "B6"), texts("UA ", "AA ", "B6 "))[0][0].startswith("only spaces differ")

    def test_a_default_category(self):
        assert named(rng().choice(CARRIERS, 30), texts(*["OTHER"] * 30)) == [
            ("always sent as OTHER: default category?", 30)
        ]

    @pytest.mark.parametrize("seed", range(20))
    def test_noise_has_no_name(self, seed):
        expected, served = rng(seed).choice(CARRIERS, 60), rng(seed + 100).choice(CARRIERS, 60)
        wrong = expected != served
        assert named(expected[wrong], served[wrong]) == []


class TestStale:
    @pytest.mark.parametrize(("lag", "words"), [(1, "1h before"), (48, "48h before"), (168, "7d before")])
    def test_other_lags(self, lag, words):
        history, truth, at = weather("temp", rows=60)
        stale = at(lag)
        wrong = np.flatnonzero(truth != stale)
        [(sentence, _), *_] = named(truth[wrong], stale[wrong], history=history.take(wrong))
        assert sentence == f"the value of {words} (same origin): stale look-up?"

    def test_a_value_of_later(self):
        history, truth, at = weather("temp", rows=60)
        wrong = np.flatnonzero(truth != at(-5))
        [(sentence, _), *_] = named(truth[wrong], at(-5)[wrong], history=history.take(wrong))
        assert sentence == "the value of 5h after (same origin): a clock that runs ahead?"

    def test_gaps_in_the_history(self):
        history, truth, at = weather("temp", rows=80, keep=0.7)
        wrong = np.flatnonzero(truth != at(24))
        [(sentence, rows), *_] = named(truth[wrong], at(24)[wrong], history=history.take(wrong))
        assert sentence.startswith("the value of 24h before")
        assert rows < len(wrong)

    @pytest.mark.parametrize("column", ["temp", "wind_speed", "pressure", "visib", "season"])
    def test_values_of_any_time_have_no_name(self, column):
        history, truth, _ = weather(column, rows=60)
        served = rng(5).choice(history.values, 60)
        wrong = np.flatnonzero(truth != served)
        assert not any(
            "before" in s or "after" in s for s, _ in named(truth[wrong], served[wrong], None, history.take(wrong))
        )

    def test_a_column_that_seldom_changes_does_not_beat_chance(self):
        history, truth, at = weather("visib", rows=400)
        wrong = np.flatnonzero((truth != at(24)) & (at(24) == 10))
        assert len(wrong) > 5
        assert not any("before" in s for s, _ in named(truth[wrong], at(24)[wrong], None, history.take(wrong)))


class TestMixed:
    def test_two_faults_in_one_column(self):
        miles = rng().uniform(96, 2600, 40)
        served = miles * 1.609344
        miles[25:], served[25:] = NAN, 0
        assert named(miles, served) == [("ratio 1.609344: miles sent as kilometres?", 25), ("missing sent as 0", 15)]

    def test_two_ratios_among_noise(self):
        expected = rng().uniform(96, 2600, 40)
        served = expected * np.where(np.arange(40) < 20, 0.3048, 7.0)
        served[36:] = rng(3).uniform(1, 10, 4)
        assert named(expected, served) == [("ratio 0.3048: feet sent as metres?", 20), ("ratio 7", 16)]

    def test_no_rows_have_no_shape(self):
        assert named(np.array([]), np.array([])) == []
        assert named(texts(), texts()) == []

    def test_rows_of_every_kind_are_taken(self):
        for column in (np.array([1, 2, 3]), np.array([True, False, True]), texts("a", "b", NAN), moments(3)):
            assert isinstance(named(column, column[::-1].copy()), list)


def test_a_declared_unit_is_named_even_when_every_row_has_one_value() -> None:
    expected = np.full(12, 10.0)
    (shape,) = name_shapes(Evidence("visib", expected, expected * 1.609344, unit="mi"))
    assert "miles sent as kilometres?" in shape.sentence
