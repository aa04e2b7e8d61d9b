import itertools
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.draw import Bar, Html, bars, heat, histogram, line
from assay.draw.chart import ticks

Drawn = Callable[[str], ET.Element]
NOON = datetime(2013, 2, 12, 12, tzinfo=UTC)
NASTY = "</style><script>alert(\"1\")</script> & 'x' \x00\ufffe"
ANY = st.floats() | st.sampled_from([0.0, 5e-324, 1e308, -1e308, math.nan, math.inf])
UNHURRIED = settings(deadline=None, max_examples=60)


def test_ticks_are_round_at_every_height() -> None:
    assert ticks(0, 1) == [0, 0.5, 1]
    assert ticks(0, 0.07) == [0, 0.02, 0.04, 0.06]
    assert ticks(5, 5) == [5]
    assert ticks(0, math.inf) == [0]
    assert ticks(math.nan, 1) == []


@UNHURRIED
@given(st.floats(), st.floats(), st.integers(1, 10))
def test_ticks_are_few_sorted_and_inside(low: float, high: float, most: int) -> None:
    found = ticks(low, high, most)
    assert found == sorted(found)
    assert len(found) <= most + 2
    if low < high:
        assert all(low <= value <= high for value in found)


@UNHURRIED
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_whole_steps_of_1_2_or_5(low: float, span: float) -> None:
    found = ticks(low, low + span)
    steps = [b - a for a, b in itertools.pairwise(found)]
    for step in steps:
        assert step == pytest.approx(steps[0], rel=1e-3)
        lead = step / 10 ** math.floor(math.log10(step * 1.0001))
        assert min(abs(lead - one) for one in (1, 2, 5)) < 0.01


@UNHURRIED
@given(st.lists(st.builds(Bar, st.text(max_size=40), ANY, st.none() | ANY, st.none() | ANY), max_size=30))
def test_bars_stay_inside_whatever_the_values(drawn: Drawn, rows: list[Bar]) -> None:
    assert sum("bar" in one.get("class", "") for one in drawn(bars(rows)).iter()) == len(rows)


@UNHURRIED
@given(st.lists(st.tuples(st.text(max_size=40), ANY, ANY), max_size=30), st.booleans())
def test_a_histogram_stays_inside_whatever_the_values(
    drawn: Drawn, bins: list[tuple[str, float, float]], referenced: bool
) -> None:
    labels, now, past = ([one[i] for one in bins] for i in range(3))
    drawn(histogram(labels, now, past if referenced else None))


@UNHURRIED
@given(
    st.lists(st.tuples(st.datetimes(timezones=st.just(UTC)), ANY, st.sampled_from(["good", "bad", ""])), max_size=20),
    st.lists(st.tuples(ANY, st.just("warn")), max_size=2),
)
def test_a_line_stays_inside_whatever_the_values(drawn: Drawn, points: list, limits: list) -> None:
    root = drawn(line(points, unit="h", limits=limits))
    assert sum(one.tag == "circle" for one in root.iter()) == sum(math.isfinite(value) for _, value, _ in points)


@UNHURRIED
@given(st.integers(0, 6).flatmap(lambda n: st.lists(st.lists(ANY, min_size=n, max_size=n), min_size=n, max_size=n)))
def test_a_heat_grid_has_a_cell_for_each_pair(drawn: Drawn, values: list[list[float]]) -> None:
    names = [f"c{i}" for i in range(len(values))]
    assert len([*drawn(heat(names, values)).iter("rect")]) == len(names) ** 2


@pytest.mark.parametrize(
    "svg",
    [
        bars([Bar(NASTY, 0.1, 0.2, 0.3)]),
        histogram([NASTY], [1.0]),
        histogram([NASTY], [1.0], [0.5]),
        line([(NOON, 1.0, "")], unit=NASTY),
        heat([NASTY, "b"], [[1, 0], [0, 1]]),
    ],
)
def test_names_are_text_and_never_markup(drawn: Drawn, svg: Html) -> None:
    assert not {"script", "style"} & {one.tag for one in drawn(svg).iter()}
    assert any("</style><script>" in (one.text or "") for one in drawn(svg).iter())


def test_a_line_of_shares_is_told_in_per_cent(drawn: Drawn) -> None:
    svg = line([(NOON, 0.021, "bad"), (NOON + timedelta(days=3), 0.04, "")], unit="%")
    titles = [one.text for one in drawn(svg).iter("title")]
    assert "2013-02-12 12:00 2.1 %" in titles


def test_a_line_of_nothing_says_so(drawn: Drawn) -> None:
    assert "nothing yet" in [one.text for one in drawn(line([(NOON, math.nan, "")])).iter("text")]


def test_a_heat_grid_tells_sign_by_colour_and_figure(drawn: Drawn) -> None:
    cells = [*drawn(heat(["a", "b"], [[1, -0.52], [-0.52, math.nan]])).iter("g")]
    assert [one.findtext("title") for one in cells] == ["a, a: 1.00", "a, b: -0.52", "b, a: -0.52", "b, b: not known"]
    assert [one.findtext("text") for one in cells] == ["1.0", "−0.5", "−0.5", ""]
    rects = [one.find("rect") for one in cells]
    assert [one.attrib["class"] for one in rects if one is not None] == ["plus", "minus", "minus", "plus"]


def test_a_long_name_is_cut_and_whole_in_the_title(drawn: Drawn) -> None:
    root = drawn(bars([Bar("temperature_of_the_runway", 0.5)]))
    assert "temperature_of_th…" in [one.text for one in root.iter("text")]
    assert "temperature_of_the_runway 50 %" in [one.text for one in root.iter("title")]
