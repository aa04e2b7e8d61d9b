"""Areas under curves: how well the predictions order the rows."""

from collections.abc import Callable

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.metrics.metric import Scored, Scorer
from assay.metrics.outcomes import check_labels

#: Numbers that are in memory at once while a curve is weighed anew.
_AT_ONCE = 8_000_000
#: Steps of a curve that is weighed anew.
_STEPS = 8192


def of_each_class(metric: str, binary: Callable[[Scored], Scorer]) -> Callable[[Scored], Scorer]:
    """A metric of two outcomes; of many classes the mean of each class against the rest."""

    def by_block(rows: Scored) -> Scorer:
        check_labels(metric, rows)
        if rows.predicted.ndim == 1:
            _need_both(metric, rows.label > 0)
            return binary(rows)
        scorers: list[Scorer] = []
        for k in range(rows.predicted.shape[1]):
            label = (rows.label == k).astype(np.float64)
            _need_both(f"{metric} of class {k}", label > 0)
            scorers.append(binary(Scored(label, rows.predicted[:, k], rows.weight, rows.blocks)))
        return lambda weights: np.mean([one(weights) for one in scorers], axis=0)

    return by_block


def _need_both(what: str, positive: Array) -> None:
    if positive.all() or not positive.any():
        raise BadInput(
            f"{what} needs both outcomes among the rows",
            f"all labels are {1 if positive.all() else 0}",
            do="Use a longer holdout.",
        )


def roc_auc(rows: Scored) -> Scorer:
    """Area under the ROC curve: the share of pairs of a positive and a negative ranked right, ties counting half.

    Source: Hanley and McNeil (1982), The meaning and use of the area under a ROC curve, Radiology 143.
    """
    positive = rows.label > 0
    right = _ranked_right(positive, rows)
    ups, downs = rows.sum(positive.astype(float)), rows.sum((~positive).astype(float))

    def value(weights: Array) -> Array:
        pairs = (weights @ ups) * (weights @ downs)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sum(weights @ right * weights, axis=1) / pairs

    return value


def _ranked_right(positive: Array, rows: Scored) -> Array:
    """Entry (i, j): the weight of the pairs of a positive in block i above a negative in block j; ties count half."""
    above, below = (np.lexsort((first, rows.predicted)) for first in (positive, ~positive))
    right = _after(positive, rows, above)
    return right if np.array_equal(above, below) else (right + _after(positive, rows, below)) / 2


def _after(positive: Array, rows: Scored, order: Array) -> Array:
    """Entry (i, j): the weight of the pairs of a positive in block i that comes after a negative in block j.

    The order is cut into short runs: pairs of different runs are one product of matrices, pairs within a run are counted.
    The length of a run makes both parts equally dear.
    """
    size = rows.size
    run = 1 + size // 5
    runs = -(-len(order) // run)
    missing = runs * run - len(order)
    blocks, weight, up = (np.pad(column[order], (0, missing)) for column in (rows.blocks, rows.weight, positive))
    ups, downs = (np.where(kind, weight, 0.0) for kind in (up, ~up))
    found = _across_runs(blocks, ups, downs, run, size)
    blocks, ups, downs = (column.reshape(runs, run) for column in (blocks, ups, downs))
    for gap in range(1, run):
        above, below = ups[:, gap:], downs[:, :-gap]
        pairs = (above != 0) & (below != 0)
        at = blocks[:, gap:][pairs] * size + blocks[:, :-gap][pairs]
        found += np.bincount(at, weights=above[pairs] * below[pairs], minlength=size * size).reshape(size, size)
    return found


def _across_runs(blocks: Array, ups: Array, downs: Array, run: int, size: int) -> Array:
    found, before = np.zeros((size, size)), np.zeros(size)
    step = run * max(1, _AT_ONCE // size)
    for first in range(0, len(blocks), step):
        part = slice(first, first + step)
        at = np.arange(len(blocks[part])) // run * size + blocks[part]
        here = -(-len(blocks[part]) // run) * size
        up, down = (np.bincount(at, weights=column[part], minlength=here).reshape(-1, size) for column in (ups, downs))
        so_far = np.cumsum(down, axis=0)
        found += up.T @ (before + so_far - down)
        before = before + so_far[-1]
    return found


def average_precision(rows: Scored) -> Scorer:
    """Area under the curve of precision over recall, by its steps, without interpolation.

    Rows that all count once are scored by every step. Draws of a bootstrap are scored by 8,192 steps at most, whose rows
    count as ties: the curve is no sum over blocks.
    Source: Zhu (2004), Recall, Precision and Average Precision, University of Waterloo.
    """
    order = np.argsort(-rows.predicted, kind="stable")
    ordered = rows.predicted[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    most = max(1, min(_STEPS, _AT_ONCE // rows.size))
    coarse = ends if len(ends) <= most else ends[np.linspace(0, len(ends) - 1, most).round().astype(np.int64)]
    claimed, hits = _by_step(rows, order, coarse)
    whole = _area(*(np.add.reduceat(each[order], np.append(0, ends[:-1] + 1))[None, :] for each in _weights(rows)))[0]

    def some(weights: Array) -> Array:
        drawn = _area(weights @ claimed, weights @ hits)
        return np.where((weights == 1).all(axis=1), whole, drawn)

    step = max(1, _AT_ONCE // len(coarse))
    return lambda weights: np.concatenate([some(weights[i : i + step]) for i in range(0, len(weights), step)])


def _weights(rows: Scored) -> tuple[Array, Array]:
    return rows.weight, rows.weight * (rows.label > 0)


def _by_step(rows: Scored, order: Array, ends: Array) -> tuple[Array, ...]:
    """The weight of all rows and of the positives, by block and step; each of shape (d, steps)."""
    step = np.repeat(np.arange(len(ends)), np.diff(np.append(-1, ends)))
    at = rows.blocks[order] * len(ends) + step
    shape = (rows.size, len(ends))
    sums = (np.bincount(at, weights=each[order], minlength=shape[0] * shape[1]) for each in _weights(rows))
    return tuple(one.reshape(shape) for one in sums)


def _area(claimed: Array, gained: Array) -> Array:
    """The area from the weights of each step, of shape (b, steps)."""
    hits = np.cumsum(gained, axis=1)
    precision = np.divide(hits, np.cumsum(claimed, axis=1), out=np.zeros_like(hits), where=hits > 0)
    with np.errstate(invalid="ignore"):
        return (gained * precision).sum(axis=1) / hits[:, -1]
