"""From JSON to records, validated in C; when that fails, every fault is named with path, value and rule."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec

from assay.contract.fields import Field
from assay.contract.record import Record, fields
from assay.errors import BadInput, first_few, near_miss

R = TypeVar("R", bound=Record)
LONGEST_VALUE = 120
#: In place of a value that is not there; a text would have quotes.
MISSING = "missing"
#: A body of nothing but faults must not become an answer a hundred times as long.
MOST_FAULTS = 100
#: What msgspec raises for bytes that are no JSON; RecursionError for a thousand brackets.
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: A whole number that is written as a float.
_WHOLE = re.compile(rb"-?[0-9]{1,19}\.0{1,20}(?![0-9eE.])")
_NUMBER = [bytes([digit]) for digit in b"-0123456789"]


class Violation(msgspec.Struct, frozen=True):
    """One field that breaks its contract."""

    #: Where, as a JSON path: `$.distance`, `$[3].origin`.
    path: str
    #: What was there, as JSON, cut when long; the bare word `missing` when nothing was.
    value: str
    #: What the contract allows there, in words.
    rule: str

    def __str__(self) -> str:
        return f"{self.path}: {self.value}, expected {self.rule}"


class Invalid(BadInput):
    """Records that break their contract."""

    def __init__(self, contract: str, faults: list[Violation]) -> None:
        self.faults = faults
        more = "at least " if len(faults) >= MOST_FAULTS else ""
        what = f"the input breaks {contract} in {more}{len(faults):,} place{'s' if len(faults) != 1 else ''}"
        super().__init__(what, *first_few(map(str, faults), len(faults)))


@dataclass(frozen=True)
class Decoded(Generic[R]):
    """The records of one body."""

    rows: list[R]
    #: True when the body was one object, not an array.
    single: bool


class Decoder(Generic[R]):
    """Decodes a JSON body, one object or an array of them, into records."""

    def __init__(self, record: type[R]) -> None:
        self.record = record
        self._one = msgspec.json.Decoder(record)
        self._many = msgspec.json.Decoder(list[record])

    def decode(self, body: bytes) -> Decoded[R]:
        """The records in `body`. Raises `Invalid` with every fault, or `BadInput` when it is no JSON."""
        try:
            return self._decoded(body)
        except msgspec.ValidationError as error:
            refusal = str(error)
        except _NOT_JSON as error:
            raise _not_json(error) from None
        if _WHOLE.search(body):
            with suppress(msgspec.ValidationError, *_NOT_JSON):
                return self._decoded(_with_whole_numbers(body, self.record))
        raise Invalid(self.record.__name__, list_faults(body, self.record) or [_as_msgspec_says(refusal)])

    def _decoded(self, body: bytes) -> Decoded[R]:
        if _is_array(body):
            return Decoded(self._many.decode(body), single=False)
        return Decoded([self._one.decode(body)], single=True)


def _with_whole_numbers(body: bytes, record: type[Record]) -> bytes:
    """The body with 400.0 written as 400 where the contract wants a whole number, as pandas sends one."""
    many = _is_array(body)
    rows = msgspec.json.decode(body if many else b"[%s]" % body, type=list[dict[str, msgspec.Raw]])
    whole = [field for field in fields(record) if field.type is int]
    for row in rows:
        row |= {field.name: msgspec.Raw(_whole(bytes(row[field.name]), field)) for field in whole if field.name in row}
    return msgspec.json.encode(rows if many else rows[0])


def _whole(value: bytes, field: Field) -> bytes:
    return value.partition(b".")[0] if field.type is int and _WHOLE.fullmatch(value) else value


def list_faults(body: bytes, record: type[Record]) -> list[Violation]:
    r"""The faults of a JSON body against a contract, in the order of rows and fields; `BadInput` when it is no JSON.

    After a hundred of them it stops.

    >>> class Trip(Record):
    ...     miles: float
    >>> print(*list_faults(b'[{"miles": "far"}, {"mile": 1}]', Trip), sep="\n")
    $[0].miles: "far", expected a number
    $[1].mile: 1, expected no such field in Trip; did you mean miles?
    $[1].miles: missing, expected a number
    """
    try:
        if not _is_array(body):
            return _row_faults(body, record, "$")[:MOST_FAULTS]
        rows = msgspec.json.decode(body, type=list[msgspec.Raw])
        found = (fault for i, row in enumerate(rows) for fault in _row_faults(bytes(row), record, f"$[{i}]"))
        return list(islice(found, MOST_FAULTS))
    except _NOT_JSON as error:
        raise _not_json(error) from None


def _is_array(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def _not_json(error: Exception) -> BadInput:
    why = "it is nested too deep" if isinstance(error, RecursionError) else error
    return BadInput(f"the body is not JSON: {why}", do="Send one JSON object or an array of objects.")


def _as_msgspec_says(refusal: str) -> Violation:
    # A name that occurs twice in an object: the first is wrong, and only the last is seen when faults are listed.
    rule, _, path = refusal.partition(" - at ")
    return Violation(path.strip("`") or "$", "refused", f"a name once, and what the decoder takes: {rule}")


def _row_faults(row: bytes, record: type[Record], path: str) -> list[Violation]:
    # Raw values, so that the very bytes are judged by the very rules of the decoder, and shown.
    try:
        values = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return [Violation(path, _shown(row), f"an object with the fields of {record.__name__}")]
    known = [field.name for field in fields(record)]
    faults: list[Violation] = []
    if record.__struct_config__.forbid_unknown_fields:
        faults = [_unknown(name, bytes(value), record, path) for name, value in values.items() if name not in known]
    return faults + [fault for field in fields(record) for fault in _field_faults(values, field, path)]


def _unknown(name: str, value: bytes, record: type[Record], path: str) -> Violation:
    return Violation(_below(path, name), _shown(value), f"no such field in {record.__name__}{_hint(name, record)}")


@lru_cache(maxsize=1024)
def _hint(name: str, record: type[Record]) -> str:
    hint = near_miss(name, [field.name for field in fields(record)])
    return f"; {hint}" if hint else ""


def _below(path: str, name: str) -> str:
    step = f".{name}" if name.isidentifier() else f"[{_cut(msgspec.json.encode(name).decode())}]"
    return path + step


def _field_faults(values: dict[str, msgspec.Raw], field: Field, path: str) -> list[Violation]:
    if field.name not in values:
        return [] if field.optional else [Violation(_below(path, field.name), MISSING, field.rule)]
    value = bytes(values[field.name])
    try:
        _decoder(field).decode(_whole(value, field))
    except msgspec.ValidationError:
        return [Violation(_below(path, field.name), _shown(value), field.rule + _size_rule(value, field))]
    return []


def _size_rule(value: bytes, field: Field) -> str:
    plain = field.categories is None and field.range is None
    whole = value.lstrip(b"-").isdigit()
    too_large = whole if field.type is int else field.type is float and value[:1] in _NUMBER
    return ", of a size that its column holds" if plain and too_large else ""


@lru_cache(maxsize=4096)
def _decoder(field: Field) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(field.wire_type())


def _shown(value: bytes) -> str:
    return _cut(value.decode(errors="replace"))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


def to_json(row: dict[str, Any]) -> bytes:
    """One row as the JSON that a client sends: times as ISO 8601 in UTC; NaN, infinities and missing as null."""
    return msgspec.json.encode({name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value != value:  # NaN
        return None
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _in_utc(value)
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # within a day of year 1 or 9999: no such moment in UTC, but its own offset names it
        return moment
