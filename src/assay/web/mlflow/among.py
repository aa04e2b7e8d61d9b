"""Filters and orders over what is small enough to look at one by one: experiments, models and their versions."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from assay.errors import BadInput
from assay.track.filter import Both, Comparison, Not, Tree, parse, parse_order
from assay.web.mlflow.errors import invalid

T = TypeVar("T")
#: The value of an attribute, metric, param or tag of a thing; None when it has none.
Look = Callable[[T, str, str], Any]


def chosen(things: Sequence[T], text: str, attributes: Mapping[str, type], look: "Look[T]") -> list[T]:
    """The things for which a filter holds; those without the value are left out, as MLflow does."""
    tree = parse(text, attributes.keys())
    if tree is None:
        return list(things)
    _check(tree, attributes)
    return [thing for thing in things if _holds(tree, thing, look)]


def ordered(
    things: list[T], texts: Sequence[str], attributes: Mapping[str, type], look: "Look[T]", last: Sequence[str]
) -> list[T]:
    """The things in an order; `last` decides between equals. Those without a value come last."""
    orders = [parse_order(text, attributes.keys()) for text in (*texts, *last)]
    named = [(order.kind, order.name) for order in orders[: len(texts)]]
    if len(set(named)) < len(named):
        raise invalid(f"`order_by` contains duplicate fields: {list(texts)}")
    for order in reversed(orders):
        having = [thing for thing in things if look(thing, order.kind, order.name) is not None]
        without = [thing for thing in things if look(thing, order.kind, order.name) is None]
        having.sort(key=lambda thing, o=order: look(thing, o.kind, o.name), reverse=order.descending)
        things = having + without
    return things


def page(things: Sequence[T], limit: int, token: str | None) -> tuple[Sequence[T], str | None]:
    """Some of the things, and the token of the next ones."""
    try:
        start = int(json.loads(base64.b64decode(token, validate=True))["offset"]) if token else 0
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise BadInput("the page token can't be read", do="Give the token of the page before, unchanged.") from None
    start, end = max(start, 0), max(start, 0) + limit
    more = base64.b64encode(json.dumps({"offset": end}).encode()).decode() if end < len(things) else None
    return things[start:end], more


def _check(tree: Tree, attributes: Mapping[str, type]) -> None:
    match tree:
        case Not(part):
            _check(part, attributes)
        case Both(_, parts):
            for part in parts:
                _check(part, attributes)
        case Comparison(kind, name, operator, value):
            wanted = attributes[name] if kind == "attribute" else float if kind == "metric" else str
            odd = wanted is not str and (operator in ("LIKE", "ILIKE", "IN", "NOT IN") or isinstance(value, str))
            if odd or (wanted is str and (isinstance(value, float) or operator in ("<", "<=", ">", ">="))):
                raise invalid(f"{kind} {name} can't be compared by {operator} with {value!r}")


def _holds(tree: Tree, thing: Any, look: Look[Any]) -> bool:
    match tree:
        case Not(part):
            return not _holds(part, thing, look)
        case Both(word, parts):
            return (all if word == "AND" else any)(_holds(part, thing, look) for part in parts)
        case Comparison(kind, name, operator, value):
            found = look(thing, kind, name)
            if operator in ("IS NULL", "IS NOT NULL"):
                return (found is None) is (operator == "IS NULL")
            return found is not None and bool(_OPERATORS[operator](found, value))


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, value: found == value,
    "!=": lambda found, value: found != value,
    "<": lambda found, value: found < value,
    "<=": lambda found, value: found <= value,
    ">": lambda found, value: found > value,
    ">=": lambda found, value: found >= value,
    "LIKE": lambda found, value: _pattern(value, 0).fullmatch(str(found)) is not None,
    "ILIKE": lambda found, value: _pattern(value, re.IGNORECASE).fullmatch(str(found)) is not None,
    "IN": lambda found, value: found in value,
    "NOT IN": lambda found, value: found not in value,
}


@lru_cache(maxsize=64)
def _pattern(text: str, flags: int) -> re.Pattern[str]:
    parts = [".*" if sign == "%" else "." if sign == "_" else re.escape(sign) for sign in text]
    return re.compile("".join(parts), flags | re.DOTALL)
