"""The fields that a request may have, each declared with its kind: what fits none is refused here, and nowhere else.

JSON is read as protobuf's JSON mapping says (https://protobuf.dev/programming-guides/json/): a field by its own name or
in camel case, 64-bit numbers as numbers or texts, enums by number or name, null as a field that is not there. Fields that
nobody declared are left out, as MLflow leaves them out; so is whatever is inside of them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from assay.errors import BadInput
from assay.track.whole import LEAST, MOST, whole_number

#: Reads a value; the text says where it stands.
Kind = Callable[[Any, str], Any]
#: Values of one list.
LONGEST_LIST = 10_000
_SHOWN = 50


def refused(value: object, where: str, must: str) -> BadInput:
    """What stands there is of another kind."""
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return BadInput(f"Invalid value {shown} for parameter '{where}' supplied: it must be {must}.")


def text(value: Any, where: str) -> str:
    """A text without NUL, which PostgreSQL can't keep."""
    if not isinstance(value, str):
        raise refused(value, where, "a string")
    if "\0" in value:
        raise refused(value, where, "a string without NUL")
    return value


def name_or_number(value: Any, where: str) -> str:
    """A text that is often a number, like the id of an experiment: a number will do."""
    return str(whole(value, where)) if type(value) is int else text(value, where)


def whole(value: Any, where: str) -> int:
    """A whole number of 64 bits, as a number or as a text."""
    number = None
    if isinstance(value, str):
        number = whole_number(value)
    elif type(value) is int or (isinstance(value, float) and value.is_integer()):
        number = int(value) if LEAST <= value <= MOST else None
    if number is None:
        raise refused(value, where, "an integer of 64 bits")
    return number


def flag(value: Any, where: str) -> bool:
    """A truth value, as one or as a text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise refused(value, where, "true or false")


def as_it_is(value: Any, where: str) -> Any:  # noqa: ARG001 - called as the other readers are
    """Anything: the handler converts it to a struct of its own, which is faster for many."""
    return value


def listed(value: Any, where: str) -> list[Any]:
    """A list of anything, likewise."""
    if not isinstance(value, list):
        raise refused(value, where, "a list")
    return value  # pyright: ignore[reportUnknownVariableType]


def one_of(*names: str, first: int = 1) -> Kind:
    """The name of one of several choices, given by its name or by its number; `first` is that of the first."""

    def read(value: Any, where: str) -> str:
        if isinstance(value, str) and value in names:
            return value
        number = whole_number(value) if isinstance(value, str) else value if type(value) is int else None
        if number is None or not 0 <= number - first < len(names):
            raise refused(value, where, f"one of {', '.join(names)}")
        return names[number - first]

    return read


class ManyOf:
    """A list of values of one kind."""

    def __init__(self, kind: Kind, most: int = LONGEST_LIST) -> None:
        self._kind, self._most = kind, most

    def __call__(self, value: Any, where: str) -> list[Any]:
        """The values; raises `BadInput` for one of another kind, and for too many."""
        if not isinstance(value, list):
            raise refused(value, where, "a list")
        values: list[Any] = value
        if len(values) > self._most:
            raise BadInput(f"'{where}' lists {len(values):,} values: at most {self._most:,} are taken.")
        return [self._kind(one, f"{where}[{at}]") for at, one in enumerate(values)]


class Message:
    """An object of declared fields."""

    def __init__(self, **fields: Kind) -> None:
        #: As our tables name them.
        self.names = tuple(fields)
        self._fields = {written: (name, kind) for name, kind in fields.items() for written in (name, camel(name))}

    def __call__(self, value: Any, where: str) -> dict[str, Any]:
        """The fields; raises `BadInput` for one of another kind."""
        if not isinstance(value, dict):
            raise refused(value, where, "an object")
        return self._read(value, f"{where}.")

    def read(self, value: Any) -> dict[str, Any]:
        """The fields of a whole body. Raises `BadInput`, with the path, for what is of another kind."""
        if not isinstance(value, dict):
            raise BadInput("the body must be a JSON object")
        return self._read(value, "")

    def read_query(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """The fields of a query, in which a list is a field that is there several times. Raises as `read` does."""
        kinds = {written: kind for written, (_, kind) in self._fields.items()}
        return self._read(
            {name: given if isinstance(kinds.get(name), ManyOf) else given[-1] for name, given in query.items()}, ""
        )

    def _read(self, value: Mapping[str, Any], where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for written, one in value.items():
            field = self._fields.get(written)
            if field is None or one is None:
                continue
            name, kind = field
            if name in found:
                raise BadInput(f"The request gives both '{where}{name}' and '{where}{camel(name)}': give one of them.")
            found[name] = kind(one, where + name)
        return found


def camel(name: str) -> str:
    """A name as protobuf writes it in JSON.

    >>> camel("artifact_directory_path")
    'artifactDirectoryPath'
    """
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
