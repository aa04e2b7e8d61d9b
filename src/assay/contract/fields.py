"""What a field of a record may be, read from its annotation."""

import math
import re
import types
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from assay import times
from assay.errors import BadInput

T = TypeVar("T")
Severity = Literal["error", "warn"]
#: What becomes of a prediction outside of its range.
Outside = Literal["refuse", "clip", "allow"]
Scalar = type[float | int | bool | str | datetime | date]
LONG_NUMBER = 10_000
#: So many columns one field of the output may take in the prediction log.
LONGEST_LIST = 10_000
LONGEST_WHOLE = 1e15
#: The least and greatest whole number that a column holds exactly: int64, and float64 when it may be missing.
WHOLE = (-(2**63), 2**63 - 1)
WHOLE_OR_MISSING = (-(2**53), 2**53)
#: What the name of a field can't hold: in JSON it would be written otherwise.
UNNAMEABLE = re.compile(r'["\\\x00-\x1f]|[\ud800-\udfff]')
_COLUMNS = (
    "Use float, int, bool, str, datetime, date or Literal of texts, each with or without | None; "
    "for an output also assay.Probabilities[Literal[...]] and Annotated[list[float], assay.length(24)]."
)
SCALARS: tuple[Scalar, ...] = (float, int, bool, str, datetime, date)


@dataclass(frozen=True)
class Range:
    """The values of a number: `low <= value <= high`, both ends allowed, in `unit`."""

    low: float | None = None
    high: float | None = None
    unit: str | None = None
    outside: Outside = "refuse"

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
class NullLimit:
    """The share of rows, 0 to 1, in which a nullable field may be missing before a check says so."""

    max: float
    severity: Severity = "error"


@dataclass(frozen=True)
class Role:
    """What a field is for, beside its value."""

    name: Literal["key", "event_time"]
    #: The zone of event times that have none.
    zone: str | None = None


@dataclass(frozen=True)
class ByClass:
    """Marks probabilities by class, which sum to 1."""

    #: In their declared order: `typing` holds two types for one whose classes differ in order only, and gives the older.
    classes: tuple[str | int, ...]


@dataclass(frozen=True)
class Length:
    """How many numbers a list holds."""

    count: int


@dataclass(frozen=True)
class Of:
    """The class of which a number is the probability."""

    value: str | int


@dataclass(frozen=True)
class Level:
    """The level of a quantile, between 0 and 1."""

    level: float


@dataclass(frozen=True)
class Named:
    """What a field is called outside of Python."""

    name: str


Key = Annotated[T, Role("key")]
if TYPE_CHECKING:
    EventTime = Annotated[datetime, Role("event_time")]
else:

    class _EventTime:
        """When it happened: `EventTime`, or `EventTime(zone="Europe/Paris")` for times that have no zone."""

        def __call__(self, *, zone: str) -> Any:
            times.zone(zone)
            return Annotated[datetime, Role("event_time", zone)]

        def __or__(self, other: Any) -> Any:
            return Annotated[datetime, Role("event_time")] | other

        def __repr__(self) -> str:
            return "assay.EventTime"

    EventTime = _EventTime()
if TYPE_CHECKING:
    Probabilities = Annotated[dict[T, float], ByClass(())]
else:

    class Probabilities:
        """`Probabilities[Literal["a", "b"]]`: the probability of each class, for the output of a model."""

        def __class_getitem__(cls, labels: Any) -> Any:
            return Annotated[dict[labels, float], ByClass(get_args(labels))]


def between(
    low: float | None = None, high: float | None = None, *, unit: str | None = None, outside: Outside = "refuse"
) -> Range:
    """Declare the range of a number, ends included, and its unit; an infinite end is none.

    `outside` is for the output of a model, and says what a server does with a prediction outside of the range: it refuses
    that row, clips the prediction to the nearer end, or answers it as it is.
    Raises `BadInput` for a range without an end, for one that allows nothing, and for another word in `outside`.
    """
    if outside not in get_args(Outside):
        raise BadInput(f"between() has no outside={outside!r}", do='Use "refuse", "clip" or "allow".')
    low, high = _end(low, -math.inf), _end(high, math.inf)
    if low is None and high is None:
        raise BadInput("between() needs an end", do="Write between(0, 100) or between(0).")
    if low is not None and high is not None and not low <= high:
        raise BadInput(f"between({low}, {high}) allows nothing", do="Put the smaller end first.")
    return Range(low, high, unit, outside)


def _end(end: object, none: float) -> float | None:
    if end is None or end == none:
        return None
    if isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end):
        return end
    raise BadInput(f"between() can't end at {end!r}", do="Give a number, or leave the end out: between(0).")


def nulls(*, max: float, severity: Severity = "error") -> NullLimit:  # noqa: A002
    """Declare how large a share of a nullable field may be missing, 0 to 1. Raises `BadInput` outside of that."""
    if not 0 <= max <= 1:
        raise BadInput(f"nulls(max={max}) is not a share", do="Give a number from 0 to 1, like 0.05.")
    return NullLimit(max, severity)


def length(count: int) -> Length:
    """Declare how many numbers a list holds; for the output of a model.

    Raises `BadInput` unless it is 1 to 10,000.
    """
    if not 1 <= count <= LONGEST_LIST:
        raise BadInput(f"length({count!r}) is not a length", do=f"Give a whole number from 1 to {LONGEST_LIST:,}.")
    return Length(count)


def field(*, name: str) -> Named:
    """Declare what a field is called in tables, requests and answers, where Python does not take that name.

    The name in Python is then for attributes and keyword arguments alone. Raises `BadInput` for an empty name, and for
    one with a double quote, a backslash or a control character, which no request can name.
    """
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadInput(f"field(name={name!r}) is not a name", do='Give the name of the column: field(name="2nd").')
    if odd := UNNAMEABLE.search(name):
        raise BadInput(f"field(name={name!r}) holds {odd[0]!r}, which no request can name", do="Rename the column.")
    return Named(name)


def probability(*, of: str | int) -> Of:
    """Declare a number as the probability of one class of the label, for the output of a model."""
    return Of(of)


def quantile(level: float) -> Level:
    """Declare a number as a quantile, for the output of a model. Raises `BadInput` unless 0 < level < 1."""
    if not 0 < level < 1:
        raise BadInput(f"quantile({level}) is not a level", do="Give a number between 0 and 1, like 0.9.")
    return Level(level)


@dataclass(frozen=True)
class Field:
    """One field of a record: everything that schemas, checks and columns are derived from."""

    #: What it is called in tables, requests, answers and the prediction log.
    name: str
    type: Scalar
    nullable: bool = False
    #: The values a category may take, in their declared order; None for other fields.
    categories: tuple[str | int, ...] | None = None
    range: Range | None = None
    nulls: NullLimit | None = None
    #: The rows are told apart by all fields of which this is true, together.
    is_key: bool = False
    #: It says when a row happened; it may be part of the key.
    is_event_time: bool = False
    #: True when a request may leave the field out.
    optional: bool = False
    #: The zone of times that have none; None where they must have one.
    zone: str | None = None
    #: The classes whose probabilities the field holds, in declared order; None for other fields.
    classes: tuple[str | int, ...] | None = None
    #: How many numbers the field holds; None for a single value.
    length: int | None = None
    #: The class of which it is the probability.
    of: str | int | None = None
    #: The level of the quantile that it is.
    level: float | None = None
    #: What it is called in Python: `name`, unless `field(name=)` says another.
    attribute: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "attribute", self.attribute or self.name)

    @property
    def parts(self) -> tuple[str | int, ...] | None:
        """The names of the several numbers of a field: its classes, or positions from 0; None for a single value."""
        return self.classes if self.classes is not None else tuple(range(self.length)) if self.length else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The flat columns that hold the field: one, or one for each part.

        >>> Field("p", float, classes=("no", "yes")).columns
        ('p_no', 'p_yes')
        """
        return (self.name,) if self.parts is None else tuple(f"{self.name}_{part}" for part in self.parts)

    @property
    def is_for_output(self) -> bool:
        """True for what only a model gives."""
        return self.parts is not None or self.of is not None or self.level is not None

    @property
    def role(self) -> str | None:
        """What the field is for, beside its value: `key`, `event_time`, or both."""
        return ", ".join(["key"] * self.is_key + ["event_time"] * self.is_event_time) or None

    @property
    def unit(self) -> str | None:
        """The unit of a number, as declared."""
        return self.range.unit if self.range else None

    @property
    def rule(self) -> str:
        """What the field takes, in words.

        >>> Field("wind", float, nullable=True, range=Range(0, 100, "mph")).rule
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
        elif self.classes is not None:
            words = f"probabilities of {', '.join(map(str, self.classes))} that sum to 1"
        else:
            words = names[self.type] if self.of is None else f"the probability of {self.of}"
            words = (f"{self.length} times " if self.length else "") + words + (f", {self.range}" if self.range else "")
        return words + (", or null" if self.nullable else "")

    def wire_type(self) -> Any:
        """The msgspec type that decodes and validates this field in C."""
        wire: Any = self.type
        if self.categories is not None:
            wire = Literal[self.categories]
        elif self.type is datetime:
            wire = datetime if self.zone else Annotated[datetime, msgspec.Meta(tz=True)]
        elif self.type is int or self.range is not None:
            schema = {"x-unit": self.unit} if self.unit else None
            low, high = self.bounds
            wire = Annotated[self.type, msgspec.Meta(ge=low, le=high, extra_json_schema=schema)]
        if self.classes is not None:
            wire = dict[Literal[self.classes], wire]
        elif self.length:
            wire = Annotated[list[wire], msgspec.Meta(min_length=self.length, max_length=self.length)]
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


#: What is a mark only once it is called.
_CALLED = (between, nulls, length, probability, quantile, field)


def read_annotation(owner: str, name: str, annotation: Any, *, optional: bool = False) -> Field:
    """The field that `annotation` declares; raises `BadInput` when it can't be a column."""
    field = _read(Field(name, float, optional=optional), annotation, f"{owner}.{name}")
    if field.range:
        _refuse_range(field, f"{owner}.{name}")
    if field.categories and field.type is int and not all(_fits(category, field) for category in field.categories):
        raise BadInput(f"{owner}.{name}: a category is too large a number for its column")
    _refuse_parts(field, f"{owner}.{name}")
    if field.nulls and not field.nullable:
        raise BadInput(f"{owner}.{name}: nulls() is for a field that may be null", do="Write float | None.")
    if field.role and field.nullable:
        role = "an event time" if field.is_event_time else "a key"
        raise BadInput(f"{owner}.{name}: {role} can't be null", do="Remove | None.")
    return field


def _refuse_range(field: Field, where: str) -> None:
    if field.categories is not None:
        raise BadInput(f"{where}: between() is not for a category", do="Leave it out: Literal names the values.")
    if field.type not in (float, int):
        raise BadInput(f"{where}: between() is for numbers, not for {field.type.__name__}")
    low, high = field.bounds
    if low is not None and high is not None and low > high:
        raise BadInput(f"{where}: no whole number lies in {field.range}", do="Widen the range.")


def _refuse_parts(field: Field, where: str) -> None:
    if field.classes is not None and field.range is None:
        raise BadInput(f"{where}: a dict can't be a column", do="Write assay.Probabilities[Literal[...]].")
    if field.length == 0:
        raise BadInput(f"{where}: list[{field.type.__name__}] can't be a column", do=_COLUMNS)
    if field.parts is not None and (field.nullable or field.role or field.of is not None or field.level is not None):
        raise BadInput(f"{where}: {field.rule} can't be marked so", do="Leave | None and other marks out.")
    if (field.of is not None or field.level is not None) and (field.type is not float or field.categories):
        raise BadInput(f"{where}: a probability or a quantile is a number", do="Declare it as a float.")
    if len(set(field.columns)) < len(field.columns):
        raise BadInput(f"{where}: two classes have the same name", do="Name each class once.")


def _fits(category: str | int, field: Field) -> bool:
    least, greatest = WHOLE_OR_MISSING if field.nullable else WHOLE
    return isinstance(category, int) and least <= category <= greatest


def _read(field: Field, annotation: Any, where: str) -> Field:
    if annotation is EventTime:
        return replace(field, type=datetime, is_event_time=True)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = _read(field, args[0], where)
        for mark in args[1:]:
            inner = _marked(inner, mark, where)
        return inner
    if origin in (Union, types.UnionType) and type(None) in args and len(args) == 2:
        (other,) = (arg for arg in args if arg is not type(None))
        return replace(_read(field, other, where), nullable=True)
    if origin is list and args[0] in (float, int):
        return replace(field, type=args[0], length=0)
    if origin is dict and args[1] is float:
        keys = _read(field, args[0], where)
        if keys.categories is not None and len(keys.categories) > 1:
            return replace(field, classes=keys.categories)
    if origin is Literal and len({type(arg) for arg in args}) == 1 and type(args[0]) in (str, int):
        return replace(field, type=type(args[0]), categories=args)
    if annotation in SCALARS:
        return replace(field, type=annotation)
    raise BadInput(
        f"{where}: {annotation} can't be a column",
        do=_COLUMNS,
    )


def _marked(field: Field, mark: object, where: str) -> Field:
    match mark:
        case Range():
            return replace(field, range=mark)
        case NullLimit():
            return replace(field, nulls=mark)
        case Role("key"):
            return replace(field, is_key=True)
        case Role():
            return replace(field, is_event_time=True, zone=mark.zone)
        case Named():
            return replace(field, name=mark.name)
        case Length() | ByClass() | Of() | Level():
            return _marked_output(field, mark, where)
        case msgspec.Meta():
            raise BadInput(f"{where}: msgspec.Meta is not supported", do="Use between() and nulls().")
        case _ if mark in _CALLED:
            raise BadInput(f"{where}: {getattr(mark, '__name__', mark)} must be called", do="Write between(0, 100).")
        case _:
            return field


def _marked_output(field: Field, mark: Length | ByClass | Of | Level, where: str) -> Field:
    match mark:
        case Length():
            if field.length is None:
                raise BadInput(f"{where}: length() is for a list", do="Write Annotated[list[float], assay.length(24)].")
            return replace(field, length=mark.count)
        case ByClass():
            return replace(field, range=Range(0, 1))
        case Of():
            return replace(field, of=mark.value, range=field.range or Range(0, 1))
        case Level():
            return replace(field, level=mark.level)
