"""What happened in some rows, and what a label is by the fields that speak of it. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.contract import Field
from assay.contract.columns import Array


@dataclass(frozen=True)
class Truth:
    """What happened in n rows."""

    #: By column: float64 of shape (n,), of shape (n, k) for lists, or texts of shape (n,).
    labels: Mapping[str, Array]
    #: How much each row counts, float64 of shape (n,).
    weight: Array | None = None
    #: Numbers of the groups in the order in which they come, int64 of shape (n,).
    group: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(self.labels.values())))

    def take(self, rows: Array) -> "Truth":
        """The rows at the given positions."""
        labels = {name: column[rows] for name, column in self.labels.items()}
        weight, group = (None if one is None else one[rows] for one in (self.weight, self.group))
        return Truth(labels, weight, group)

    def columns(self) -> dict[str, Array]:
        """The labels as the training log names them: `label`, or `label_COLUMN` of several; a list is `..._0` and so on."""
        prefix = {name: "label" if len(self.labels) == 1 else f"label_{name}" for name in self.labels}
        found: dict[str, Array] = {}
        for name, column in self.labels.items():
            if column.ndim == 1:
                found[prefix[name]] = column
            else:
                found |= {f"{prefix[name]}_{i}": column[:, i] for i in range(column.shape[1])}
        return found


def classes_of(fields: Sequence[Field]) -> tuple[str | int, ...] | None:
    """The declared classes of a label, from the fields that speak of it."""
    return next((known for field in fields if (known := field.classes or field.categories)), None)


def holds_text(fields: Sequence[Field]) -> bool:
    """Whether a label is a text, by the fields that speak of it."""
    texts = [field.type is str or isinstance(field.of, str) for field in fields if field.classes is None]
    return isinstance((classes_of(fields) or (0,))[0], str) or any(texts)
