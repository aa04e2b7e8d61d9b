"""What the names of columns tell."""

import keyword
import re

_UNIT = re.compile(r"[\[(]\s*([^\[\]()]{1,12}?)\s*[\])]\s*$")
#: What the end of a name like `distance_km` means.
_ENDINGS = {
    "km": "km", "mi": "mi", "miles": "mi", "cm": "cm", "mm": "mm", "kg": "kg", "lbs": "lb", "mph": "mph", "kmh": "km/h",
    "hpa": "hPa", "usd": "USD", "eur": "EUR", "gbp": "GBP", "pct": "%", "percent": "%", "celsius": "degC",
    "fahrenheit": "degF", "seconds": "s", "minutes": "min", "hours": "h", "days": "d",
}  # fmt: skip


def unit_of(column: str) -> str | None:
    """The unit that a name tells, if any.

    >>> unit_of("Body Mass (g)"), unit_of("distance_km"), unit_of("ram")
    ('g', 'km', None)
    """
    if found := _UNIT.search(column):
        return found[1]
    words = re.split(r"[^0-9A-Za-z]+", column.lower())
    return _ENDINGS.get(words[-1]) if len(words) > 1 else None


def is_name(name: str) -> bool:
    """Whether a column can be a field of a contract.

    >>> is_name("miles"), is_name("class"), is_name("Body Mass (g)")
    (True, False, False)
    """
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
