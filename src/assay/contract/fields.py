"""What a field of a record may be, read from its annotation."""

import math
import types
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from assay.errors import BadInput

T = TypeVar("T")
Severity = Literal["error", "warn"]
Scalar = type[float | int | bool | str | datetime | date]
LONG_NUMBER = 10_000
LONGEST_WHOLE = 1e15
#: The least and greatest whole number that a column holds exactly: int64, and float64 when it may be missing.
WHOLE = (-(2**63), 2**63 - 1)
WHOLE_OR_MISSING = (-(2**53), 2**53)
SCALARS: tuple[Scalar, ...] = (float, int, bool, str, datetime, date)


@dataclass(frozen=True)
class Between:
    """The values of a number: `low <= value <= high`, both ends allowed, in `unit`."""

    low: float | None = None
    high: float | None = None
    unit: str | None = None

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.low is None:
            return f"at most {_shown(self.high)}{unit}"
        if self.high is None:
            return f"at least {_shown(self.low)}{unit}"
        return f"{_shown(self.low)} to {_shown(self.high)}{unit}"


def _shown(number: float | None) -> str:
    if number is None:
        return ""
    if isinstance(number, float) and number.is_integer() and abs(number) < LONGEST_WHOLE:
        number = int(number)
    return f"{number:,}" if abs(number) >= LONG_NUMBER else f"{number}"  # 2013 may be a year


@dataclass(frozen=True)
class Nulls:
    """The share of rows, 0 to 1, in which a nullable field may be missing before a check says so."""

    max: float
    severity: Severity = "error"


@dataclass(frozen=True)
class Role:
    """What a field is for, beside its value."""

    name: Literal["key", "event_time"]


Key = Annotated[T, Role("key")]
EventTime = Annotated[datetime, Role("event_time")]


def between(low: float | None = None, high: float | None = None, *, unit: str | None = None) -> Between:
    """Declare the range of a number, ends included, and its unit; an infinite end is none.

    Raises `BadInput` for a range without an end, and for one that allows nothing.
    """
    low, high = _end(low, -math.inf), _end(high, math.inf)
    if low is None and high is None:
        raise BadInput("between() needs an end", do="Write between(0, 100) or between(0).")
    if low is not None and high is not None and not low <= high:
        raise BadInput(f"between({low}, {high}) allows nothing", do="Put the smaller end first.")
    return Between(low, high, unit)


def _end(end: object, none: float) -> float | None:
    if end is None or end == none:
        return None
    if isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end):
        return end
    raise BadInput(f"between() can't end at {end!r}", do="Give a number, or leave the end out: between(0).")


def nulls(*, max: float, severity: Severity = "error") -> Nulls:  # noqa: A002
    """Declare how large a share of a nullable field may be missing, 0 to 1. Raises `BadInput` outside of that."""
    if not 0 <= max <= 1:
        raise BadInput(f"nulls(max={max}) is not a share", do="Give a number from 0 to 1, like 0.05.")
    return Nulls(max, severity)


@dataclass(frozen=True)
class Field:
    """One field of a record: everything that schemas, checks and columns are derived from."""

    name: str
    type: Scalar
    nullable: bool = False
    #: The values a category may take, in their declared order; None for other fields.
    categories: tuple[str | int, ...] | None = None
    range: Between | None = None
    nulls: Nulls | None = None
    role: Literal["key", "event_time"] | None = None
    #: True when a request may leave the field out.
    optional: bool = False

    @property
    def unit(self) -> str | None:
        """The unit of a number, as declared."""
        return self.range.unit if self.range else None

    @property
    def rule(self) -> str:
        """What the field takes, in words.

        >>> Field("wind", float, nullable=True, range=Between(0, 100, "mph")).rule
        'a number, 0 to 100 mph, or null'
        """
        names: dict[Scalar, str] = {
            float: "a number",
            int: "a whole number",
            bool: "true or false",
            str: "a text",
            datetime: "a time with an offset, like 2013-06-03T10:00:00Z",
            date: "a date, like 2013-06-03",
        }
        if self.categories is not None:
            words = "one of " + ", ".join(map(str, self.categories))
        else:
            words = names[self.type] + (f", {self.range}" if self.range else "")
        return words + (", or null" if self.nullable else "")

    def wire_type(self) -> Any:
        """The msgspec type that decodes and validates this field in C."""
        wire: Any = self.type
        if self.categories is not None:
            wire = Literal[self.categories]
        elif self.type is datetime:
            wire = Annotated[datetime, msgspec.Meta(tz=True)]
        elif self.type is int or self.range is not None:
            schema = {"x-unit": self.unit} if self.unit else None
            low, high = self.bounds
            wire = Annotated[self.type, msgspec.Meta(ge=low, le=high, extra_json_schema=schema)]
        return wire | None if self.nullable else wire

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """The least and greatest number allowed, None where there is no end; whole ends for a whole number."""
        low, high = (self.range.low, self.range.high) if self.range else (None, None)
        if self.type is not int:
            return low, high
        least, greatest = WHOLE_OR_MISSING if self.nullable else WHOLE
        return (
            least if low is None else max(least, math.ceil(low)),
            greatest if high is None else min(greatest, math.floor(high)),
        )


def read_annotation(owner: str, name: str, annotation: Any, *, optional: bool = False) -> Field:
    """The field that `annotation` declares; raises `BadInput` when it can't be a column."""
    field = _read(Field(name, float, optional=optional), annotation, f"{owner}.{name}")
    if field.range:
        _refuse_range(field, f"{owner}.{name}")
    if field.categories and field.type is int and not all(_fits(category, field) for category in field.categories):
        raise BadInput(f"{owner}.{name}: a category is too large a number for its column")
    if field.nulls and not field.nullable:
        raise BadInput(f"{owner}.{name}: nulls() is for a field that may be null", do="Write float | None.")
    if field.role and field.nullable:
        role = {"key": "a key", "event_time": "an event time"}[field.role]
        raise BadInput(f"{owner}.{name}: {role} can't be null", do="Remove | None.")
    return field


def _refuse_range(field: Field, where: str) -> None:
    if field.categories is not None:
        raise BadInput(f"{where}: between() is not for a category", do="Leave it out: Literal names the values.")
    if field.type not in (float, int):
        raise BadInput(f"{where}: between() is for numbers, not for {field.type.__name__}")
    low, high = field.bounds
    if low is not None and high is not None and low > high:
        raise BadInput(f"{where}: no whole number is {field.range}", do="Widen the range.")


def _fits(category: str | int, field: Field) -> bool:
    least, greatest = WHOLE_OR_MISSING if field.nullable else WHOLE
    return isinstance(category, int) and least <= category <= greatest


def _read(field: Field, annotation: Any, where: str) -> Field:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = _read(field, args[0], where)
        for mark in args[1:]:
            inner = _marked(inner, mark, where)
        return inner
    if origin in (Union, types.UnionType) and type(None) in args and len(args) == 2:
        (other,) = (arg for arg in args if arg is not type(None))
        return replace(_read(field, other, where), nullable=True)
    if origin is Literal and len({type(arg) for arg in args}) == 1 and type(args[0]) in (str, int):
        return replace(field, type=type(args[0]), categories=args)
    if annotation in SCALARS:
        return replace(field, type=annotation)
    raise BadInput(
        f"{where}: {annotation} can't be a column",
        do="Use float, int, bool, str, datetime, date or Literal of texts, each with or without | None.",
    )


def _marked(field: Field, mark: object, where: str) -> Field:
    match mark:
        case Between():
            return replace(field, range=mark)
        case Nulls():
            return replace(field, nulls=mark)
        case Role():
            return replace(field, role=mark.name)
        case msgspec.Meta():
            raise BadInput(f"{where}: msgspec.Meta is not read here", do="Use between() and nulls().")
        case _ if mark in (between, nulls):
            raise BadInput(f"{where}: {getattr(mark, '__name__', mark)} is not called", do="Write between(0, 100).")
        case _:
            return field
