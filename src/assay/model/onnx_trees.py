"""Looks at the tree ensembles of an ONNX model: each way from a root ends in a leaf, and each id names something.

ONNX Runtime goes from a node to its children by recursion, so a tree that is very deep ends the process. A node may have
several parents, as converters write a set of categories as a chain of comparisons that lead to one child; in the form of
`TreeEnsemble`, which ONNX Runtime unfolds, it may not.
Source: https://onnx.ai/onnx/operators/index.html, ai.onnx.ml.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from assay.contract.columns import Array

MAX_NODES, MAX_TARGETS, MAX_FEATURES = 20_000_000, 100_000, 1 << 20
#: ONNX Runtime 1.32 survives 10,000 with a stack of 8 MiB, and 20,000 no more.
MAX_DEPTH = 4_000
OPERATORS = {"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"}
#: Operators that give as many columns as their first input has.
_KEEP_WIDTH = {"Cast", "Identity", "Imputer", "Normalizer", "Scaler"}
_MODES = {b"BRANCH_LEQ", b"BRANCH_LT", b"BRANCH_GTE", b"BRANCH_GT", b"BRANCH_EQ", b"BRANCH_NEQ", b"LEAF"}
_MEMBER = 6
_MOST_ID = (1 << 31) - 1


def faults(graph: Any) -> Iterator[str]:
    """What is wrong with the tree ensembles of a graph, a sentence each; the tensors were looked at before."""
    for node in graph.node:
        if node.op_type in OPERATORS and node.domain == "ai.onnx.ml":
            for why in _faults(node, _width(graph, node)):
                yield f"the trees of {node.name[:100] or node.op_type!r}: {why}"


class _Attributes:
    """The attributes of a node by name."""

    def __init__(self, node: Any) -> None:
        self._by_name = {one.name: one for one in node.attribute}

    def whole(self, name: str) -> Array:
        return np.array(self._by_name[name].ints if name in self._by_name else [], np.int64)

    def number(self, name: str, default: int) -> int:
        return self._by_name[name].i if name in self._by_name else default

    def texts(self, name: str) -> list[bytes]:
        return list(self._by_name[name].strings) if name in self._by_name else []

    def tensor(self, name: str) -> Array:
        from onnx import numpy_helper

        return numpy_helper.to_array(self._by_name[name].t).ravel() if name in self._by_name else np.array([])

    def count(self, name: str) -> int:
        """How many values it has, as a list or as a tensor."""
        if name in self._by_name:
            one = self._by_name[name]
            return math.prod(one.t.dims) if one.HasField("t") else max(len(one.ints), len(one.floats), len(one.strings))
        return 0

    def floats(self, name: str) -> int:
        """How many numbers it has in either form; one that stands in both fits nothing."""
        return self.count(name) + self.count(f"{name}_as_tensor")


def _width(graph: Any, node: Any) -> int:
    """How many columns the node's input has; the most that is allowed where the model does not say."""
    made = {name: one for one in graph.node for name in one.output}
    name = node.input[0] if node.input else ""
    for _ in range(len(graph.node)):
        before = made.get(name)
        if before is None or before.op_type not in _KEEP_WIDTH or not before.input:
            break
        name = before.input[0]
    for one in graph.input:
        shape = one.type.tensor_type.shape.dim
        if one.name == name and len(shape) == 2 and shape[1].HasField("dim_value"):
            return min(shape[1].dim_value, MAX_FEATURES)
    return MAX_FEATURES


def _faults(node: Any, width: int) -> Iterator[str]:
    names = [one.name for one in node.attribute]
    if len(names) != len(set(names)) or any(one.ref_attr_name for one in node.attribute):
        yield "an attribute stands twice, or in another place"
    elif node.op_type == "TreeEnsemble":
        yield from _v5_faults(_Attributes(node), width)
    else:
        found = list(_v3_faults(_Attributes(node), width))
        yield from found or _weight_faults(_Attributes(node), node.op_type)


def _v3_faults(a: _Attributes, width: int) -> Iterator[str]:
    """The form of `TreeEnsembleClassifier` and `TreeEnsembleRegressor`: children are named by tree and node."""
    modes, trees, ids = a.texts("nodes_modes"), a.whole("nodes_treeids"), a.whole("nodes_nodeids")
    features, true, false = (a.whole(f"nodes_{name}") for name in ("featureids", "truenodeids", "falsenodeids"))
    lengths = {len(one) for one in (modes, trees, ids, features, true, false)} | {a.floats("nodes_values")}
    optional = {a.floats("nodes_hitrates"), a.count("nodes_missing_value_tracks_true")}
    if len(lengths) > 1 or not optional <= lengths | {0}:
        yield "the arrays of its nodes differ in length"
        return
    if not 0 < len(ids) <= MAX_NODES:
        yield f"it has {len(ids):,} nodes, and may have 1 to {MAX_NODES:,}"
        return
    if not set(modes) <= _MODES:
        yield "a node has a mode that ONNX does not know"
        return
    inner = np.flatnonzero(np.array(modes) != b"LEAF")
    places = _Places(trees, ids)
    if not places.unique:
        yield "a node stands twice, or has an id that is out of range"
        return
    yield from _feature_faults(features[inner], width)
    children = [places.of(trees[inner], one[inner]) for one in (true, false)]
    yield from _tree_faults(len(ids), inner, children)


def _weight_faults(a: _Attributes, operator: str) -> Iterator[str]:
    kind = "class" if operator == "TreeEnsembleClassifier" else "target"
    labels = max(a.count("classlabels_int64s"), a.count("classlabels_strings"))
    most = labels if kind == "class" else a.number("n_targets", 1)
    targets, trees, ids = (a.whole(f"{kind}_{name}") for name in ("ids", "treeids", "nodeids"))
    if {len(targets), len(trees), len(ids)} != {a.floats(f"{kind}_weights")}:
        yield f"the arrays of its {kind} weights differ in length"
        return
    if not 0 < most <= MAX_TARGETS:
        yield f"it has {most:,} outputs, and may have 1 to {MAX_TARGETS:,}"
    if not _within(targets, most):
        yield f"a weight is for a {kind} that it does not have"
    if np.any(_Places(a.whole("nodes_treeids"), a.whole("nodes_nodeids")).of(trees, ids) < 0):
        yield "a weight is for a node that it does not have"
    if a.floats("base_values") > max(most, 2):  # of two classes one may be meant
        yield "it has more base values than outputs"


def _v5_faults(a: _Attributes, width: int) -> Iterator[str]:
    """The form of `TreeEnsemble`: children are indices of nodes or of leaves."""
    features, roots, leaf_targets = (a.whole(name) for name in ("nodes_featureids", "tree_roots", "leaf_targetids"))
    true, false = (a.whole(f"nodes_{name}nodeids") for name in ("true", "false"))
    at_leaf = [a.whole(f"nodes_{name}leafs") for name in ("true", "false")]
    count, leaves, modes = len(features), len(leaf_targets), a.tensor("nodes_modes")
    lengths = {len(one) for one in (true, false, *at_leaf, modes)} | {a.count("nodes_splits")}
    optional = {a.count("nodes_hitrates"), a.count("nodes_missing_value_tracks_true")}
    if lengths != {count} or not optional <= {0, count} or a.count("leaf_weights") != leaves:
        yield "the arrays of its nodes or of its leaves differ in length"
        return
    if not (0 < count <= MAX_NODES and 0 < leaves <= MAX_NODES and len(roots)):
        yield f"it has {count:,} nodes and {leaves:,} leaves, and may have 1 to {MAX_NODES:,} of each"
        return
    yield from _feature_faults(features, width)
    targets = a.number("n_targets", 1)
    if not 0 < targets <= MAX_TARGETS or not _within(leaf_targets, targets):
        yield "a leaf is for a target that it does not have"
    yield from _member_faults(a, modes)
    below = [np.where(leaf != 0, -1, child) for leaf, child in zip(at_leaf, (true, false), strict=True)]
    ends = [child[leaf != 0] for leaf, child in zip(at_leaf, (true, false), strict=True)]
    inner = [child[leaf == 0] for leaf, child in zip(at_leaf, (true, false), strict=True)]
    if not _within(np.concatenate([*inner, roots]), count) or not _within(np.concatenate(ends), leaves):
        yield "a node leads to one that it does not have"
    elif np.any(np.bincount(np.concatenate([*inner, roots]), minlength=count) > 1):
        yield "a node has several parents"
    else:
        yield from _tree_faults(count, np.arange(count), below, ends_at=-1)


def _member_faults(a: _Attributes, modes: Array) -> Iterator[str]:
    """Sets are written one after the other, each with NaN after it; ONNX Runtime makes a comparison of each value."""
    sets = int(np.count_nonzero(modes == _MEMBER))
    values = a.tensor("membership_values")
    ends = np.flatnonzero(np.isnan(values.astype(np.float64)))
    if np.any(modes > _MEMBER) or len(ends) != sets or (sets and ends[-1] != len(values) - 1):
        yield "its sets of values are not those of its nodes"
    elif len(values) > MAX_DEPTH:
        yield f"its sets hold more than {MAX_DEPTH:,} values"


def _feature_faults(features: Array, width: int) -> Iterator[str]:
    if not _within(features, width):
        yield f"a node asks for a column beyond the {width:,} that there are"


def _within(ids: Array, count: int) -> bool:
    return bool(np.all((ids >= 0) & (ids < count)))


class _Places:
    """Where the node of a tree stands, by the ids of both."""

    def __init__(self, trees: Array, ids: Array) -> None:
        self._trees = np.unique(trees)
        keys = self._keys(trees, ids)
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]
        self.unique = bool(np.all(keys >= 0) and np.all(np.diff(self._sorted) > 0))

    def _keys(self, trees: Array, ids: Array) -> Array:
        tree = np.minimum(np.searchsorted(self._trees, trees), max(len(self._trees) - 1, 0))
        known = (self._trees[tree] == trees) & (ids >= 0) & (ids <= _MOST_ID)
        return np.where(known, tree << 31 | np.where(known, ids, 0), -1)

    def of(self, trees: Array, ids: Array) -> Array:
        """Indices; -1 where there is no such node."""
        keys = self._keys(trees, ids)
        at = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return np.where(self._sorted[at] == keys, self._order[at], -1)


def _tree_faults(count: int, parents: Array, children: list[Array], ends_at: int | None = None) -> Iterator[str]:
    """Take nodes away from the roots down, a level at a time: what stays is a circle."""
    table = np.full((count, 2), -1, np.int64)
    for side, child in enumerate(children):
        table[parents, side] = child
    if ends_at is None and np.any(table[parents] < 0):
        yield "a node leads to one that its tree does not have"
        return
    waiting = np.bincount(table[table >= 0], minlength=count)
    level, gone, depth = np.flatnonzero(waiting == 0), 0, 0
    while len(level) and depth <= MAX_DEPTH:
        gone, depth = gone + len(level), depth + 1
        below = table[level]
        reached, times = np.unique(below[below >= 0], return_counts=True)
        waiting[reached] -= times
        level = reached[waiting[reached] == 0]
    if depth > MAX_DEPTH:
        yield f"a tree is deeper than {MAX_DEPTH:,} nodes"
    elif gone < count:
        yield "a tree leads back to a node that comes before"
