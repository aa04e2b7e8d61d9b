"""Columns that tell the label too well: known only afterwards, or the label in other words."""

from collections.abc import Iterator, Mapping

import numpy as np

from assay.contract.columns import Array
from assay.errors import BadInput
from assay.metrics import score
from assay.quality.report import Finding
from assay.quality.sample import Sample

_BINS, _FOLDS = 50, 5
#: Alone a column is suspect from here on; or so much above what all others reach together, and no less than the third.
SUSPECT, ABOVE, LEAST = 0.85, 0.06, 0.68
#: The label itself.
_SAME = 0.999
#: Counts that a category's share of the label is drawn to the mean with.
_SMOOTHING = 10.0


def outcomes(sample: Sample, label: str) -> Array:
    """The label as 0 and 1, NaN where it is missing; numbers are split at their median. Raises `BadInput` when it can't be."""
    if label in sample.codes:
        codes, texts = sample.codes[label]
        if len(texts) != 2:
            raise BadInput(f"the label {label} has {len(texts)} texts", do="Name a label of two values, or a number.")
        return np.where(codes < 0, np.nan, codes).astype(float)
    values = sample.numbers(label)
    known = np.unique(values[~np.isnan(values)])
    if len(known) < 2:
        raise BadInput(f"the label {label} does not have two values", do="Name a label that differs between rows.")
    split = values > (known[0] if len(known) == 2 else np.nanmedian(values))
    return np.where(np.isnan(values), np.nan, split).astype(float)


def leaks(sample: Sample, label: str) -> tuple[list[Finding], dict[str, float]]:
    """The columns that tell too much, and the AUC that each column reaches alone, best first.

    Each column is turned into the share of the label among rows like it (of its bin or category), learnt on four
    fifths of the rows and told of the last; columns are combined by adding their log-odds, as naive Bayes does. A column
    is a leak when it alone predicts far more than all others together.
    """
    y = outcomes(sample, label)
    there = ~np.isnan(y)
    names = [name for name in sample.kinds if name != label and sample.kinds[name] != "other"]
    odds = {name: told(_bins(sample, name)[there], y[there]) for name in names}
    alone = {name: score("auc", y[there], one) for name, one in odds.items()}
    ranked = dict(sorted(alone.items(), key=lambda item: -item[1]))
    suspects = _suspects(ranked, odds, y[there])
    rest = [odds[name] for name in names if name not in suspects]
    without = score("auc", y[there], _together(rest)) if rest else 0.5
    return list(_findings(suspects, ranked, odds, rest, without, y[there], label)), ranked


def _suspects(alone: Mapping[str, float], odds: Mapping[str, Array], y: Array) -> list[str]:
    suspects = {name: None for name, value in alone.items() if value >= SUSPECT}
    left = len(odds) - len(suspects)
    rest = _together([one for name, one in odds.items() if name not in suspects])
    for name, value in alone.items():
        if name in suspects or value < LEAST:
            continue
        if value > (score("auc", y, rest - odds[name]) if left > 1 else 0.5) + ABOVE:
            suspects[name] = None
            left, rest = left - 1, rest - odds[name]
    return list(suspects)


def _findings(
    suspects: list[str],
    alone: Mapping[str, float],
    odds: Mapping[str, Array],
    rest: list[Array],
    without: float,
    y: Array,
    label: str,
) -> Iterator[Finding]:
    others = _together(rest)
    for name in suspects:
        together = score("auc", y, odds[name] + others)
        if alone[name] >= _SAME:
            said = f"{name} tells {label} in every row (AUC {alone[name]:.3f}): it is the label in other words"
        else:
            said = (
                f"{name} alone predicts {label} with AUC {alone[name]:.2f}; all other columns together reach {without:.2f}, "
                f"with it {together:.2f}"
            )
        do = "Check whether it is known at the time of prediction. If it is written afterwards, leave it out."
        yield Finding(kind="leakage", columns=(name,), severity="high", sentence=said, do=do, value=alone[name])


def _together(odds: list[Array]) -> Array:
    return np.sum(odds, axis=0)


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
    """Log-odds of the label among rows of the same code, shape (n,), each told by the other folds of the rows.

    Rare codes are drawn to the mean: Micci-Barreca (2001), A Preprocessing Scheme for High-Cardinality Categorical
    Attributes, SIGKDD Explorations 3.
    """
    size, fold = int(codes.max(initial=0)) + 1, np.arange(len(codes)) % _FOLDS
    found = np.zeros(len(codes))
    for i in range(_FOLDS):
        learnt, asked = fold != i, fold == i
        mean = float(y[learnt].mean()) if learnt.any() else 0.5
        count = np.bincount(codes[learnt], minlength=size)
        yes = np.bincount(codes[learnt], y[learnt], minlength=size)
        part = (yes + _SMOOTHING * mean) / (count + _SMOOTHING)
        part = np.clip(part, 1e-6, 1 - 1e-6)
        base = np.log(np.clip(mean, 1e-6, 1 - 1e-6) / np.clip(1 - mean, 1e-6, 1 - 1e-6))
        found[asked] = (np.log(part / (1 - part)) - base)[codes[asked]]
    return found
