"""Columns that tell the label too well: known only afterwards, or the label in other words."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.quality.correlation import mean_ranks
from assay.quality.report import Finding
from assay.quality.sample import Sample
from assay.tables.view import TIMES

_BINS, _FOLDS = 50, 5
#: Alone a column is suspect from here on; or so much above what all others reach together, and no less than the third.
SUSPECT, ABOVE, LEAST = 0.85, 0.06, 0.68
#: A leak leaves at most this part of the error, 1 - AUC, that all other columns together leave.
LEFT = 0.4
#: The label itself.
_SAME = 0.999
#: Counts that a category's share of the label is drawn to the mean with.
_SMOOTHING = 10.0
#: The most frequent classes, which are looked at one by one; whole numbers of so few values are classes too.
CLASSES = 10
#: How seldom a table without a leak may be said to have one by chance.
_BY_CHANCE = 0.01


@dataclass(frozen=True)
class Leaks:
    """The columns that tell too much; the AUC that each column reaches alone, best first, and that all others reach together."""

    findings: list[Finding]
    alone: dict[str, float]
    together: float | None


def outcomes(sample: Sample, label: str) -> Array:
    """The label as 0 and 1, shape (rows, outcomes), NaN where it is missing.

    Two values are one outcome, classes are one outcome each, and a number is split at its median. Raises `BadInput`
    when it can't be.
    """
    if label in sample.codes:
        codes, texts = sample.codes[label]
        _need_classes(label, codes, len(texts))
        values, known = np.where(codes < 0, np.nan, codes).astype(float), np.arange(len(texts))
    else:
        values = sample.numbers(label)
        known = np.unique(values[~np.isnan(values)])
        if len(known) < 2:
            raise BadInput(f"the label {label} does not have two values", do="Name a label that differs between rows.")
        if len(known) > CLASSES or (known % 1).any():
            return np.where(np.isnan(values), np.nan, values > np.nanmedian(values))[:, None].astype(float)
    if len(known) == 2:
        known = known[1:]
    count = np.array([(values == one).sum() for one in known])
    often = known[np.argsort(-count, kind="stable")[:CLASSES]]
    return np.where(np.isnan(values)[:, None], np.nan, values[:, None] == often)


def _need_classes(label: str, codes: Array, texts: int) -> None:
    known = int((codes >= 0).sum())
    if texts < 2:
        raise BadInput(f"the label {label} does not have two values", do="Name a label that differs between rows.")
    if texts > max(known / 2, 2):
        raise BadInput(
            f"the label {label} has {texts:,} texts in {known:,} rows", do="Name a label of classes, or a number."
        )


def leaks(sample: Sample, label: str) -> Leaks:
    """The columns that tell too much, and how much each column tells.

    Each column is turned into the share of the label among rows like it (of its bin or category), learnt on four
    fifths of the rows and told of the last; columns are combined by adding their log-odds, as naive Bayes does. A column
    is a leak when it alone predicts far more than all others together. Of several classes the AUC is the mean of each
    class against the rest, weighted by its rows.
    """
    y = outcomes(sample, label)
    there = ~np.isnan(y[:, 0])
    y = y[there]
    names = [name for name in sample.kinds if name != label and sample.kinds[name] != "other"]
    odds = {name: told(_bins(sample, name)[there], y) for name in names}
    alone = {name: _auc(y, one) for name, one in odds.items()}
    ranked = dict(sorted(alone.items(), key=lambda item: -item[1]))
    suspects = _suspects(ranked, odds, y)
    rest = [name for name in names if name not in suspects]
    together = _reached(y, np.sum([odds[name] for name in rest], axis=0), [alone[name] for name in rest])
    doubt = NormalDist().inv_cdf(1 - _BY_CHANCE / max(len(names), 1))
    found = [
        finding
        for name in suspects
        for finding in _finding(
            name, ranked[name], together, doubt * _error(ranked[name], y), label, trend=_trend(sample, name)
        )
    ]
    return Leaks(found, ranked, together)


def _reached(y: Array, odds: Array, alone: list[float]) -> float:
    """What columns reach together; no less than the best of them, because columns that tell nothing disturb a sum."""
    return max(_auc(y, odds), *alone) if alone else 0.5


def _suspects(alone: Mapping[str, float], odds: Mapping[str, Array], y: Array) -> list[str]:
    suspects = {name: None for name, value in alone.items() if value >= SUSPECT}
    left = len(odds) - len(suspects)
    rest = np.sum([one for name, one in odds.items() if name not in suspects], axis=0)
    for name, value in alone.items():
        if name in suspects or value < LEAST or 2 * (len(suspects) + 1) > len(odds):
            continue  # what half of the columns tell is no secret
        if value > (_auc(y, rest - odds[name]) if left > 1 else 0.5) + ABOVE:
            suspects[name] = None
            left, rest = left - 1, rest - odds[name]
    return list(suspects)


def _finding(name: str, value: float, others: float, doubt: float, label: str, *, trend: bool) -> Iterator[Finding]:
    clearly = 1 - value <= LEFT * (1 - others)
    if value - doubt <= others or not (clearly or value > others + ABOVE):
        return
    if value >= _SAME:
        said = f"{name} tells {label} in every row (AUC {value:.3f}): it is the label in other words"
    else:
        said = f"{name} alone predicts {label} with AUC {value:.2f}; all other columns together reach {others:.2f}"
    yield Finding(
        kind="leakage",
        columns=(name,),
        severity="high" if clearly and not trend else "medium",
        sentence=said,
        do="Check whether it is known at the time of prediction. If it is written afterwards, leave it out.",
        value=value,
        figure=f"{value:.2f}",
    )


def _trend(sample: Sample, name: str) -> bool:
    """A time that every row has: what it tells is that the label changes with time."""
    return sample.kinds[name] in TIMES and not sample.table[name].null_count


def _auc(y: Array, odds: Array) -> float:
    """The mean of the AUC of each outcome, weighted by its rows; 0.5 where one has no two values."""
    if not odds.shape:
        return 0.5
    each, weights = [_auc_of(y[:, i] > 0, odds[:, i]) for i in range(y.shape[1])], y.sum(0)
    return float(np.average(each, weights=weights)) if weights.sum() else 0.5


def _auc_of(positive: Array, scores: Array) -> float:
    """The share of pairs ranked right, ties counting half, from ranks: Mann and Whitney (1947)."""
    ups = int(positive.sum())
    pairs = ups * (len(positive) - ups)
    return float((mean_ranks(scores)[positive].sum() - ups * (ups - 1) / 2) / pairs) if pairs else 0.5


def _error(auc: float, y: Array) -> float:
    """The standard error of an AUC, that of the largest class where there are several.

    Source: Hanley and McNeil (1982), The meaning and use of the area under a ROC curve, Radiology 143, equation 1.
    """
    ups = float(y.sum(0).max())
    downs = len(y) - ups
    if not ups or not downs:
        return math.inf
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (ups - 1) * (first - auc**2) + (downs - 1) * (second - auc**2)
    return math.sqrt(max(spread, 0) / (ups * downs))


def _bins(sample: Sample, name: str) -> Array:
    """Codes of shape (n,) from 0; a missing value has one of its own."""
    if name in sample.codes:
        return sample.codes[name][0] + 1
    values = sample.numbers(name)
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return np.zeros(len(values), np.int64)
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, "right") + 1)


def told(codes: Array, y: Array) -> Array:
    """Log-odds of each outcome among rows of the same code, shape of y (n, outcomes), told by the other folds of the rows.

    Rare codes are drawn to the mean: Micci-Barreca (2001), A Preprocessing Scheme for High-Cardinality Categorical
    Attributes, SIGKDD Explorations 3.
    """
    size, fold = int(codes.max(initial=0)) + 1, np.arange(len(codes)) % _FOLDS
    found = np.zeros(y.shape)
    for i in range(_FOLDS):
        learnt, asked = fold != i, fold == i
        known = codes[learnt]
        count = np.bincount(known, minlength=size)
        for k in range(y.shape[1]):
            mean = float(y[learnt, k].mean()) if len(known) else 0.5
            yes = np.bincount(known, y[learnt, k], minlength=size)
            part = np.clip((yes + _SMOOTHING * mean) / (count + _SMOOTHING), 1e-6, 1 - 1e-6)
            base = np.log(np.clip(mean, 1e-6, 1 - 1e-6) / np.clip(1 - mean, 1e-6, 1 - 1e-6))
            found[asked, k] = (np.log(part / (1 - part)) - base)[codes[asked]]
    return found
