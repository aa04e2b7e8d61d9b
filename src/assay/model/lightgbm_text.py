"""Looks at a LightGBM model in its text format before LightGBM does.

LightGBM trusts the text: lengths, children, features and categories of a tree are followed in C without a look, so a file
that was cut or changed reads foreign memory or ends the process. Nothing is computed here, only counted and compared.
"""

import re
from collections.abc import Iterable

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput

MOST_CLASSES, MOST_FEATURES = 100_000, 10_000_000
_CATEGORICAL = 1
#: Arrays with one value for each inner node, and with one for each leaf.
_OF_NODES = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
_OF_NODES_MAYBE = ("split_gain", "internal_value", "internal_weight", "internal_count")
_OF_LEAVES_MAYBE = ("leaf_weight", "leaf_count", "leaf_const")
#: LightGBM reads numbers in parallel, where one that it can't read ends the process.
_NUMBER = r"[+-]?(?:nan|inf|(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)"
_NUMBERS = re.compile(rf"(?: *+{_NUMBER}(?= |$))*+ *+")


def check_lightgbm(data: bytes) -> None:
    """Raise `BadInput` for a text that is no whole LightGBM model."""
    try:
        text = data.decode()
        if "\0" in text:
            raise _damaged("it holds a character NUL")
        head, _, _ = text.partition("\n\n")
        facts = _pairs(head)
        if not head.startswith("tree\n"):
            raise _damaged("its first line is not `tree`")
        features = _number(facts, "max_feature_idx", MOST_FEATURES) + 1
        _check_head(facts, features)
        for tree in _trees(data, len(head.encode()) + 2, facts):
            _check_tree(_pairs(tree, every=True), features)
    except (UnicodeDecodeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from None


def objective_of(data: bytes) -> str:
    """The name of the objective in a text that was checked; empty for one of the user's own."""
    return _pairs(data.decode().partition("\n\n")[0]).get("objective", "").partition(" ")[0]


def _damaged(why: str) -> BadInput:
    return BadInput("the file is not a LightGBM model that can be opened", why, do="Save the model again.")


def _pairs(text: str, *, every: bool = False) -> dict[str, str]:
    """Lines `name=value`, with `every` no other lines: LightGBM ends a tree there.

    A name that occurs twice would be read in one way here and in another by LightGBM.
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, sign, value = line.partition("=")
        if every and not (name and sign):
            raise _damaged(f"{line[:60]!r} is not NAME=VALUE")
        if name in found:
            raise _damaged(f"{name[:60]!r} occurs twice")
        found[name] = value
    return found


def _number(facts: dict[str, str], name: str, most: int) -> int:
    value = facts[name]
    if not (value.isascii() and value.isdigit()) or int(value) > most:
        raise _damaged(f"{name} is {value[:60]!r}")
    return int(value)


def _check_head(facts: dict[str, str], features: int) -> None:
    classes = _number(facts, "num_class", MOST_CLASSES)
    if not classes or _number(facts, "num_tree_per_iteration", MOST_CLASSES) != classes:
        raise _damaged("num_class and num_tree_per_iteration differ")
    kind, *options = facts.get("objective", "").split(" ")
    said = [option.removeprefix("num_class:") for option in options if option.startswith("num_class:")]
    if (said or kind.startswith("multiclass")) and said != [str(classes)]:
        raise _damaged("the objective has another number of classes")
    for name in ("feature_names", "feature_infos"):
        if _count(facts[name]) != features:
            raise _damaged(f"{name} are {_count(facts[name]):,}, max_feature_idx is {features:,}")


def _trees(data: bytes, start: int, facts: dict[str, str]) -> Iterable[str]:
    """The text of each tree; LightGBM goes from one to the next by `tree_sizes`."""
    sizes = [int(size) for size in facts["tree_sizes"].split()]
    at = start
    for number, size in enumerate(sizes):
        tree = data[at : at + size]
        if size <= 0 or len(tree) != size or not tree.startswith(b"Tree=%d\n" % number):
            raise _damaged(f"tree {number} is not at the position that tree_sizes gives")
        yield tree.decode().partition("\n\n")[0]
        at += size
    if not data[at:].lstrip().startswith(b"end of trees"):
        raise _damaged("there is no `end of trees` after the last of them")


def _check_tree(tree: dict[str, str], features: int) -> None:
    for name, values in tree.items():
        if not _NUMBERS.fullmatch(values):
            raise _damaged(f"{name[:60]!r} holds something that is not a number")
    leaves = _number(tree, "num_leaves", 1 << 30)
    _need_count(tree, ("leaf_value",), leaves)
    inner = leaves - 1
    if leaves < 1:
        raise _damaged("a tree has no leaf")
    if not inner:  # LightGBM writes one value, and reads nothing else
        return
    _need_count(tree, _OF_NODES, inner)
    _need_count(tree, [name for name in _OF_NODES_MAYBE if tree.get(name)], inner)
    _need_count(tree, [name for name in _OF_LEAVES_MAYBE if tree.get(name)], leaves)
    used, left, right, kinds = (
        _whole(tree[n]) for n in ("split_feature", "left_child", "right_child", "decision_type")
    )
    if not _within(used, features):
        raise _damaged("a tree asks for a feature that the model does not have")
    parents = np.arange(inner)
    for child in (left, right):
        below = child >= 0
        if not (np.all(child[below] > parents[below]) and np.all(child < inner) and np.all(~child[~below] < leaves)):
            raise _damaged("a tree leads to a node that it does not have")
    _check_categories(tree, kinds)
    _check_linear(tree, leaves, features)


def _check_categories(tree: dict[str, str], kinds: Array) -> None:
    count = _number(tree, "num_cat", 1 << 30)
    nodes = np.flatnonzero(kinds & _CATEGORICAL)
    if not count:
        if len(nodes):
            raise _damaged("a tree asks for categories that it does not have")
        return
    bounds, words = _whole(tree["cat_boundaries"]), _count(tree["cat_threshold"])
    thresholds = np.array(tree["threshold"].split(" "))[nodes].astype(np.float64)
    ordered = len(bounds) == count + 1 and bounds[0] == 0 and np.all(np.diff(bounds) >= 0) and bounds[-1] == words
    if not ordered or not np.all((thresholds >= 0) & (thresholds < count)):
        raise _damaged("a tree asks for categories that it does not have")


def _check_linear(tree: dict[str, str], leaves: int, features: int) -> None:
    if tree.get("is_linear", "0") == "0":
        return
    counts = _whole(tree["num_features"])
    used, factors = tree["leaf_features"].split(), tree["leaf_coeff"].split()
    numbers = _whole(" ".join(used)) if used else np.array([], np.int64)
    whole = len(counts) == leaves == _count(tree["leaf_const"]) and np.all(counts >= 0)
    if not whole or counts.sum() != len(used) or len(used) != len(factors) or not _within(numbers, features):
        raise _damaged("the linear leaves of a tree do not fit it")


def _need_count(tree: dict[str, str], names: Iterable[str], count: int) -> None:
    for name in names:
        if _count(tree[name]) != count:
            raise _damaged(f"{name} has {_count(tree[name]):,} values in a tree that needs {count:,}")


def _count(values: str) -> int:
    """So many values stand in a line, each parted from the next by one space."""
    return values.count(" ") + 1 if values else 0


def _whole(values: str) -> Array:
    return np.array(values.split(" "), np.int64)


def _within(numbers: Array, count: int) -> bool:
    return bool(np.all((numbers >= 0) & (numbers < count)))
