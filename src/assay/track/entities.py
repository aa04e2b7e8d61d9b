"""Searches of anything but runs: experiments, models and their versions. One compiler makes SQL for all of them.

An `Entity` says which attributes, tags, params and metrics a thing has, each as an SQL expression. Rows without the
value that is compared are left out; rows without the value that is ordered by come last, both ways.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, false, func, not_, or_

from assay.errors import BadInput
from assay.store.schema import Moment
from assay.track import keyset
from assay.track.compare import compared
from assay.track.filter import Both, Kind, Not, Order, Predicate, Tree, parse, parse_orders
from assay.track.keyset import Term

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_000
Kept = Mapping[Kind, Callable[[str], ColumnElement[Any]]]


@dataclass(frozen=True)
class Attribute:
    """One attribute of a thing, never null: a text, a number or a time, which is compared in milliseconds since 1970."""

    value: ColumnElement[Any]
    is_text: bool = False
    #: What it is ordered by when that is not the value.
    sorted_by: ColumnElement[Any] | None = None
    #: Whether filters may name it; orders may.
    filtered: bool = True


@dataclass(frozen=True)
class Entity:
    """A kind of thing that is searched."""

    #: In the plural, for messages.
    name: str
    attributes: Mapping[str, Attribute]
    #: The value of a tag, param or metric, null for things without it.
    kept: Kept
    #: The same for orders, when it is another one.
    sorted_by: Kept | None = None


@dataclass(frozen=True)
class Search:
    """What is asked for."""

    filter: str
    order_by: Sequence[str]
    #: Decides between equals; its end tells any two things apart.
    last: Sequence[str]
    limit: int
    token: str | None = None
    #: What else tells this search from others, as JSON knows it.
    scope: Sequence[object] = ()


def page(
    connection: Connection, entity: Entity, asked: Select[Any], search: Search
) -> tuple[Sequence[Row[Any]], str | None]:
    """The rows of one page of a query, and the token of the next page; None on the last.

    Raises `BadInput` for a filter, an order or a token that can't be read.
    """
    tree = parse(search.filter, {name for name, one in entity.attributes.items() if one.filtered})
    if tree is not None:
        asked = asked.where(_where(entity, tree))
    terms = _terms(entity, search)
    searched = [entity.name, search.filter.strip(), [*search.order_by], [*search.scope]]
    if search.token:
        asked = asked.where(keyset.after(terms, keyset.row_of(search.token, searched, terms)))
    sorted_by = [term.value.label(f"s{number}") for number, term in enumerate(terms)]
    asked = asked.add_columns(*sorted_by).order_by(*(term.clause for term in terms)).limit(search.limit + 1)
    rows = connection.execute(asked).all()
    if len(rows) <= search.limit:
        return rows, None
    rows = rows[: search.limit]
    return rows, keyset.token_of(searched, rows[-1][-len(terms) :])


def _terms(entity: Entity, search: Search) -> list[Term]:
    orders = parse_orders(search.order_by, entity.attributes.keys())
    if len({(order.kind, order.name) for order in orders}) < len(orders):
        raise BadInput(f"`order_by` contains duplicate fields: {list(search.order_by)}")
    return [
        term
        for order in orders + parse_orders(search.last, entity.attributes.keys())
        for term in _terms_of(entity, order)
    ]


def _terms_of(entity: Entity, order: Order) -> list[Term]:
    if order.kind == "attribute":
        field = entity.attributes[order.name]
        return [Term(field.value if field.sorted_by is None else field.sorted_by, order.descending)]
    value = _kept(entity, entity.sorted_by or entity.kept, order.kind, order.name)
    return [Term(case((value.is_(None), 1), else_=0)), Term(value, order.descending, nullable=True)]


def _kept(entity: Entity, kept: Kept, kind: Kind, name: str) -> ColumnElement[Any]:
    if kind not in kept:
        raise BadInput(f"{entity.name} have no {kind}s")
    return kept[kind](name)


def _where(entity: Entity, tree: Tree) -> ColumnElement[bool]:
    match tree:
        case Not(part):
            return not_(_where(entity, part))
        case Both(word, parts):
            return (and_ if word == "AND" else or_)(*(_where(entity, part) for part in parts))
        case Predicate():
            return _comparison(entity, tree)


def _comparison(entity: Entity, one: Predicate) -> ColumnElement[bool]:
    if one.kind == "attribute":
        field = entity.attributes[one.name]
        _check(one, is_text=field.is_text)
        if isinstance(field.value.type, Moment) and isinstance(one.value, float):
            return _at(field.value, one.operator, one.value)
        return compared(field.value, one.operator, one.value)
    value = _kept(entity, entity.kept, one.kind, one.name)
    _check(one, is_text=one.kind != "metric")
    return func.coalesce(compared(value, one.operator, one.value), false())


def _check(one: Predicate, *, is_text: bool) -> None:
    listed = one.operator in ("LIKE", "ILIKE", "IN", "NOT IN")
    odd = isinstance(one.value, float) or one.operator in ("<", "<=", ">", ">=")
    if odd if is_text else listed or isinstance(one.value, str):
        raise BadInput(f"{one.kind} {one.name} can't be compared by {one.operator} with {one.value!r}")


def _at(moment: ColumnElement[Any], operator: str, value: float) -> ColumnElement[bool]:
    """A comparison of a time in whole milliseconds, of which the column keeps the rest, too."""
    value = min(max(value, _FIRST_MS), _LAST_MS)
    at, after = math.ceil(value), math.floor(value) + 1
    match operator:
        case "<" | ">=":
            return compared(moment, operator, _moment(at))
        case "<=" | ">":
            return compared(moment, "<" if operator == "<=" else ">=", _moment(after))
        case _:
            same = and_(moment >= _moment(at), moment < _moment(after))
            return same if operator == "=" else not_(same)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
