"""What becomes of predictions that the contract of the output does not allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from sys import float_info
from typing import Any

import numpy as np

from assay.contract import Field
from assay.contract.columns import Array, dtype_of

#: How far a sum of probabilities may lie from 1: those of many classes are rounded to float32.
ROUNDING = 1e-5
#: So many numbers are looked at faster one by one than as an array.
FEW = 16


@dataclass(frozen=True)
class Settled:
    """Predictions of n rows as they are answered."""

    fields: Sequence[Field]
    #: What the model gave, by column, each of shape (n,).
    raw: Mapping[str, Array]
    #: What is answered, clipped where the contract says so.
    values: Mapping[str, Array]
    #: Rows in which a number lay outside of its declared range; bool.
    outside: Array
    #: The rows of `outside` in which it was clipped; bool.
    clipped: Array
    #: Rows that get no prediction; bool.
    refused: Array
    #: The rows that are refused, and those outside of a range, for each field.
    by_field: Mapping[str, Array]
    outside_by_field: Mapping[str, Array]
    #: True when it is known that no row is refused, and none outside.
    all_allowed: bool = False

    def why(self, row: int) -> str:
        """What is wrong with a refused row, in words."""
        field = next(field for field in self.fields if self.by_field[field.name][row])
        value = values_of(field, {name: self.raw[name][row : row + 1] for name in field.columns})[0]
        named = f"{field.name} is {value}, and" if len(self.fields) > 1 else f"{value}"
        if field.classes is not None and isinstance(value, dict):
            return f"the prediction {named} sums to {sum(map(float, value.values())):.6g}, not {field.rule}"
        return f"the prediction {named} is not {field.rule}"

    def rows(self) -> list[dict[str, Any]]:
        """The answered values of each row by field, as JSON has them."""
        names, each = [field.name for field in self.fields], [values_of(field, self.values) for field in self.fields]
        if len(names) == 1:
            return [{names[0]: value} for value in each[0]]
        return [dict(zip(names, row, strict=True)) for row in zip(*each, strict=True)]

    def records(self) -> list[tuple[Any, ...]]:
        """The answered values of each row, one for each column, as the prediction log has them."""
        each = [_plain(field, self.values[name]) for field in self.fields for name in field.columns]
        return list(zip(*each, strict=True))

    def take(self, rows: Array) -> dict[str, Array]:
        """What the model gave at the given positions, with the types of their columns."""
        return {
            name: self.raw[name][rows].astype(dtype_of(field), copy=False)
            for field in self.fields
            for name in field.columns
        }


def settle(fields: Sequence[Field], said: Mapping[str, Array]) -> Settled:
    """Look at predictions by column, and apply `outside=` of the ranges.

    Refused are NaN where the field may not be missing, infinities, numbers that should be whole and are not, classes that
    are not declared, and probabilities that do not sum to 1.

    >>> from assay.contract import between
    >>> late = Field("late", float, range=between(0, 1, outside="clip"))
    >>> settle([late], {"late": np.array([0.5, -0.3, np.nan])}).refused
    array([False, False,  True])
    """
    rows = len(next(iter(said.values())))
    if len(fields) == 1 and _is_allowed(fields[0], said):
        none = np.zeros(rows, dtype=bool)
        by_field = {fields[0].name: none}
        return Settled(fields, said, said, none, none, none, by_field, by_field, all_allowed=True)
    values, by_field, outside_by_field = dict(said), dict[str, Array](), dict[str, Array]()
    outside, clipped = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
    for field in fields:
        refused = _no_values(field, said)
        beyond = np.zeros(rows, dtype=bool)
        for name in field.columns if field.range else ():
            low, high = _ends(field)
            wrong = ~refused & ((said[name] < low) | (said[name] > high))
            beyond |= wrong
            if field.range and field.range.outside == "clip" and wrong.any():
                values[name] = np.where(wrong, np.clip(said[name], low, high), said[name])
        how = field.range.outside if field.range else "allow"
        by_field[field.name] = refused | beyond if how == "refuse" else refused
        outside_by_field[field.name] = beyond
        outside |= beyond
        clipped |= beyond & (how == "clip")
    refused = _any(list(by_field.values()))
    return Settled(fields, said, values, outside, clipped, refused, by_field, outside_by_field)


def _is_allowed(field: Field, said: Mapping[str, Array]) -> bool:
    """Whether a field is a number that may be anything in its range, and all are in it: so it is nearly always."""
    if field.type is not float or field.parts is not None:
        return False
    low, high = _ends(field)
    column = said[field.name]
    if 0 < len(column) <= FEW:  # a request: numpy takes ten times as long for a row
        low, high = max(low, -float_info.max), min(high, float_info.max)
        return all(low <= value <= high for value in column.tolist())
    return bool(len(column) and np.isfinite(column).all() and column.min() >= low and column.max() <= high)


def _ends(field: Field) -> tuple[float, float]:
    low, high = field.bounds
    return -inf if low is None else low, inf if high is None else high


def _no_values(field: Field, said: Mapping[str, Array]) -> Array:
    """Rows whose value is none that the field can have, whatever its range."""
    columns = [said[name] for name in field.columns]
    if field.type is str and field.parts is None:
        return _no_texts(field, columns[0])
    missing = _any([np.isnan(column) for column in columns])
    wrong = _any([np.isinf(column) for column in columns])
    if not field.nullable:
        wrong |= missing
    if field.classes is not None:
        wrong |= np.abs(sum(columns) - 1) > ROUNDING
    elif field.categories is not None or field.type is bool:
        wrong |= ~missing & ~np.isin(columns[0], field.categories or (0, 1))
    elif field.type is int:
        wrong |= ~missing & _any([column != np.trunc(column) for column in columns])
        wrong |= _any([np.abs(column) >= 2.0**63 for column in columns])
    return wrong


def _any(masks: list[Array]) -> Array:
    return masks[0] if len(masks) == 1 else np.logical_or.reduce(masks)


def _no_texts(field: Field, column: Array) -> Array:
    allowed = set(field.categories) if field.categories is not None else None
    return np.array(
        [
            (not field.nullable) if value != value else allowed is not None and value not in allowed
            for value in column.tolist()
        ],
        dtype=bool,
    )


def values_of(field: Field, columns: Mapping[str, Array]) -> list[Any]:
    """The values of a field as JSON has them, None for missing: of probabilities dicts by class, of lists lists."""
    each = [_plain(field, columns[name]) for name in field.columns]
    if field.parts is None:
        return each[0]
    rows = zip(*each, strict=True)
    if field.classes is not None:
        return [dict(zip(field.classes, row, strict=True)) for row in rows]
    return [list(row) for row in rows]


def _plain(field: Field, column: Array) -> list[Any]:
    values: list[Any] = column.tolist()
    if field.parts is None and (field.type is bool or field.categories is not None or field.nullable):
        turn = field.type if field.type in (bool, int) else None
        return [None if one != one else one if turn is None or one % 1 else turn(one) for one in values]
    if field.type is int:
        return [int(one) if one == one and not one % 1 else one for one in values]
    return values
