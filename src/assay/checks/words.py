"""Numbers, shares, ages and values of cells as people read them."""

import math
from datetime import date, datetime, timedelta
from decimal import Decimal

from assay.errors import printable
from assay.times import span

_CELL = 60


def number(value: float) -> str:
    """A number with thousands parted, exact to ten digits.

    >>> number(26115), number(1048.36058), number(-3.0)
    ('26,115', '1,048.36058', '-3')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value or 0.0:,.10g}"  # never -0


def among(low: float | date | None, high: float | date | None, unit: str | None) -> str:
    """A range in words.

    >>> among(0, 100, "mph"), among(None, 5, None), among(9, None, "rows")
    ('0 to 100 mph', 'at most 5', 'at least 9 rows')
    """
    tail = f" {unit}" if unit else ""
    if low is None or high is None:
        return (f"at least {_end(low)}" if low is not None else f"at most {_end(high or 0)}") + tail
    return f"{_end(low)} to {_end(high)}{tail}"


def _end(value: float | date) -> str:
    if isinstance(value, datetime):
        return moment(value)
    return value.isoformat() if isinstance(value, date) else number(value)


def share(part: float, limit: float | None = None) -> str:
    """A share in per cent, with more digits when it would else read like the limit that it passes.

    >>> share(0.15551), share(0.50004, limit=0.5), share(1e-9)
    ('15.6 %', '50.004 %', 'under 0.001 %')
    """
    if 0 < part < 1e-5:
        return "under 0.001 %"
    digits = next((n for n in range(3, 12) if f"{part:.{n}g}" != f"{limit or math.nan:.{n}g}"), 3)
    return f"{100 * part:.{digits}g} %"


def age(length: timedelta) -> str:
    """A length of time, in hours up to three days.

    >>> age(timedelta(hours=26)), age(timedelta(hours=26, minutes=5)), age(timedelta(days=9))
    ('26h', '26h 5m', '9d')
    """
    minutes = round(length.total_seconds() / 60)
    if not 60 <= minutes <= 72 * 60:
        return span(length)
    return f"{minutes // 60}h" + (f" {minutes % 60}m" if minutes % 60 else "")


def moment(time: datetime) -> str:
    """A time as ISO 8601 with its offset.

    >>> from datetime import UTC
    >>> moment(datetime(2013, 2, 12, 8, tzinfo=UTC))
    '2013-02-12T08:00:00Z'
    """
    return time.isoformat().replace("+00:00", "Z")


def plain(value: object) -> str | float | bool | None:
    """A cell's value as JSON can hold it; numbers that are not finite become texts.

    >>> from datetime import date
    >>> plain(float("inf")), plain(date(2013, 2, 12)), plain(3)
    ('inf', '2013-02-12', 3)
    """
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _decimal(value: Decimal) -> str | float:
    """A decimal as the number that it is; as a text where no float is."""
    if not value.is_finite():
        return str(value).lower()
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def cell(value: object) -> str:
    r"""A value as one short printable word of a line.

    >>> cell("a\x1b[31m"), cell(None), cell(1048.36)
    ("'a\\x1b[31m'", 'missing', '1048.36')
    """
    if value is None:
        return "missing"
    text = str(value)
    text = printable(text if text.isprintable() and text.strip() == text and text else repr(text))
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"
