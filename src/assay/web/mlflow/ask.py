"""What a request gives: the fields of its JSON or of its query, each read as what it must be."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from assay.errors import BadInput
from assay.web.http import Request
from assay.web.mlflow.errors import invalid

LONGEST_KEY = 250
_LARGEST = 2**63
_NAME = re.compile(r"[/\w.\- :]*")


@dataclass
class Ask:
    """The fields of one request."""

    fields: Mapping[str, Any]
    request: Request

    def text(self, name: str, *aliases: str) -> str:
        """A text that must be there and not be empty."""
        value = self.text_or_none(name, *aliases)
        if not value:
            raise invalid(f"Missing value for required parameter '{name}'.")
        return value

    def text_or_none(self, name: str, *aliases: str) -> str | None:
        """A text, None when it is not there."""
        value = next((self.fields[one] for one in (name, *aliases) if self.fields.get(one) is not None), None)
        if value is not None and not isinstance(value, str):
            raise invalid(f"Invalid value {value!r} for parameter '{name}' supplied: it must be a string.")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number, as a number or as text; `default` when it is not there, or it must be."""
        value = self.fields.get(name)
        if value is None:
            if default is None:
                raise invalid(f"Missing value for required parameter '{name}'.")
            return default
        return whole(name, value)

    def number_or_none(self, name: str) -> int | None:
        """A whole number, None when it is not there."""
        return None if self.fields.get(name) is None else self.number(name)

    def flag(self, name: str) -> bool:
        """A truth value, False when it is not there."""
        value = self.fields.get(name)
        if value in (None, False, "false", "False"):
            return False
        if value in (True, "true", "True"):
            return True
        raise invalid(f"Invalid value {value!r} for parameter '{name}' supplied: it must be true or false.")

    def items(self, name: str) -> list[dict[str, Any]]:
        """A list of objects, empty when it is not there."""
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise invalid(f"Invalid value for parameter '{name}' supplied: it must be a list of objects.")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty when it is not there."""
        value = self.fields.get(name)
        if value is None:
            return []
        many = [value] if isinstance(value, str) else value
        if not isinstance(many, list) or not all(isinstance(one, str) for one in many):
            raise invalid(f"Invalid value for parameter '{name}' supplied: it must be a list of strings.")
        return many

    def limit(self, default: int, largest: int) -> int:
        """`max_results` within its bounds."""
        value = self.number("max_results", default)
        if not 1 <= value <= largest:
            raise invalid(f"Invalid value {value} for parameter 'max_results' supplied: it must be 1 to {largest}.")
        return value

    def keyed(self, name: str, longest: int) -> dict[str, str]:
        """A list of keys and values; the last of a key counts."""
        found: dict[str, str] = {}
        for index, one in enumerate(self.items(name)):
            key, value = one.get("key"), one.get("value", "")
            if not isinstance(key, str):
                raise invalid(f"Missing value for required parameter '{name}[{index}].key'.")
            found[check_key(key)] = check_length(f"{name}[{index}].value", value, longest)
        return found


def whole(name: str, value: Any) -> int:
    """A whole number of 64 bits."""
    try:
        number = int(value) if isinstance(value, str) or not isinstance(value, float) or value.is_integer() else None
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool) or not -_LARGEST <= number < _LARGEST:
        raise invalid(f"Invalid value {str(value)[:50]!r} for parameter '{name}' supplied: it must be an integer.")
    return number


def ask_of(request: Request, repeated: Sequence[str] = ()) -> Ask:
    """The fields of a request: those of its body, or of its query when it has none. Raises `BadInput`."""
    if request.method == "GET" and request.query:
        fields: Any = {key: values if key in repeated else values[-1] for key, values in request.query.items()}
    else:
        fields = request.json()
    if fields is None:
        fields = {}
    if not isinstance(fields, dict):
        raise BadInput("the body must be a JSON object")
    return Ask(fields, request)


def check_key(key: str, what: str = "key") -> str:
    """The name of a metric, parameter or tag, as MLflow takes it."""
    odd = posixpath.normpath(key)
    if not key or not _NAME.fullmatch(key) or odd != key or odd == "." or odd.startswith(("..", "/")):
        raise invalid(f"Invalid value {key[:100]!r} for parameter '{what}' supplied: it can't be a name.")
    return check_length(what, key, LONGEST_KEY)


def check_length(what: str, value: Any, longest: int, *, cut: bool = False) -> str:
    """A text of at most so many characters; longer ones are refused, or cut as MLflow cuts them."""
    if not isinstance(value, str):
        raise invalid(f"Invalid value for parameter '{what}' supplied: it must be a string.")
    if "\0" in value:
        raise invalid(f"Invalid value for parameter '{what}' supplied: it holds NUL.")
    value = value.encode("utf-8", "backslashreplace").decode()
    if len(value) > longest and not cut:
        raise invalid(f"'{what}' exceeds the maximum length of {longest} characters")
    return value[:longest]


def safe_path(path: str) -> str:
    """A relative path that leaves nothing, however it is written. Raises an error of MLflow's otherwise."""
    plain = path
    while (unquoted := unquote(plain)) != plain:
        plain = unquoted
    parts = plain.split("/")
    odd = any(part in ("", ".", "..") for part in parts) or any(sign in plain for sign in "\\\0")
    odd = odd or any(part[1:2] == ":" for part in parts)  # a drive of Windows
    if odd or any(ord(sign) < 32 for sign in plain) or len(path) > 2000:
        raise invalid(f"Invalid path: {path[:100]!r}")
    return path
