"""Metrics of an order within groups, as the answers to one query."""

from collections.abc import Callable

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.metrics.metric import Scored, Scorer, ratio


def ndcg(metric: str, depth: int | None) -> Callable[[Scored], Scorer]:
    """The mean over groups of the discounted gain of the first `depth` rows, divided by the best possible; 0 without any.

    A label is its gain. Rows of equal predictions share their places. A group counts with the weight of its first row, in the
    block of that row.
    Source: Jarvelin and Kekalainen (2002), Cumulated gain-based evaluation of IR techniques, ACM TOIS 20; ties: McSherry
    and Najork (2008), Computing information retrieval performance measures efficiently in the presence of tied scores, ECIR.
    """

    def by_block(rows: Scored) -> Scorer:
        if rows.group is None:
            raise BadInput(f"{metric} needs groups", do="Name the column whose rows are ranked together.")
        if (rows.label < 0).any():
            raise BadInput(f"{metric} needs labels of 0 or more", f"there is {rows.label.min():g}")
        _, first, group = np.unique(rows.group, return_index=True, return_inverse=True)
        gained = _gain(group, rows.predicted, rows.label, depth)
        best = _gain(group, rows.label, rows.label, depth)
        value = np.divide(gained, best, out=np.zeros(len(best)), where=best > 0)
        weight, blocks = rows.weight[first], rows.blocks[first]
        above, below = (
            np.bincount(blocks, weights=weight * each, minlength=rows.size) for each in (value, np.ones(len(value)))
        )

        return ratio(above, below)

    return by_block


def _gain(group: Array, by: Array, label: Array, depth: int | None) -> Array:
    """The discounted gain of each group when its rows are ordered by `by`, the greatest first."""
    order = np.lexsort((-by, group))
    group, by, label = group[order], by[order], label[order]
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    place = np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))
    discount = 1 / np.log2(place + 2)
    if depth is not None:
        discount = np.where(place < depth, discount, 0.0)
    ties = np.flatnonzero(np.append(True, (group[1:] != group[:-1]) | (by[1:] != by[:-1])))
    lengths = np.diff(np.append(ties, len(group)))
    shared = np.repeat(np.add.reduceat(discount, ties) / lengths, lengths)
    return np.bincount(group, weights=shared * label)
