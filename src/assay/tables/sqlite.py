"""Times and mixed cells of SQLite, whose columns hold whatever was written, whatever type they declare."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from assay.contract.formats.sql import quoted
from assay.tables.view import TIMES, Kind
from assay.times import EPOCH

_MICROSECOND = timedelta(microseconds=1)
#: The day of 1970-01-01 as SQLite counts days in REAL.
_JULIAN_1970 = 2_440_587.5
#: What SQLite calls the cells that a column of a kind may have.
_CELLS: dict[Kind, frozenset[str]] = {
    "truth": frozenset(("integer",)),
    "whole": frozenset(("integer",)),
    "number": frozenset(("integer", "real")),
}


def prepare(driver: Any) -> None:
    """Let a connection of Python's driver read times: texts in ISO 8601, seconds since 1970, or days as SQLite counts them."""
    driver.create_function("assay_micros", 1, micros, deterministic=True)
    driver.create_function("assay_time", 1, canonical, deterministic=True)
    driver.create_function("assay_day", 1, _day, deterministic=True)


def moment(value: object) -> datetime | None:
    """The time that a cell shows, in UTC; one without a zone is taken as UTC; None when it shows none."""
    try:
        if isinstance(value, str):
            told = datetime.fromisoformat(value.strip())
            return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
        if isinstance(value, int):
            return EPOCH + timedelta(seconds=value)
        if isinstance(value, float):
            return EPOCH + timedelta(days=value - _JULIAN_1970)
    except (ValueError, OverflowError):
        return None
    return None


def micros(value: object) -> int | None:
    """A cell's time in microseconds since 1970."""
    told = moment(value)
    return None if told is None else (told - EPOCH) // _MICROSECOND


def canonical(value: object) -> str | None:
    """A cell's time as a text that sorts as times do; a cell that shows none as it is, so that it is not taken for missing.

    >>> canonical("2024-01-01T10:00:00+02:00"), canonical(0)
    ('2024-01-01 08:00:00', '1970-01-01 00:00:00')
    """
    told = moment(value)
    if told is None:
        return None if value is None else str(value)
    return told.replace(tzinfo=None).isoformat(sep=" ")


def _day(value: object) -> str | None:
    told = moment(value)
    return canonical(value) if told is None else told.date().isoformat()


def columns(names: Mapping[str, Kind]) -> dict[str, str]:
    """The SQL of the columns of times and days, in the form in which they are compared."""
    function = {"date": "assay_day", "naive": "assay_time", "time": "assay_time"}
    return {name: f"{function[kind]}({quoted(name)})" for name, kind in names.items() if kind in TIMES}


def question(names: Mapping[str, Kind], source: str) -> str:
    """The SELECT that counts, by the number of the column, what its cells hold."""
    told: list[str] = []
    for i, (name, kind) in enumerate(names.items()):
        cell = quoted(name)
        if kind in TIMES:
            told.append(f"sum({cell} IS NOT NULL AND assay_micros({cell}) IS NULL) AS text_{i}")
        elif kind in _CELLS:
            told += [
                f"sum(typeof({cell}) = 'real') AS real_{i}",
                f"sum(typeof({cell}) IN ('text', 'blob')) AS text_{i}",
            ]
    return f"SELECT {', '.join(told)} FROM {source}" if told else ""


def really(names: Mapping[str, Kind], counted: Mapping[str, Any]) -> dict[str, Kind]:
    """The kinds of the columns by what their cells hold: one text makes text of a column of numbers or times."""
    found: dict[str, Kind] = {}
    for i, (name, kind) in enumerate(names.items()):
        if counted.get(f"text_{i}"):
            found[name] = "text"
        elif kind in ("whole", "truth") and counted.get(f"real_{i}"):
            found[name] = "number"
        else:
            found[name] = kind
    return found


def literal_times(texts: Iterable[str]) -> list[str]:
    """Times as they are written in a query, in the form of `canonical`; a day stays a day.

    >>> literal_times(["2024-01-01T10:00:00Z", "2024-01-01"])
    ['2024-01-01 10:00:00', '2024-01-01']
    """
    return [text if _is_day(text) else canonical(text) or text for text in texts]


def _is_day(text: str) -> bool:
    try:
        return len(text) == len("2024-01-31") and bool(date.fromisoformat(text))
    except ValueError:
        return False
