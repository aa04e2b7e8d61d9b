"""What a request gives: the fields of its JSON or of its query, each read as what it must be."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from assay.web.fields import Message
from assay.web.http import HttpRequest
from assay.web.mlflow.errors import invalid

LONGEST_KEY = 250
_NAME = re.compile(r"[/\w.\- :]*")


@dataclass
class Ask:
    """The fields of one request, each of the kind that its route declares."""

    fields: Mapping[str, Any]
    request: HttpRequest

    def text(self, name: str, *aliases: str) -> str:
        """A text that must be there and not be empty."""
        value = self.text_or_none(name, *aliases)
        if not value:
            raise invalid(f"Missing value for required parameter '{name}'.")
        return value

    def text_or_none(self, name: str, *aliases: str) -> str | None:
        """A text, None when it is not there."""
        return next((self.fields[one] for one in (name, *aliases) if one in self.fields), None)

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number; `default` when it is not there, or it must be."""
        value = self.fields.get(name, default)
        if value is None:
            raise invalid(f"Missing value for required parameter '{name}'.")
        return value

    def number_or_none(self, name: str) -> int | None:
        """A whole number, None when it is not there."""
        return self.fields.get(name)

    def flag(self, name: str) -> bool:
        """A truth value, False when it is not there."""
        return self.fields.get(name, False)

    def items(self, name: str) -> list[dict[str, Any]]:
        """A list of objects, empty when it is not there."""
        return self.fields.get(name, [])

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty when it is not there."""
        return self.fields.get(name, [])

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
            if "key" not in one:
                raise invalid(f"Missing value for required parameter '{name}[{index}].key'.")
            found[check_key(one["key"])] = check_length(f"{name}[{index}].value", one.get("value", ""), longest)
        return found


def ask_of(request: HttpRequest, takes: Message) -> Ask:
    """The fields of a request: those of its body, or of its query when it has none. Raises `BadInput`."""
    if request.method in ("GET", "HEAD") and request.query:
        return Ask(takes.read_query(request.query), request)
    body = request.json()
    return Ask({} if body is None else takes.read(body), request)


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
