"""What the names of columns tell."""

import keyword
import re
import unicodedata
from collections.abc import Iterable
from itertools import count

from assay.contract.fields import UNNAMEABLE

_UNIT = re.compile(r"[\[(]\s*([^\[\]()]{1,12}?)\s*[\])]\s*$")
#: What can't be read as `d.NAME`: words of Python, and methods of `assay.Columns`.
_OTHERS = frozenset([*keyword.kwlist, "items", "take"])
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
    """Whether a column can be a field of a contract, under whatever name in Python.

    >>> is_name("Body Mass (g)"), is_name('say "x"')
    (True, False)
    """
    return bool(name) and not UNNAMEABLE.search(name)


def python_names(columns: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A name in Python for each column, all different and none of `taken`: its own where Python takes it.

    >>> list(python_names(["miles", "class", "Body Mass (g)", "2nd", "body_mass_g", "größe"]).values())
    ['miles', 'class_', 'body_mass_g_2', 'column_2nd', 'body_mass_g', 'grosse']
    """
    listed = list(columns)
    found = {name: name for name in listed if _is_pythons(name) and name not in taken}
    used = {*found.values(), *taken}
    for name in listed:
        if name not in found:
            plain = _plain(name)
            number = next(n for n in count(1) if _numbered(plain, n) not in used)
            found[name] = _numbered(plain, number)
            used.add(found[name])
    return {name: found[name] for name in listed}


def _is_pythons(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not name.startswith("_") and name not in _OTHERS


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    words = re.sub(r"\W+", "_", letters).strip("_").lower()
    if not words or words[0].isdigit():
        words = f"column_{words}".rstrip("_")
    return f"{words}_" if words in _OTHERS else words


def _numbered(plain: str, number: int) -> str:
    return plain if number == 1 else f"{plain}_{number}"
