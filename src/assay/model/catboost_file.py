"""Looks at a CatBoost model (.cbm) before CatBoost does.

The file is a head, a core in FlatBuffers, and the tables of its categories. CatBoost verifies that the core is well formed,
not that its trees lead to features and leaves that are there, and the tables not at all. Here both are read and compared.
The layout is that of catboost/libs/model/flatbuffers in CatBoost's source.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput

_HEAD = b"CBM1"
_VERSION = "FlabuffersModel_v1"
_TABLES = "static_provider_v1"
MOST_FEATURES, MOST_OUTPUTS, DEEPEST, MOST_TABLES = 10_000_000, 100_000, 16, 1_000_000
#: So many borders of a feature share one bucket of its binary features.
_IN_BUCKET = 254
#: The kinds of statistics of categories, in the order of the schema.
_BORDERS, _BUCKETS, _MEAN, _FLOAT_MEAN, _COUNTER, _FREQUENCY = range(6)
_EMPTY = 0xFFFFFFFFFFFFFFFF


def check_catboost(data: bytes) -> None:
    """Raise `BadInput` for a file that is no whole CatBoost model of numbers and categories."""
    try:
        core, rest = _core(data)
        if core.text(0) != _VERSION:
            raise _damaged(f"its version is {core.text(0)[:60]!r}")
        trees = core.table(1)
        if trees is None:
            raise _damaged("it holds no trees")
        _Trees(trees).check()
        parts = core.texts(3)
        if parts not in ([], [_TABLES]):
            raise _damaged(f"it holds {', '.join(parts)[:100]}, which is not known here")
        _check_tables(trees, rest, there=bool(parts))
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from None


def categories_of(data: bytes) -> list[int]:
    """The positions of the columns that are categories, in a file that was checked."""
    trees = _core(data)[0].table(1)
    return [one.number("i", 1, -1) for one in trees.tables(4)] if trees else []


def width_of(data: bytes) -> int:
    """How many columns a file that was checked wants."""
    trees = _core(data)[0].table(1)
    columns = [*(one.number("i", 1, -1) for one in trees.tables(4)), *_flat(trees)] if trees else []
    return max(columns, default=-1) + 1


def _damaged(why: str) -> BadInput:
    return BadInput("the file is not a CatBoost model that can be opened", why, do="Save the model again.")


def _core(data: bytes) -> "tuple[_Table, bytes]":
    size, at = _sized(data, len(_HEAD))
    if not data.startswith(_HEAD) or size > len(data) - at:
        raise _damaged("its head is not that of CatBoost, or it was cut")
    return _Table.root(data[at : at + size]), data[at + size :]


def _sized(data: bytes, at: int) -> tuple[int, int]:
    """A length, and where what follows begins."""
    (size,) = struct.unpack_from("<I", data, at)
    if size == 0xFFFFFFFF:
        raise _damaged("a part of it is larger than 4 GiB")
    return size, at + 4


@dataclass(frozen=True)
class _Table:
    """A table of FlatBuffers; each position is looked at before it is read, by `struct` and by numpy."""

    data: bytes
    at: int

    @staticmethod
    def root(data: bytes) -> "_Table":
        return _Table(data, struct.unpack_from("<I", data)[0])

    def _field(self, number: int) -> int:
        """Where a field stands; 0 where the table does not have it."""
        names = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        if names < 0:
            raise ValueError("a table lies outside of the file")
        (size,) = struct.unpack_from("<H", self.data, names)
        place = 4 + 2 * number
        offset = struct.unpack_from("<H", self.data, names + place)[0] if place + 2 <= size else 0
        return self.at + offset if offset else 0

    def number(self, kind: str, field: int, default: Any = 0) -> Any:
        at = self._field(field)
        return struct.unpack_from(f"<{kind}", self.data, at)[0] if at else default

    def _far(self, at: int) -> int:
        return at + struct.unpack_from("<I", self.data, at)[0]

    def table(self, field: int) -> "_Table | None":
        at = self._field(field)
        return _Table(self.data, self._far(at)) if at else None

    def array(self, field: int, dtype: Any) -> Array:
        """A vector of numbers, or of structs of them; empty where there is none."""
        at = self._field(field)
        if not at:
            return np.array([], dtype)
        start = self._far(at)
        (count,) = struct.unpack_from("<I", self.data, start)
        kind = np.dtype(dtype)
        if count * kind.itemsize > len(self.data) - start - 4:
            raise ValueError("an array is longer than the file")
        return np.frombuffer(self.data, kind, count, start + 4)

    def _places(self, field: int) -> list[int]:
        at = self._field(field)
        if not at:
            return []
        start = self._far(at) + 4
        return [self._far(start + 4 * i) for i in range(len(self.array(field, "<u4")))]

    def tables(self, field: int) -> "list[_Table]":
        return [_Table(self.data, at) for at in self._places(field)]

    def text(self, field: int) -> str:
        return bytes(self.array(field, "u1")).decode(errors="replace")

    def texts(self, field: int) -> list[str]:
        found: list[str] = []
        for at in self._places(field):
            (size,) = struct.unpack_from("<I", self.data, at)
            found.append(self.data[at + 4 : at + 4 + size].decode(errors="replace"))
        return found


def _flat(trees: _Table) -> list[int]:
    return [one.number("i", 2, -1) for one in trees.tables(5)]


class _Trees:
    """The trees of a model, and the features that they ask for."""

    def __init__(self, trees: _Table) -> None:
        self._trees = trees
        self._outputs: int = trees.number("i", 0)
        self._splits, self._sizes, self._starts = (trees.array(field, "<i4").astype(np.int64) for field in (1, 2, 3))
        self._leaves = len(trees.array(8, "<f8"))
        self._steps = trees.array(10, [("left", "<u2"), ("right", "<u2")])

    def check(self) -> None:
        """Raise `BadInput` where something leads to nowhere."""
        if not 0 < self._outputs <= MOST_OUTPUTS or len(self._trees.array(16, "<f8")) not in (0, self._outputs):
            raise _damaged("the number of its outputs is out of range")
        if any(self._trees.tables(field) for field in (12, 13, 18)):
            raise _damaged("it reads texts word by word or embeddings, which no feature is")
        self._check_features()
        self._check_splits()
        self._check_leaves()

    def _check_features(self) -> None:
        numbers, categories = self._trees.tables(5), self._trees.tables(4)
        columns: list[int] = []
        for features, field in ((numbers, 1), (categories, 0)):
            order = np.array([one.number("i", field, -1) for one in features], np.int64)
            if not _within(order, MOST_FEATURES) or np.any(np.diff(order) <= 0):
                raise _damaged("its features are not in their order")
            columns += [one.number("i", field + 1, -1) for one in features]
        if not _within(np.array(columns, np.int64), MOST_FEATURES) or len(set(columns)) != len(columns):
            raise _damaged("two of its features are the same column, or a column is out of range")
        used = {one.number("i", 0, -1) for one in categories if one.number("?", 3, default=True)}
        if any(one.number("i", 0, -1) not in used for one in self._trees.tables(6)):
            raise _damaged("it asks for a category that it does not have")

    def _check_splits(self) -> None:
        borders = [len(one.array(field, "<f4")) for place, field in ((5, 3), (6, 1), (7, 1)) for one in self._trees.tables(place)]  # fmt: skip
        repacked = self._trees.array(17, [("feature", "<u2"), ("mask", "u1"), ("split", "u1")])
        most = max(sum(borders), 1 if len(self._steps) else 0)
        if not _within(self._splits, most):
            raise _damaged("a tree asks for a split that the model does not have")
        buckets = sum(-(-count // _IN_BUCKET) for count in borders)
        if len(repacked) and (len(repacked) != len(self._splits) or not _within(repacked["feature"], max(buckets, 1))):
            raise _damaged("its packed splits are not its splits")
        ends = np.cumsum(self._sizes)
        whole = len(self._starts) == len(self._sizes) and np.all(self._sizes >= 0)
        if (
            not whole
            or (ends[-1] if len(ends) else 0) != len(self._splits)
            or np.any(self._starts != ends - self._sizes)
        ):
            raise _damaged("its trees are not as long as declared")

    def _check_leaves(self) -> None:
        weights = len(self._trees.array(9, "<f8"))
        if weights and weights * self._outputs != self._leaves:
            raise _damaged("it has another number of weights than leaves")
        if len(self._steps):
            self._check_steps()
        elif len(self._sizes) and self._sizes.max() > DEEPEST:
            raise _damaged(f"a tree is deeper than {DEEPEST}")
        elif int((1 << self._sizes).sum()) * self._outputs != self._leaves:
            raise _damaged("it has another number of leaves than its trees need")

    def _check_steps(self) -> None:
        """Trees whose branches differ: each node leads forward within its tree, or to a leaf."""
        leaf = self._trees.array(11, "<u4").astype(np.int64)
        if not len(leaf) == len(self._steps) == len(self._splits) or not np.all(self._sizes > 0):
            raise _damaged("it has another number of nodes than splits")
        ends = np.repeat(self._starts + self._sizes, self._sizes)
        here = np.arange(len(leaf))
        last = np.zeros(len(leaf), bool)
        for side in ("left", "right"):
            steps = self._steps[side].astype(np.int64)
            last |= steps == 0
            if np.any(here + steps >= ends):
                raise _damaged("a tree leads to a node that it does not have")
        if np.any(leaf[last] + self._outputs > self._leaves) or np.any(leaf[last] % self._outputs):
            raise _damaged("a tree leads to a leaf that it does not have")


def _check_tables(trees: _Table, data: bytes, *, there: bool) -> None:
    """What is known of combinations of categories: each a hash table and the numbers that it leads to."""
    asked: dict[Any, int] = {}
    for feature in trees.tables(7):
        statistic = _need(feature.table(0))
        key, number = _base(_need(statistic.table(0))), statistic.number("i", 1)
        asked[key] = max(asked.get(key, 0), number) if number >= 0 else MOST_OUTPUTS
    count, at = _sized(data, 0) if there else (0, 0)
    if count > MOST_TABLES:
        raise _damaged(f"it has {count:,} tables")
    for _ in range(count):
        size, at = _sized(data, at)
        if size > len(data) - at:
            raise _damaged("a table was cut")
        _check_table(_Table.root(data[at : at + size]), asked)
        at += size
    if at != len(data):
        raise _damaged("data follows its end")


def _check_table(table: _Table, asked: dict[Any, int]) -> None:
    base = _need(table.table(0))
    kind, classes = base.number("b", 1), table.number("i", 4)
    index, numbers = bytes(table.array(1, "u1")), len(table.array(2, "u1"))
    if kind in (_MEAN, _FLOAT_MEAN):
        width = 8
    elif kind in (_COUNTER, _FREQUENCY):
        width = 4
    elif kind in (_BORDERS, _BUCKETS) and 0 < classes <= MOST_OUTPUTS and asked.get(_base(base), 0) < classes:
        width = 4 * (max(classes, 2) if kind == _BORDERS else classes)
    else:
        raise _damaged("a table of categories has other classes than the model")
    places = len(index) // 12
    found = np.frombuffer(index[: places * 12], [("hash", "<u8"), ("value", "<u4")])
    empty = found["hash"] == _EMPTY
    if not places or places & (places - 1) or places * 12 != len(index) or not empty.any():
        raise _damaged("a table of categories has no place that ends a search")
    if not _within(found["value"][~empty].astype(np.int64), numbers // width):
        raise _damaged("a table of categories leads to numbers that it does not have")


def _base(base: _Table) -> Any:
    """What a statistic is of, for comparison."""
    combined = _need(base.table(0))
    splits = [bytes(combined.array(field, "<i8")) for field in (1, 2)]
    return base.number("b", 1), bytes(combined.array(0, "<i4")), *splits


def _need(table: _Table | None) -> _Table:
    if table is None:
        raise _damaged("a part of a table is missing")
    return table


def _within(numbers: Array, count: int) -> bool:
    return bool(np.all((numbers >= 0) & (numbers < count)))
