"""From what an estimator says to the record that the model gives, column by column; nothing is matched by guessing.

Classes are matched by their values, as the estimator names them in `classes_`. Where `fit` was given numbers in place of the
classes (`y: assay.Codes`), they are positions in the contract's `Literal`. Columns of numbers are in the order of the labels
when there are several, else of the fields. What comes by name, from several estimators or from a function of the user's that
gives a dict, is matched by name.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.contract import Field, fields
from assay.contract.columns import TEXT, Array
from assay.errors import BadInput
from assay.model.estimator import Opened, Predictor, of_two
from assay.model.truth import classes_of

if TYPE_CHECKING:
    from assay.model.model import Model

#: Classes of which one number is the probability: those of a label that is true or false, 0 or 1, -1 or 1.
_TWO = ([0, 1], [-1, 1])


class Outputs:
    """The record of a model from its estimator, or from one for each field by name."""

    def __init__(self, model: "Model", opened: Opened | Mapping[str, Opened], *, coded: bool = False) -> None:
        self._model = model
        self._opened = opened
        self._coded = coded
        self._fields, self._labels, self._targets = fields(model.gives), model.labels, model.targets
        self._of = {label: model.fields_of(label) for label in self._labels}
        #: What gives the one number of a record, once the classes of the estimator were looked at.
        self._direct: Predictor | None = None

    def __call__(self, given: Any, rows: int) -> dict[str, Array]:
        """The predictions of n rows by column: float64, text or bool, each of shape (n,).

        Numbers of fields that are whole are float64 here, NaN where missing: `settle` looks at them.
        Raises `BadInput` when the estimator does not give what the contract declares.
        """
        if self._direct:
            said = np.asarray(self._direct(given), np.float64)
            if said.shape == (rows,):
                return {self._fields[0].name: said}
        with np.errstate(all="ignore"):
            return self._answer(given, rows)

    def _answer(self, given: Any, rows: int) -> dict[str, Array]:
        model, found = self._model, dict[str, Array]()
        if not isinstance(self._opened, Opened):
            for field in self._fields:
                alone = _Said(model.name, self._opened[field.name], given, rows, 1)
                found |= self._of_label(alone, 0, [field], self._targets[field.name])
            return found
        said = _Said(model.name, self._opened, given, rows, len(self._labels))
        if self._opened.probabilities is None and isinstance(said.numbers, Mapping):
            return _by_name(model, said.numbers, rows)
        for position, label in enumerate(self._labels):
            found |= self._of_label(said, position, self._of[label], label)
        return {column: found[column] for field in self._fields for column in field.columns}

    def _of_label(self, said: "_Said", position: int, of: Sequence[Field], label: str) -> dict[str, Array]:
        declared = classes_of(self._of[label])
        classes = _Classes(self._model, label, declared if self._coded else None, declared)
        numbers, found = [field for field in of if _is_number(field)], dict[str, Array]()
        for field in of:
            if field.classes is not None or field.of is not None:
                by_class = classes.named(said.probabilities(position, coded=self._coded), said.classes(position))
                wanted = field.classes if field.classes is not None else (field.of,)
                found |= {
                    column: _of_class(self._model.name, field, one, by_class, declared, said.rows)
                    for column, one in zip(field.columns, wanted, strict=True)
                }
            elif not _is_number(field):
                found[field.name] = _chosen(field, said, position, classes)
        if len(numbers) == 1 and numbers[0].type is float and not numbers[0].length and said.knows_classes(position):
            found[numbers[0].name], column = _positive(self._model, numbers[0], said, position, classes)
            if column == 1 and len(self._fields) == 1 and isinstance(self._opened, Opened):
                self._direct = self._opened.positive
        elif numbers:
            found |= said.shared(position, numbers)
        return found


def _is_number(field: Field) -> bool:
    of_class = field.classes is not None or field.of is not None or field.categories is not None
    return not of_class and field.type in (float, int)


class _Said:
    """What one estimator says of some rows; it is asked once for numbers and once for probabilities, when it is needed."""

    def __init__(self, model: str, opened: Opened, given: Any, rows: int, labels: int) -> None:
        self._model, self._opened, self._given, self.rows, self._labels = model, opened, given, rows, labels

    @cached_property
    def numbers(self) -> Any:
        """What it predicts."""
        if self._opened.predict is None:
            raise BadInput(
                f"{self._model}: the estimator gives probabilities of classes, and the contract wants numbers",
                do="Declare a Literal or assay.Probabilities, or let fit() give a regressor.",
            )
        return self._opened.predict(self._given)

    @cached_property
    def _all_probabilities(self) -> Any:
        return self._opened.probabilities(self._given) if self._opened.probabilities else None

    def classes(self, position: int) -> list[Any] | None:
        """The classes that it names for a label."""
        known = self._opened.classes
        if known and isinstance(known[0], list):
            return known[position] if position < len(known) else None
        return known if self._labels == 1 else None

    def knows_classes(self, position: int) -> bool:
        """Whether it classifies."""
        return self._opened.probabilities is not None or self.classes(position) is not None

    def gives_probabilities(self) -> bool:
        """Whether it gives probabilities."""
        return self._opened.probabilities is not None

    def chooses(self) -> bool:
        """Whether it chooses a class by itself."""
        return self._opened.predict is not None

    def probabilities(self, position: int, *, coded: bool) -> Array:
        """Those of one label, shape (n, k)."""
        found = self._all_probabilities
        if found is None and coded:  # a network ends in a layer of k numbers
            found = self.numbers
        if found is None:
            raise BadInput(
                f"{self._model}: the estimator gives no probabilities, and the contract wants them",
                do="Let fit() give a classifier with predict_proba, like CalibratedClassifierCV(...), or declare numbers.",
            )
        if isinstance(found, list):
            found = found[position]
        elif self._labels > 1:
            found = of_two(self._part(np.asarray(found, np.float64), position))
        return self._checked(np.asarray(found, np.float64), 2)

    def chosen(self, position: int) -> Array:
        """What it predicts of one label, shape (n,)."""
        found = np.asarray(self.numbers)
        if self._labels > 1:
            return self._part(found, position)
        return self._checked(found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found, 1)

    def shared(self, position: int, of: Sequence[Field]) -> dict[str, Array]:
        """The columns of fields that hold numbers."""
        names = [column for field in of for column in field.columns]
        try:
            found = np.asarray(self.numbers, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"{self._model} predicts something else than numbers: {error}", do="Declare texts as a Literal."
            ) from None
        if self._labels > 1:
            found = self._part(found, position)
        if found.ndim == 1:
            found = found[:, None]
        if found.shape != (self.rows, len(names)):
            raise BadInput(
                f"{self._model} predicts an array of shape {np.shape(self.numbers)} for {self.rows} rows",
                do="Return one number for each row."
                if len(names) == 1
                else f"Return {len(names)} numbers for each row: {', '.join(names)}."[:300],
            )
        return {name: found[:, i] for i, name in enumerate(names)}

    def _part(self, found: Array, position: int) -> Array:
        if found.shape != (self.rows, self._labels):
            raise BadInput(
                f"{self._model} predicts an array of shape {found.shape} for {self.rows} rows and {self._labels} labels",
                do="Return one column for each label, in their order.",
            )
        return found[:, position]

    def _checked(self, found: Array, dimensions: int) -> Array:
        if found.ndim != dimensions or len(found) != self.rows:
            raise BadInput(
                f"{self._model} predicts an array of shape {found.shape} for {self.rows} rows",
                do="Return one value for each row." if dimensions == 1 else "Return one column for each class.",
            )
        return found


class _Classes:
    """The classes of a label, as the estimator numbers or names them."""

    def __init__(
        self,
        model: "Model",
        label: str,
        coded: tuple[str | int, ...] | None,
        declared: tuple[str | int, ...] | None,
    ) -> None:
        self._model, self._label, self._coded, self._declared = model, label, coded, declared

    def values(self, known: list[Any] | None, count: int) -> list[Any]:
        """The class of each of `count` columns."""
        found = list(range(count)) if known is None else known
        if self._coded is not None:
            positions = range(len(self._coded))
            found = [self._coded[one] if one in positions else one for one in found]
        if len(found) != count:
            raise self._refused(f"it gives {count} probabilities, and knows {len(found)} classes")
        if self._declared is not None and (odd := [one for one in found if one not in self._declared]):
            raise self._refused(f"it knows {', '.join(map(repr, found[:20]))}; of these {odd[0]!r} is not declared")
        return found

    def _refused(self, why: str) -> BadInput:
        declared = ", ".join(map(str, self._declared or ()))
        return BadInput(
            f"{self._model.name}: the classes of the estimator are not those of {self._model.gives.__name__}",
            why,
            *([f"declared for {self._label!r}: {declared}"[:300]] if declared else []),
            do="Declare its classes. If fit() wants numbers in their place, annotate its labels: `y: assay.Codes`.",
        )

    def named(self, probabilities: Array, known: list[Any] | None) -> dict[Any, Array]:
        """The probabilities of each class, shape (n,)."""
        values = self.values(known, probabilities.shape[1])
        return {value: probabilities[:, i] for i, value in enumerate(values)}

    def decoded(self, chosen: Array) -> list[Any]:
        """The classes that were chosen, from what the estimator predicts; what is none of them stays as it is."""
        values = [int(one) if isinstance(one, float) and one.is_integer() else one for one in chosen.tolist()]
        if self._coded is None:
            return values
        coded = self._coded
        return [coded[int(one)] if one in range(len(coded)) else one for one in values]


def _of_class(model: str, field: Field, one: Any, by_class: dict[Any, Array], declared: Any, rows: int) -> Array:
    if one in by_class:
        return by_class[one]
    if declared is None:
        raise BadInput(
            f"{model}: {field.name} is {field.rule}, and the estimator knows {', '.join(map(str, by_class))}",
            do="Name one of its classes.",
        )
    return np.zeros(rows)  # declared, and in no row that it was trained on


def _chosen(field: Field, said: _Said, position: int, classes: _Classes) -> Array:
    if said.chooses():
        values = classes.decoded(said.chosen(position))
    else:
        by_class = classes.named(said.probabilities(position, coded=False), said.classes(position))
        names = list(by_class)
        values = [names[i] for i in np.argmax(np.column_stack(list(by_class.values())), axis=1).tolist()]
    if field.type is str:
        return np.array([value if isinstance(value, str) else _text(value) for value in values], TEXT)
    numbers = [float(one) if isinstance(one, int | float) else np.nan for one in values]
    return np.array(numbers, np.float64)


def _text(value: Any) -> Any:
    return np.nan if value is None or value != value else str(value)


def _positive(model: "Model", field: Field, said: _Said, position: int, classes: _Classes) -> tuple[Array, int | None]:
    """The one number of a classifier: the probability of 1, with its column, or the class where it gives none."""
    known = said.classes(position)
    if not said.gives_probabilities():
        _need_two(model, field, classes.values(known, len(known or ())))
        return np.asarray(said.chosen(position), np.float64), None
    by_class = classes.named(said.probabilities(position, coded=False), known)
    _need_two(model, field, list(by_class))
    return by_class[1], list(by_class).index(1)


def _need_two(model: "Model", field: Field, classes: list[Any]) -> None:
    if any(len(classes) == 2 and set(classes) == set(two) for two in _TWO):
        return
    shown = ", ".join(map(str, classes[:20]))
    raise BadInput(
        f"{model.name}: the estimator knows the classes {shown}, and {model.gives.__name__}.{field.name} is one number",
        do=f"Declare `{field.name}: assay.Probabilities[Literal[...]]` for all of them, "
        f"or `Annotated[float, assay.probability(of={classes[-1]!r})]` for one.",
    )


def _by_name(model: "Model", said: Mapping[str, Any], rows: int) -> dict[str, Array]:
    """What a function of the user's gave by name of the field."""
    declared = [field.name for field in fields(model.gives)]
    if list(said) != declared and set(said) != set(declared):
        raise BadInput(
            f"{model.name} predicts {', '.join(map(str, said))}", f"{model.gives.__name__} has {', '.join(declared)}",
            do="Return each field by its name.",
        )  # fmt: skip
    found: dict[str, Array] = {}
    for field in fields(model.gives):
        value = said[field.name]
        if isinstance(value, Mapping):
            value = np.column_stack([np.asarray(value[part], np.float64) for part in field.parts or ()])
        array = np.asarray(value)
        array = array[:, None] if array.ndim == 1 else array
        if array.shape != (rows, len(field.columns)):
            raise BadInput(
                f"{model.name} predicts {field.name} as an array of shape {np.shape(value)} for {rows} rows",
                do="Return one value for each row." if field.parts is None else f"Return {len(field.columns)} columns.",
            )
        kind = TEXT if field.type is str and field.parts is None else np.float64
        found |= {name: array[:, i].astype(kind) for i, name in enumerate(field.columns)}
    return found
