"""Looks at an XGBoost model in UBJSON or JSON before XGBoost does.

The reader below knows what XGBoost writes of Universal Binary JSON (https://ubjson.org, draft 12), with bounds for depth,
lengths and counts: an array is never larger than the bytes that are left for it.
"""

import json
import re
import struct
from typing import Any

import numpy as np

from assay.errors import BadInput

#: What a node without a parent has in its place: the root, and nodes that were pruned.
_NONE = (2**31 - 1, -1)
#: Arrays with one value for each node.
_OF_NODES = (
    *("left_children", "right_children", "parents", "split_indices", "default_left", "split_conditions"),
    *("loss_changes", "sum_hessian"),
)
_LINKS = ("left_children", "right_children", "split_indices", "parents")
MAX_DEPTH, MAX_VALUES = 64, 20_000_000
_NUMBERS = {b"i": "b", b"U": "B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
_TYPES = {b"i": "i1", b"U": "u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
#: How JSON begins; in UBJSON a length follows the brace.
_JSON = re.compile(rb'\{\s*"')
_WORDS = {b"T": True, b"F": False, b"Z": None}


def check_xgboost(data: bytes) -> None:
    """Raise `BadInput` for a file that is no whole XGBoost model in UBJSON or JSON."""
    try:
        model = _from_json(data) if _JSON.match(data) else _Reader(data).whole()
        learner = model["learner"]
        facts = learner["learner_model_param"]
        features, booster = int(facts["num_feature"]), learner["gradient_booster"]
        if not 0 < features < 1 << 31 or not 0 <= int(facts["num_class"]) < 1 << 24:
            raise _damaged("the number of its features or classes is out of range")
        outputs = learner["objective"].get("softmax_multiclass_param", facts)["num_class"]
        if int(outputs) != int(facts["num_class"]):
            raise _damaged("the objective has another number of classes")
        for part in (booster, booster.get("gbtree", {})):  # DART holds a gbtree
            if "model" in part:
                _check_booster(part["model"], features, max(int(facts["num_class"]), 1), facts)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        OverflowError,
        struct.error,
        RecursionError,
    ) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from None


def _from_json(data: bytes) -> Any:
    return json.loads(data, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; a name that occurs twice would be read in one way here and in another by XGBoost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _damaged("a name occurs twice in an object")
    return found


def _damaged(why: str) -> BadInput:
    return BadInput("the file is not an XGBoost model that can be opened", why, do="Save the model again.")


class _Reader:
    """Reads one value from bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._left = MAX_VALUES

    def whole(self) -> Any:
        """The one value that the bytes are."""
        found = self._value(self._take(1), 0)
        if self._at != len(self._data):
            raise _damaged("data follows its end")
        return found

    def _take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self._at:
            raise _damaged(f"it ends at {len(self._data):,} bytes, in the middle of a value")
        self._at += count
        return self._data[self._at - count : self._at]

    def _number(self, mark: bytes) -> Any:
        form = _NUMBERS[mark]
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _count(self) -> int:
        return int(self._number(self._take(1)))

    def _text(self) -> str:
        return self._take(self._count()).decode(errors="replace")

    def _value(self, mark: bytes, depth: int) -> Any:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise _damaged("it is nested too deep, or holds too many values")
        if mark in _WORDS:
            return _WORDS[mark]
        if mark in _NUMBERS:
            return self._number(mark)
        if mark == b"S":
            return self._text()
        if mark == b"[":
            return self._array(depth)
        if mark == b"{":
            return self._object(depth)
        raise _damaged(f"there is no value of the kind {mark!r}")

    def _array(self, depth: int) -> Any:
        mark = self._take(1)
        if mark == b"$":
            kind, sign = self._take(1), self._take(1)
            dtype = np.dtype(_TYPES[kind])
            count = self._count() if sign == b"#" else -1
            return np.frombuffer(self._take(count * dtype.itemsize), dtype)
        if mark == b"#":
            return [self._value(self._take(1), depth + 1) for _ in range(self._count())]
        found: list[Any] = []
        while mark != b"]":
            found.append(self._value(mark, depth + 1))
            mark = self._take(1)
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (mark := self._take(1)) != b"}":
            name = self._take(int(self._number(mark))).decode()
            if name in found:
                raise _damaged(f"{name[:60]!r} occurs twice")
            found[name] = self._value(self._take(1), depth + 1)
        return found


def _check_booster(model: dict[str, Any], features: int, classes: int, facts: dict[str, Any]) -> None:
    if "trees" not in model:  # gblinear: weights of each feature and the bias, for each output
        if len(model["weights"]) != (features + 1) * classes:
            raise _damaged("it has another number of weights than features")
        return
    trees, groups = model["trees"], model["tree_info"]
    outputs = max(classes, int(facts.get("num_target", 1)))
    count = int(model["gbtree_model_param"]["num_trees"])
    if not count == len(trees) == len(groups) or not all(0 <= group < outputs for group in groups):
        raise _damaged("its number of trees is not the declared one, or a tree has no output")
    steps = model.get("iteration_indptr")
    if steps is not None and not (steps[0] == 0 and steps[-1] == count and np.all(np.diff(steps) >= 0)):
        raise _damaged("its iterations are not its trees")
    for tree in trees:
        _check_tree(tree, features, outputs)


def _check_tree(tree: dict[str, Any], features: int, outputs: int) -> None:
    left, right, used, parents = (np.asarray(tree[name], np.int64) for name in _LINKS)
    size = int(tree["tree_param"]["num_nodes"])
    width = int(tree["tree_param"].get("size_leaf_vector", 1) or 1)
    lengths = {
        len(tree[name]) for name in ("left_children", "right_children", "parents", "split_indices", "default_left")
    }
    if size < 1 or lengths != {size} or len(tree["split_conditions"]) != size or not 0 < width <= max(outputs, 1):
        raise _damaged("the number of nodes of a tree is not the declared one")
    if len(tree["base_weights"]) not in (size, size * width):
        raise _damaged("a tree has another number of weights than nodes")
    level, seen = np.array([0]), np.zeros(size, np.int64)
    while len(level):
        np.add.at(seen, level, 1)
        inner = level[left[level] != -1]
        below = np.concatenate([left[inner], right[inner]]).astype(np.int64)
        if np.any(seen > 1) or not _within(below, size) or not _within(used[inner], features):
            raise _damaged("a tree leads to a node or asks for a feature that it does not have")
        if np.any(parents[below] != np.concatenate([inner, inner])):
            raise _damaged("a node of a tree has another parent than the one that leads to it")
        level = below
    if parents[0] not in _NONE or not _within(parents[~np.isin(parents, _NONE)], size):
        raise _damaged("a node of a tree has a parent that is not there")
    _check_categories(tree, size)


def _check_categories(tree: dict[str, Any], size: int) -> None:
    kinds = np.asarray(tree.get("split_type", []))
    nodes, starts, sizes = (
        np.asarray(tree.get(name, []), np.int64)
        for name in ("categories_nodes", "categories_segments", "categories_sizes")
    )
    held = np.asarray(tree.get("categories", []), np.int64)
    fits = len(nodes) == len(starts) == len(sizes) and _within(nodes, size) and len(kinds) in (0, size)
    inside = fits and np.all((starts >= 0) & (sizes >= 0) & (starts + sizes <= len(held)))
    known = set(nodes.tolist())
    asked = [node for node in np.flatnonzero(kinds).tolist() if np.asarray(tree["left_children"])[node] != -1]
    if not inside or not known.issuperset(asked) or not _within(held, 1 << 24):
        raise _damaged("a tree asks for categories that it does not have")


def _within(numbers: Any, count: int) -> bool:
    return bool(np.all((numbers >= 0) & (numbers < count)))
