"""Looks at the numbers in a loaded scikit-learn estimator that compiled code follows without looking.

scikit-learn predicts in C by indices that stand in the file: children and features of trees, rows of neighbours, support
vectors. An index that points elsewhere reads foreign memory or ends the process (scikit-learn pull request 34558), so
each is checked here once, before the first prediction. What no honest `fit` makes is refused with a sentence.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from assay.errors import BadInput

LEAF = -1
Check = Callable[[Any, Any], bool]


def check_structure(estimator: Any) -> None:
    """Raises `BadInput` for an estimator whose parts do not fit together."""
    from sklearn.base import BaseEstimator

    checks = _checks()
    for owner in _objects(estimator):
        features = getattr(owner, "n_features_in_", None) if isinstance(owner, BaseEstimator) else None
        for kind, (fitted, check) in checks.items():
            if isinstance(owner, kind) and (not fitted or hasattr(owner, fitted)):
                _need(owner, check, features)


def _need(owner: Any, check: Check, features: Any) -> None:
    try:
        fits = check(owner, features)
    except (AttributeError, TypeError, ValueError, IndexError, KeyError, OverflowError):
        fits = False
    if not fits:
        raise BadInput(
            f"the {type(owner).__name__} in the model is damaged: its parts do not fit together",
            do="Fit and save it again; do not use a file that somebody else changed.",
        )


def _objects(root: Any) -> Iterator[Any]:
    """Everything that can be reached from an object, each once."""
    seen: dict[int, Any] = {}
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, str | bytes | int | float | type(None)):
            continue
        seen[id(value)] = value
        yield value
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
        elif isinstance(value, np.ndarray):
            waiting += value.ravel().tolist() if value.dtype == object else []
        else:
            waiting += vars(value).values() if hasattr(value, "__dict__") else []


def _checks() -> dict[type, tuple[str, Check]]:
    """For each class the attribute that a fitted one has, and what must hold then."""
    import scipy.sparse as sp
    from scipy.interpolate import BSpline
    from sklearn.base import BaseEstimator
    from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
    from sklearn.neighbors import BallTree, KDTree
    from sklearn.neighbors._base import NeighborsBase
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    return {
        Tree: ("", _tree),
        BaseEstimator: ("", _without_loose_trees),
        BaseDecisionTree: ("tree_", lambda one, features: one.tree_.n_features == features),
        BaseForest: ("estimators_", lambda one, features: all(x.n_features_in_ == features for x in one.estimators_)),
        BaseGradientBoosting: ("estimators_", _gradient_boosting),
        BaseHistGradientBoosting: ("_predictors", _hist_gradient_boosting),
        TreePredictor: ("", _predictor_tree),
        KDTree: ("", _neighbour_tree),
        BallTree: ("", _neighbour_tree),
        NeighborsBase: ("_fit_X", _neighbours),
        BaseLibSVM: ("support_", _support_vectors),
        CountVectorizer: ("", lambda one, _: one.input == "content"),  # it would open files that data names
        HashingVectorizer: ("", lambda one, _: one.input == "content"),
        KMeans: ("cluster_centers_", _centres),
        MiniBatchKMeans: ("cluster_centers_", _centres),
        BisectingKMeans: ("cluster_centers_", _centres),
        BSpline: ("", lambda one, _: bool(BSpline(one.t, one.c, one.k, one.extrapolate, one.axis).k >= 0)),
        sp.spmatrix: ("", _sparse),
        sp.sparray: ("", _sparse),
        np.random.RandomState: ("", lambda one, _: 0 <= one.get_state()[2] <= 624),
    }


def _without_loose_trees(owner: Any, _: Any) -> bool:
    """A tree stands in its decision tree, which knows how many features a row has."""
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    loose = [name for name, value in vars(owner).items() if isinstance(value, Tree | TreePredictor)]
    return not loose or (loose == ["tree_"] and isinstance(owner, BaseDecisionTree))


def _tree(tree: Any, _: Any) -> bool:
    nodes = tree.__getstate__()["nodes"]
    left, right, feature = nodes["left_child"], nodes["right_child"], nodes["feature"]
    inner = left != LEAF
    return (
        len(nodes) == tree.node_count > 0
        and _lead_down(left[inner], right[inner], np.flatnonzero(inner), len(nodes))
        and bool(np.all((feature[inner] >= 0) & (feature[inner] < tree.n_features)))
        and tree.n_features > 0
        and bool(np.all(tree.n_classes > 0))
        and tree.value.shape == (tree.node_count, tree.n_outputs, tree.max_n_classes)
    )


def _lead_down(left: Any, right: Any, parents: Any, count: int) -> bool:
    """Children come after their parent, as each builder makes them, so no way is a circle."""
    return all(bool(np.all((child > parents) & (child < count))) for child in (left, right))


def _gradient_boosting(model: Any, features: Any) -> bool:
    trees = model.estimators_
    width = 1 if not hasattr(model, "classes_") or len(model.classes_) == 2 else len(model.classes_)
    return (
        trees.ndim == 2
        and trees.shape[1] == width == getattr(model, "n_trees_per_iteration_", width)
        and all(one.n_features_in_ == features and one.tree_.value.shape[1:] == (1, 1) for one in trees.ravel())
    )


def _hist_gradient_boosting(model: Any, features: Any) -> bool:
    bins = model._bin_mapper  # noqa: SLF001
    flags = bins.is_categorical_
    return (
        len(flags) == len(bins.bin_thresholds_) == features
        and all(len(row) == model.n_trees_per_iteration_ for row in model._predictors)  # noqa: SLF001
        and all(
            bool(np.all((values >= 0) & (values <= 255)))
            for values, flag in zip(bins.bin_thresholds_, flags, strict=True)
            if flag
        )
        and all(_uses(tree.nodes, features, flags) for row in model._predictors for tree in row)  # noqa: SLF001
    )


def _uses(nodes: Any, features: int, flags: Any) -> bool:
    inner = nodes[nodes["is_leaf"] == 0]
    used = inner["feature_idx"]
    return bool(np.all((used >= 0) & (used < features))) and bool(
        np.all(flags[used[inner["is_categorical"] != 0]] != 0)
    )


def _predictor_tree(tree: Any, _: Any) -> bool:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    nodes, inner = tree.nodes, tree.nodes["is_leaf"] == 0
    categorical = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    words = (tree.raw_left_cat_bitsets, tree.binned_left_cat_bitsets)
    return (
        nodes.ndim == 1
        and len(nodes) > 0
        and nodes.dtype == np.dtype(PREDICTOR_RECORD_DTYPE)
        and _lead_down(nodes["left"][inner], nodes["right"][inner], np.flatnonzero(inner), len(nodes))
        and all(one.dtype == np.uint32 and one.ndim == 2 and one.shape[1] == 8 for one in words)
        and bool(np.all(categorical < min(map(len, words))))
    )


def _neighbour_tree(tree: Any, _: Any) -> bool:
    data, rows, nodes, bounds, _, _, count = tree.__getstate__()[:7]
    data, rows, nodes, bounds = map(np.asarray, (data, rows, nodes, bounds))
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    start, end = nodes["idx_start"], nodes["idx_end"]
    return (
        data.ndim == 2
        and count == len(nodes) > 0
        and np.array_equal(np.sort(rows), np.arange(len(data)))
        and bounds.ndim == 3
        and bounds.shape[0] in (1, 2)
        and bounds.shape[0] == (2 if "KD" in type(tree).__name__ else 1)
        and bounds.shape[1:] == (count, data.shape[1])
        and bool(np.all((start >= 0) & (start <= end) & (end <= len(data))))
        and bool(np.all(2 * inner + 2 < count))
    )


def _neighbours(model: Any, features: Any) -> bool:
    fitted, tree = model._fit_X, getattr(model, "_tree", None)  # noqa: SLF001
    return fitted.shape[1] == features and (tree is None or np.asarray(tree.__getstate__()[0]).shape == fitted.shape)


def _support_vectors(model: Any, features: Any) -> bool:
    vectors, count = model.support_vectors_, len(model.support_)
    classes = len(model.classes_) if hasattr(model, "classes_") else 2
    pairs = classes * (classes - 1) // 2
    probabilities = {len(model._probA), len(model._probB)}  # noqa: SLF001
    return (
        vectors.shape == ((count, features) if model.kernel != "precomputed" else (0, 0))
        and model.n_support_.sum() == count
        and len(model._n_support) >= classes  # noqa: SLF001
        and bool(np.all(model._n_support >= 0))  # noqa: SLF001
        and model._dual_coef_.shape == model.dual_coef_.shape == (max(classes - 1, 1), count)
        and len(model._intercept_) == len(model.intercept_) == max(pairs, 1)
        and probabilities <= {0, pairs}
        and len(probabilities) == 1
    )


def _centres(model: Any, features: Any) -> bool:
    return model.cluster_centers_.ndim == 2 and model.cluster_centers_.shape[1] == features


def _sparse(matrix: Any, _: Any) -> bool:
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)
        return True
    rows, columns = matrix.coords
    return all(bool(np.all((at >= 0) & (at < size))) for at, size in zip((rows, columns), matrix.shape, strict=True))
