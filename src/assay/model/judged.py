"""Which fields of a prediction a metric judges, and its value for them."""

from collections.abc import Mapping, Sequence

import numpy as np

from assay.contract import Field
from assay.contract.columns import Array
from assay.errors import BadInput, near_miss
from assay.metrics import Metric, Scorer, scorer
from assay.model.truth import Truth

#: Of quantiles, the one that errors of numbers judge.
MEDIAN = 0.5
_WANTS = {
    "number": "a number",
    "ranking": "a number",
    "outcome": "the probability of an outcome",
    "decision": "an outcome",
}


def judged(fields: Sequence[Field], targets: Mapping[str, str], metric: Metric) -> list[Field]:
    """The fields that a metric judges, one of each label that it suits. `targets` has the label of each field.

    Of the fields of a label, a metric of outcomes takes their probabilities, a metric of decisions what was chosen, a
    metric of numbers the one number or the median; `pinball@0.9` takes the quantile of that level.
    Raises `BadInput` when none suits, when several do, and for a field that is not there.
    """
    if metric.field:
        return [_named(fields, metric)]
    found = [_of_label([field for field in fields if targets[field.name] == label], metric)
             for label in dict.fromkeys(targets.values())]  # fmt: skip
    chosen = [field for field in found if field]
    if not chosen:
        raise BadInput(
            f"{metric.name} judges {_WANTS[metric.task]}, and the prediction has none",
            f"it has {'; '.join(f'{field.name}: {field.rule}' for field in fields)}"[:300],
            do="Declare such a field, or use another metric.",
        )
    return chosen


def _named(fields: Sequence[Field], metric: Metric) -> Field:
    names = [field.name for field in fields]
    if metric.field not in names:
        raise BadInput(
            f"{metric.name}: the prediction has no field {metric.field!r}",
            near_miss(metric.field, names) or f"it has {', '.join(names)}",
        )
    field = fields[names.index(metric.field)]
    if _rank(field, metric) is None and not (metric.task == "number" and field.level):
        raise BadInput(
            f"{metric.name} judges {_WANTS[metric.task]}", f"{field.name} is {field.rule}", do="Use another metric."
        )
    return field


def _of_label(fields: Sequence[Field], metric: Metric) -> Field | None:
    ranked = [(rank, field) for field in fields if (rank := _rank(field, metric)) is not None]
    best = [field for rank, field in ranked if rank == min(rank for rank, _ in ranked)]
    if len(best) > 1:
        named = " or ".join(f"{field.name}.{metric.name}" for field in best)
        raise BadInput(f"{metric.name} could judge {' or '.join(field.name for field in best)}", do=f"Write {named}.")
    return best[0] if best else None


def _rank(field: Field, metric: Metric) -> int | None:
    """The place of a field among those of its label, the best first; None for one that does not suit."""
    chosen = field.categories is not None or field.type in (str, bool)
    number = not chosen and field.classes is None and field.of is None
    if metric.task in ("number", "ranking"):
        return 0 if number and _is_level(field, metric) and (metric.task == "number" or not field.length) else None
    if field.level is not None or field.length is not None:
        return None
    if chosen:
        return 0 if metric.task == "decision" and "@" not in metric.name else None
    return 1 if field.classes is not None else 2 if field.of is not None else 3 if field.type is float else None


def _is_level(field: Field, metric: Metric) -> bool:
    kind, _, level = metric.name.partition("@")
    if kind == "pinball" and field.level is not None:
        return float(level) == field.level
    return field.level in (None, MEDIAN)


def scorer_of(
    fields: Sequence[Field],
    targets: Mapping[str, str],
    metric: Metric,
    truth: Truth,
    said: Mapping[str, Array],
    blocks: Array,
) -> Scorer:
    """The scorer of a metric, the mean over the labels that it judges; `said` are predictions by column of shape (n,).

    Raises `BadInput` as `judged` and `assay.metrics.scorer` do.
    """
    each = [
        _scorer(field, targets[field.name], metric, truth, said, blocks) for field in judged(fields, targets, metric)
    ]
    return each[0] if len(each) == 1 else lambda weights: np.mean([one(weights) for one in each], axis=0)


def score_of(
    fields: Sequence[Field], targets: Mapping[str, str], metric: Metric, truth: Truth, said: Mapping[str, Array]
) -> float:
    """The value of a metric over all rows; raises as `scorer_of` does."""
    blocks = np.zeros(len(truth), dtype=np.int64)
    return float(scorer_of(fields, targets, metric, truth, said, blocks)(np.ones((1, 1)))[0])


def _scorer(field: Field, label: str, metric: Metric, truth: Truth, said: Mapping[str, Array], blocks: Array) -> Scorer:
    happened, predicted = _compared(field, truth.labels[label], said)
    weight, group = truth.weight, truth.group
    if field.length:  # each number of a list counts like a row
        blocks, weight = np.repeat(blocks, field.length), None if weight is None else np.repeat(weight, field.length)
    return scorer(metric, happened, predicted, blocks, weight, group)


def _compared(field: Field, label: Array, said: Mapping[str, Array]) -> tuple[Array, Array]:
    """What happened and what was predicted, as metrics take them."""
    columns = [said[name] for name in field.columns]
    if field.classes is not None:
        return positions(label, field.classes), np.column_stack(columns)
    if field.length:
        return label.reshape(-1), np.column_stack(columns).reshape(-1)
    (column,) = columns
    if field.of is not None:
        return np.array([value == field.of for value in label.tolist()], np.float64), column
    if field.categories is not None or field.type is str:
        classes = field.categories or sorted({*label.tolist(), *column.tolist()})
        return positions(label, classes), positions(column, classes)[:, None] == np.arange(len(classes))
    if label.dtype.kind == "T":
        raise BadInput(f"{field.name} is {field.rule}, and its label is a text", do="Judge another field.")
    return label, column.astype(np.float64)


def positions(values: Array, classes: Sequence[str | int]) -> Array:
    """The position of each value among the classes, float64; NaN for one that is none of them."""
    where = {value: float(i) for i, value in enumerate(classes)}
    return np.array([where.get(value, np.nan) for value in values.tolist()])
