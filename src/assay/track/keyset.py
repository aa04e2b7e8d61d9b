"""Pages that keep their place: a page begins after the last row of the page before, whatever rows come and go.

The token of a page is base64 of JSON: a digest of the search, and the values that the last row is sorted by. Rows are
sorted by `Term`s, of which the last tells any two rows apart.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, and_, false, or_

from assay.errors import BadInput
from assay.store.schema import Moment

#: Characters of a token, which has the values that the last row is sorted by.
LONGEST_TOKEN = 1_000_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True)
class Term:
    """A value that rows are sorted by."""

    value: ColumnElement[Any]
    descending: bool = False
    #: Rows without the value have the same values before it and none of those with it: a rank comes first.
    nullable: bool = False

    @property
    def clause(self) -> ColumnElement[Any]:
        """What stands in ORDER BY."""
        return self.value.desc() if self.descending else self.value


def after(terms: Sequence[Term], row: Sequence[Any]) -> ColumnElement[bool]:
    """What holds for the rows that come after a row of these values."""
    condition: ColumnElement[bool] = false()
    for term, value in zip(reversed(terms), reversed(row), strict=True):
        if value is None:
            condition = and_(term.value.is_(None), condition)
        else:
            condition = or_(_beyond(term, value), and_(term.value == value, condition))
    if terms and row[0] is not None:  # so that an index of the first value is entered at the right place
        first = terms[0].value
        condition = and_(first <= row[0] if terms[0].descending else first >= row[0], condition)
    return condition


def _beyond(term: Term, value: Any) -> ColumnElement[bool]:
    return term.value < value if term.descending else term.value > value


def token_of(search: Sequence[object], row: Sequence[Any]) -> str:
    """The token of the page that begins after a row. Raises `BadInput` if its values are too long for one."""
    values = [(value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value for value in row]
    token = base64.urlsafe_b64encode(json.dumps([_digest(search, values), *values]).encode()).decode()
    if len(token) > LONGEST_TOKEN:
        raise BadInput("the values to order by are too long for a page token", do="Order by shorter values.")
    return token


def row_of(token: str, search: Sequence[object], terms: Sequence[Term]) -> list[Any]:
    """The values of the row that a page begins after.

    Raises `BadInput` for what is no token, for one that was changed, and for one of another search.
    """
    try:
        if len(token) > LONGEST_TOKEN:
            raise ValueError
        digest, *values = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        row = [_read(term, value) for term, value in zip(terms, values, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise BadInput("the page token can't be read", do="Give the token of the page before, unchanged.") from None
    if digest != _digest(search, values):
        what = "the page token is of another search"
        raise BadInput(what, do="Ask with the filter, the order and the experiments of the page before.")
    return row


def _digest(search: Sequence[object], values: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps([*search, values]).encode()).hexdigest()[:16]


def _read(term: Term, value: object) -> Any:
    kind = term.value.type
    match value:
        case None if term.nullable:
            return None
        case bool():
            raise ValueError
        case int() if isinstance(kind, Moment):
            return _EPOCH + value * _MICROSECOND
        case int() if isinstance(kind, Integer) and -(2**63) <= value < 2**63:
            return value
        case float() if isinstance(kind, Float) and not isnan(value):
            return value
        case str() if not isinstance(kind, Moment | Integer | Float) and "\0" not in value:
            value.encode()  # raises for half of a surrogate pair
            return value
        case _:
            raise ValueError
