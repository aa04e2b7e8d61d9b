from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import BadInput
from assay.times import aware, duration, instant, now, span, zone

NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


def words(call: object) -> str:
    with pytest.raises(BadInput) as error:
        call()  # pyright: ignore[reportCallIssue]
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("26h", timedelta(hours=26)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("1d 12h", timedelta(hours=36)),
        ("1d12h30m", timedelta(hours=36, minutes=30)),
        ("0.5h", timedelta(minutes=30)),
        (timedelta(seconds=3), timedelta(seconds=3)),
    ],
)
def test_lengths_of_time(text: str, length: timedelta) -> None:
    assert duration(text) == length


@pytest.mark.parametrize("text", ["", "7", "d", "7 days", "-2h", "1.2.3h", "2h and more", "7D", None, 7])
def test_what_is_no_length_of_time(text: str) -> None:
    assert words(lambda: duration(text)) == (
        f"{text!r} is not a length of time\nWrite a number and a unit: 90s, 15m, 26h, 7d, 2w."
    )


def test_a_length_beyond_the_calendar() -> None:
    assert words(lambda: duration("9" * 400 + "d")).endswith("is too long a time\nUse at most a few thousand years.")
    assert words(lambda: duration("999999999d 2d")).endswith("is too long a time\nUse at most a few thousand years.")
    assert words(lambda: instant("900000d", at=NOON)) == (
        "'900000d' reaches back before the year 1\nUse at most a few hundred years."
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", "2013-06-03T12:00:00+00:00"),
        ("2h", "2013-06-03T10:00:00+00:00"),
        (" 1d 2h ", "2013-06-02T10:00:00+00:00"),
        ("today", "2013-06-03T04:00:00+00:00"),
        ("Yesterday", "2013-06-02T04:00:00+00:00"),
        ("2013-06-03", "2013-06-03T04:00:00+00:00"),
        ("2013-01-03", "2013-01-03T05:00:00+00:00"),
        (date(2013, 1, 3), "2013-01-03T05:00:00+00:00"),
        ("2013-06-03T10:00:00Z", "2013-06-03T10:00:00+00:00"),
        ("2013-06-03t10:00+05:30", "2013-06-03T04:30:00+00:00"),
        (datetime(2013, 6, 3, 10, tzinfo=NEW_YORK), "2013-06-03T14:00:00+00:00"),
    ],
)
def test_moments_in_new_york(text: str, moment: str) -> None:
    assert instant(text, at=NOON, tz=NEW_YORK).isoformat() == moment


def test_yesterday_is_a_day_of_the_calendar_though_clocks_are_set() -> None:
    after = datetime(2013, 3, 10, 16, tzinfo=UTC)  # the day that has 23 hours in New York
    assert instant("today", at=after, tz=NEW_YORK).isoformat() == "2013-03-10T05:00:00+00:00"
    assert instant("yesterday", at=after + timedelta(days=1), tz=NEW_YORK).isoformat() == "2013-03-10T05:00:00+00:00"


@pytest.mark.parametrize("text", ["", "noon", "2013-13-01", "2013-02-30", "03.06.2013", "2013-06-03T25:00Z"])
def test_what_is_no_time(text: str) -> None:
    assert words(lambda: instant(text)) == (
        f"{text!r} is not a time\nWrite 2013-06-03, 2013-06-03T10:00:00Z, 2h, 7d, today or yesterday."
    )


def test_a_time_without_an_offset_is_refused() -> None:
    says = (
        "2013-06-03T10:00:00 has no time zone\n"
        "Write its offset, like 2013-06-03T10:00:00Z or 2013-06-03T10:00:00-05:00."
    )
    assert words(lambda: instant("2013-06-03T10:00:00")) == says
    assert words(lambda: aware(datetime(2013, 6, 3, 10))) == says


def test_a_moment_outside_of_the_calendar_of_utc() -> None:
    says = "0001-01-01T00:00:00+05:00 is outside of the years 1 to 9999 in UTC"
    assert words(lambda: instant("0001-01-01T00:00:00+05:00")) == says
    assert words(lambda: instant(date(1, 1, 1), tz=timezone(timedelta(hours=5)))) == says


def test_zones() -> None:
    assert zone("America/New_York") == NEW_YORK
    for name in ("Mars/Olympus", "", "America", "../etc/passwd", "a" * 5000, "a\0b", "tzdata.zi"):
        assert words(lambda name=name: zone(name)) == (
            f"{name!r} is not a time zone\nUse an IANA name like America/New_York or UTC."
        )


def test_now_is_aware_and_in_utc() -> None:
    assert now().tzinfo is UTC
    assert instant("now").tzinfo is UTC


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=59.4), "59.4s"),
        (timedelta(seconds=60), "1m"),
        (timedelta(hours=1, minutes=1), "1h 1m"),
        (timedelta(days=2, hours=3, minutes=4), "2d 3h"),
        (timedelta(hours=-26), "-1d 2h"),
    ],
)
def test_a_length_in_few_words(length: timedelta, words: str) -> None:
    assert span(length) == words


@given(st.text(max_size=30) | st.text("0123456789-:TZ+. smhdw", max_size=30))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    for read in (instant, duration, zone):
        try:
            read(text)
        except BadInput as error:
            assert repr(text)[1:4] in str(error) or error.what  # noqa: PT017


@given(st.integers(0, 10**6), st.sampled_from("smhdw"))
def test_a_span_reads_back(count: int, unit: str) -> None:
    length = duration(f"{count}{unit}")
    error = abs(duration(span(length)) - length)
    assert error <= (timedelta(seconds=30) if length < timedelta(days=1) else timedelta(hours=1))
