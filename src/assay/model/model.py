"""The declaration of a model: what it takes and gives, its features and how it is fitted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import Any

from assay.contract import Field, Record, fields
from assay.errors import BadInput, first_few, near_miss
from assay.metrics import Metric, find
from assay.model.judged import judged
from assay.model.own import Estimator
from assay.predictions import check_model_name


@dataclass(frozen=True)
class Model:
    """A model by its name and declaration; raises `BadInput` for a declaration that can't work."""

    name: str
    _: KW_ONLY
    #: The contract of the input.
    takes: type[Record]
    #: The contract of the prediction.
    gives: type[Record]
    #: The column of the training table that holds what really happened; several columns, one for each field of the prediction
    #: in order; or the column of each field by its name.
    label: str | Sequence[str] | Mapping[str, str]
    #: From columns of shape (n,) to named feature columns of shape (n,); called with a million rows or with one. Its
    #: annotation may ask for a frame of pandas, polars, pyarrow or narwhals, and it may give one.
    features: Callable[..., Any]
    #: From features and labels, in the form that its annotations ask, and keyword parameters to a fitted estimator, or to
    #: one for each field of the prediction by its name.
    fit: Callable[..., Any]
    #: From the columns of the training rows to what features need of all of them, like a mean: `features(d, learnt)` gets
    #: it in training and in serving. A dict of numbers, texts, lists and dicts of these.
    learn: Callable[[Any], Mapping[str, Any]] | None = None
    #: How what `fit` gives is kept, where it is of no library that Assay knows.
    estimator: Estimator | None = None
    #: What to compute on a holdout: names as in `assay.metrics`, or metrics of your own.
    metrics: Sequence[str | Metric] = ("auc",)
    #: The user's table, as `assay.read` takes it, relative to the project: what `assay skew` compares with.
    table: str | PathLike[str] | None = None
    #: The column that says how much a row counts, in `fit` and in metrics.
    weight: str | None = None
    #: The column that says which rows are ranked together.
    group: str | None = None

    def __post_init__(self) -> None:
        check_model_name(self.name)
        _refuse_input(self)
        _refuse_output(self)
        _refuse_labels(self)
        for metric in self.measures.values():
            if metric.task == "ranking" and self.group is None:
                raise BadInput(
                    f"{self.name}: {metric.name} judges an order within groups, and the model has none",
                    do='Name the column of the groups: Model(group="query"), or leave the metric out.',
                )
            judged(fields(self.gives), self.targets, metric)

    @property
    def measures(self) -> dict[str, Metric]:
        """The metrics by name."""
        found = [find(metric) if isinstance(metric, str) else metric for metric in self.metrics]
        return {metric.name: metric for metric in found}

    @property
    def targets(self) -> dict[str, str]:
        """The column of the label of each field of the prediction."""
        if isinstance(self.label, Mapping):
            return dict(self.label)
        names = [field.name for field in fields(self.gives)]
        columns = [self.label] * len(names) if isinstance(self.label, str) else list(self.label)
        return dict(zip(names, columns, strict=False))

    @property
    def labels(self) -> list[str]:
        """The columns of the labels, each once, in declared order."""
        if isinstance(self.label, str):
            return [self.label]
        return list(dict.fromkeys(self.label.values() if isinstance(self.label, Mapping) else self.label))

    def fields_of(self, label: str) -> list[Field]:
        """The fields of the prediction that speak of one label, in declared order."""
        return [field for field in fields(self.gives) if self.targets[field.name] == label]


def _refuse_input(model: Model) -> None:
    for field in fields(model.takes):
        if field.range and field.range.outside != "refuse":
            raise BadInput(
                f"{model.name}: {model.takes.__name__}.{field.name} is an input, and outside= is for the output",
                do="Remove it: a request outside of its contract is refused.",
            )
        if field.is_for_output:
            raise BadInput(
                f"{model.name}: {model.takes.__name__}.{field.name} is an input, and {field.rule} is for the output",
                do="Declare single values.",
            )
        if field.name in model.labels:
            raise BadInput(
                f"{model.name}: the label {field.name!r} is also an input",
                do=f"Remove it from {model.takes.__name__}.",
            )


def _refuse_output(model: Model) -> None:
    name = model.gives.__name__
    if not fields(model.gives):
        raise BadInput(f"{model.name}: {name} has no field", do="Declare what the model predicts.")
    for field in fields(model.gives):
        if field.role or field.type not in (float, int, bool, str):
            raise BadInput(
                f"{model.name}: {name}.{field.name} can't be predicted",
                do="Predict numbers, true or false, texts, Literal, assay.Probabilities or lists of numbers.",
            )
    columns = [column for field in fields(model.gives) for column in field.columns]
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise BadInput(
            f"{model.name}: two fields of {name} would be the column {twice[0]} of the prediction log",
            do="Give one of them another name.",
        )


def _refuse_labels(model: Model) -> None:
    names = [field.name for field in fields(model.gives)]
    unknown = [name for name in model.label if name not in names] if isinstance(model.label, Mapping) else []
    if unknown:
        raise BadInput(f"{model.name}: label= names {unknown[0]!r}, which {model.gives.__name__} has not",
                       near_miss(unknown[0], names))  # fmt: skip
    if not isinstance(model.label, str | Mapping) and len(model.label) != len(names):
        raise BadInput(
            f"{model.name}: {len(model.label)} labels for {len(names)} fields of {model.gives.__name__}",
            do='Name the label of each field: label={"field": "column"}.',
        )
    if missing := [name for name in names if name not in model.targets]:
        raise BadInput(
            f"{model.name}: label= names no column for {', '.join(missing)}", do="Name the label of every field."
        )
    for label in model.labels:
        _refuse_two_sets_of_classes(model, label)


def _refuse_two_sets_of_classes(model: Model, label: str) -> None:
    declared = {field.name: field.classes or field.categories for field in model.fields_of(label)}
    sets = {name: classes for name, classes in declared.items() if classes}
    if len({frozenset(classes) for classes in sets.values()}) > 1:
        words = [f"{name} has {', '.join(map(str, classes))}" for name, classes in sets.items()]
        raise BadInput(
            f"{model.name}: the fields of {label!r} have different classes",
            *first_few(words, len(words)),
            do="Give them the same Literal.",
        )
    known = next(iter(sets.values()), None)
    for field in model.fields_of(label):
        if known and field.of is not None and field.of not in known:
            raise BadInput(
                f"{model.name}: {field.name} is {field.rule}, and the classes of {label!r} are "
                + ", ".join(map(str, known))
            )
