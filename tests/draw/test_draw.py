"""Pages and charts are well formed, load nothing and escape everything, whatever they are given."""

import math
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.draw import Bar, badge, bars, cards, figure, folded, histogram, line, page, section, table
from assay.draw.chart import HEIGHT, WIDTH, ticks

EVIL = "</style><script>alert('1')</script>&\""
NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)
text = st.text(max_size=30) | st.just(EVIL)
share = st.floats(0, 1)


class Nested(HTMLParser):
    """Fails where a tag is closed that is not open."""

    void = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def numbers_inside(svg: str, width: float, height: float) -> None:
    """The drawing is XML, and its marks lie where they can be seen."""
    root = ElementTree.fromstring(svg)
    for one in root.iter():
        for name, most in (("x", width), ("cx", width), ("y", height), ("cy", height)):
            value = one.get(name)
            assert value is None or -60 <= float(value) <= most + 60, (one.tag, name, value)


def test_a_page_is_nested_escaped_and_loads_nothing() -> None:
    drawn = page(
        EVIL,
        cards({EVIL: (EVIL, "bad")}),
        section(EVIL, table((EVIL,), [(badge(EVIL, "warn"),), (EVIL,)]), note=EVIL),
        folded(EVIL, [EVIL], before=EVIL),
        figure(EVIL, bars([Bar(EVIL, 0.5, 0.2, 0.1, "bad")]), EVIL),
        figure(EVIL, histogram([EVIL], [1.0], [0.5])),
        under=EVIL,
        foot=EVIL,
    )
    parsed = Nested()
    parsed.feed(drawn)
    assert parsed.open == []
    assert "script" not in parsed.seen
    assert "<script" not in drawn
    assert not re.search(r"(src|href)=|url\(|https?:", drawn)
    assert "Content-Security-Policy" in drawn


@given(
    st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True), st.integers(1, 9)
)
def test_ticks_are_few_round_and_inside(low: float, high: float, most: int) -> None:
    found = ticks(low, high, most)
    assert len(found) <= most + 2
    assert found == sorted(found)
    if math.isfinite(high - low) and high > low:
        slack = 1e-6 * max(abs(low), abs(high))
        assert all(low - slack <= one <= high + slack for one in found)


@given(st.lists(st.builds(Bar, text, share, st.none() | share, st.none() | share), max_size=8))
def test_bars_of_any_shares(rows: list[Bar]) -> None:
    numbers_inside(clean(bars(rows)), 700, 20 * len(rows) + 24)


@given(st.lists(st.tuples(text, share, share), max_size=30), st.booleans())
def test_histograms_of_any_shares(bins: list[tuple[str, float, float]], both: bool) -> None:
    labels, now, past = ([one[i] for one in bins] for i in range(3))
    numbers_inside(clean(histogram(labels, now, past if both else None)), WIDTH, HEIGHT)


points = st.tuples(
    st.integers(0, 10**6).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    st.floats(0, 1e12) | st.just(math.nan),
    st.sampled_from(["good", "warn", "bad", ""]),
)


@given(st.lists(points, max_size=20), st.lists(st.tuples(st.floats(0, 1e6), st.just("bad")), max_size=2))
def test_lines_of_any_values(values, limits) -> None:
    numbers_inside(clean(line(values, unit="h", limits=limits)), WIDTH, HEIGHT)


def clean(svg: str) -> str:
    """Control characters, which no XML may hold and browsers pass over, apart."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", svg)


@pytest.mark.parametrize("drawing", [bars([]), histogram([], []), line([])])
def test_nothing_is_drawn_of_nothing(drawing: str) -> None:
    numbers_inside(drawing, 700, 200)
