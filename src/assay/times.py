"""Times as people write them: "2h", "7d", "yesterday", "2013-06-03"; aware and in UTC inside."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from assay.errors import BadInput, Unavailable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def duration(text: str | timedelta) -> timedelta:
    """The length of time that `text` names, like "90s", "15m", "26h", "7d" or "2w".

    Raises `BadInput` when it names none.

    >>> duration("26h")
    datetime.timedelta(days=1, seconds=7200)
    >>> duration("1d 12h") == timedelta(hours=36)
    True
    """
    if isinstance(text, timedelta):
        return text
    parts = _DURATION.findall(text) if isinstance(text, str) else []  # pyright: ignore[reportUnnecessaryIsInstance]
    if not parts or _DURATION.sub("", text).strip():
        raise BadInput(f"{text!r} is not a length of time", do="Write a number and a unit: 90s, 15m, 26h, 7d, 2w.")
    try:
        return sum((timedelta(**{_UNITS[unit]: float(count)}) for count, unit in parts), timedelta())
    except OverflowError:
        raise BadInput(f"{text!r} is too long a time", do="Use at most a few thousand years.") from None


def zone(name: str) -> ZoneInfo:
    """The time zone called `name`; raises `BadInput` when there is none, `Unavailable` when there are none at all."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, too long a name
        if not available_timezones():
            raise Unavailable(
                "this machine has no time zones",
                do="Install them: pip install 'assay[zones]', or your system's tzdata.",
            ) from None
        raise BadInput(f"{name!r} is not a time zone", do="Use an IANA name like America/New_York or UTC.") from None


def instant(text: str | datetime | date, *, at: datetime | None = None, tz: tzinfo = UTC) -> datetime:
    """The moment that `text` names, aware, in UTC.

    Takes an ISO 8601 time with an offset, a date (its midnight in `tz`), "now", "today", "yesterday", or a
    length of time, which is taken back from `at` (the present when omitted).
    Raises `BadInput` for anything else, and for a time without an offset: nobody can say which moment it names.

    >>> instant("2013-06-03T10:00:00-04:00").isoformat()
    '2013-06-03T14:00:00+00:00'
    >>> instant("2h", at=datetime(2013, 6, 3, tzinfo=UTC)).isoformat()
    '2013-06-02T22:00:00+00:00'
    """
    if isinstance(text, datetime):
        return aware(text)
    if isinstance(text, date):
        return aware(datetime.combine(text, time(), tz))
    at = at or now()
    word = text.strip().lower()
    if word == "now":
        return at
    if word in {"today", "yesterday"}:
        day = at.astimezone(tz).date() - timedelta(days=word == "yesterday")
        return instant(day, tz=tz)
    if _DURATION.match(word) and not _DATE.match(word):
        return _back(at, word)
    try:
        return (
            instant(date.fromisoformat(word), tz=tz)
            if _DATE.fullmatch(word)
            else aware(datetime.fromisoformat(text.strip()))
        )
    except ValueError:
        raise BadInput(
            f"{text!r} is not a time", do="Write 2013-06-03, 2013-06-03T10:00:00Z, 2h, 7d, today or yesterday."
        ) from None


def _back(at: datetime, length: str) -> datetime:
    try:
        return at - duration(length)
    except OverflowError:
        raise BadInput(f"{length!r} reaches back before the year 1", do="Use at most a few hundred years.") from None


def aware(moment: datetime) -> datetime:
    """`moment` in UTC; raises `BadInput` when it has no offset.

    >>> aware(datetime(2013, 6, 3))
    Traceback (most recent call last):
    assay.errors.BadInput: 2013-06-03T00:00:00 has no time zone
    Write its offset, like 2013-06-03T00:00:00Z or 2013-06-03T00:00:00-05:00.
    """
    if moment.tzinfo is None:
        text = moment.isoformat()
        raise BadInput(f"{text} has no time zone", do=f"Write its offset, like {text}Z or {text}-05:00.")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadInput(f"{moment.isoformat()} is outside of the years 1 to 9999 in UTC") from None


def span(length: timedelta) -> str:
    """A length of time in few words.

    >>> span(timedelta(hours=26)), span(timedelta(seconds=0.2)), span(timedelta(days=-3))
    ('1d 2h', '0.2s', '-3d')
    """
    if length < timedelta():
        return "-" + span(-length)
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{seconds:.3g}s"
    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count]
    return " ".join(parts[:2])
