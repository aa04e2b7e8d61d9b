"""From JSON to records, validated in C; when that fails, every fault is named with path, value and rule."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from assay.contract.fields import Field
from assay.contract.record import Record, fields
from assay.errors import BadInput, first_few, near_miss

R = TypeVar("R", bound=Record)
LONGEST_VALUE = 120


class Fault(msgspec.Struct, frozen=True):
    """One field that breaks its contract."""

    #: Where, as a JSON path: `$.distance`, `$[3].origin`.
    path: str
    #: What was there, as JSON, cut when long; None when nothing was.
    value: str | None
    #: What the contract allows there, in words.
    rule: str

    def __str__(self) -> str:
        return f"{self.path}: {'missing' if self.value is None else self.value}, expected {self.rule}"


class Invalid(BadInput):
    """Records that break their contract."""

    def __init__(self, contract: str, faults: list[Fault]) -> None:
        self.faults = faults
        what = f"the input breaks {contract} in {len(faults):,} place{'s' if len(faults) != 1 else ''}"
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
            if body.lstrip()[:1] == b"[":
                return Decoded(self._many.decode(body), single=False)
            return Decoded([self._one.decode(body)], single=True)
        except msgspec.ValidationError:
            raise Invalid(self.record.__name__, list_faults(msgspec.json.decode(body), self.record)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"the body is not JSON: {error}", do="Send one JSON object or an array of them.") from None


def list_faults(body: object, record: type[Record]) -> list[Fault]:
    """Every fault of a decoded JSON body against a contract, in the order of rows and fields."""
    if isinstance(body, list):
        return [fault for i, row in enumerate(body) for fault in _row_faults(row, record, f"$[{i}]")]
    return _row_faults(body, record, "$")


def _row_faults(row: object, record: type[Record], path: str) -> list[Fault]:
    if not isinstance(row, dict):
        return [Fault(path, _shown(row), f"an object with the fields of {record.__name__}")]
    known = {field.name: field for field in fields(record)}
    unknown = [
        Fault(
            f"{path}.{name}",
            _shown(row[name]),
            f"no such field in {record.__name__}; {near_miss(name, known)}".rstrip("; "),
        )
        for name in row
        if name not in known
    ]
    return unknown + [fault for field in known.values() for fault in _field_faults(row, field, path)]


def _field_faults(row: dict[str, Any], field: Field, path: str) -> list[Fault]:
    if field.name not in row:
        return [] if field.optional else [Fault(f"{path}.{field.name}", None, field.rule)]
    try:
        _converter(field)(row[field.name])
    except msgspec.ValidationError:
        return [Fault(f"{path}.{field.name}", _shown(row[field.name]), field.rule)]
    return []


@lru_cache(maxsize=4096)
def _converter(field: Field) -> Any:
    # Through JSON again, so that the very rules of the decoder apply.
    decoder = msgspec.json.Decoder(field.wire_type())
    return lambda value: decoder.decode(msgspec.json.encode(value))


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


def to_json(row: dict[str, Any]) -> bytes:
    """One row as the JSON that a client sends: times as ISO 8601 in UTC, NaN and missing as null."""
    return msgspec.json.encode({name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value != value:  # NaN
        return None
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value
