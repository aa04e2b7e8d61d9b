"""What is guessed of a table before a project is written for it."""

from dataclasses import dataclass, field
from typing import Literal

from assay.tables.view import Kind

Task = Literal["yes or no", "classes", "number"]


@dataclass(frozen=True)
class Column:
    """A column that a model gets."""

    name: str
    #: Its name in Python.
    attribute: str
    kind: Kind
    #: The share of rows without a value.
    missing: float
    #: Different values.
    distinct: int
    #: The values of a small set.
    values: tuple[str | int, ...] = ()
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    #: Whether it tells rows apart, alone or with others.
    is_key: bool = False
    #: Whether a model could learn from it: not from what names a single row.
    is_feature: bool = True


@dataclass(frozen=True)
class Label:
    """The column to predict."""

    name: str
    task: Task
    kind: Kind
    #: Its values, of a class, the most frequent first.
    classes: tuple[str | int, ...] = ()
    #: What a model must beat: the share of the most frequent class, or the mean distance to the median.
    baseline: float = 0.0

    @property
    def is_truth(self) -> bool:
        """Whether it is true or false, or 1 or 0."""
        return self.kind == "truth" or (self.task == "yes or no" and set(self.classes) == {0, 1})


@dataclass(frozen=True)
class Times:
    """The column of event times, and the span of its values."""

    name: str
    attribute: str
    kind: Kind
    days: float
    #: Whether the time of day differs between rows.
    has_hours: bool
    #: The zone of times that have none.
    zone: str
    #: Whether it is part of the key.
    is_key: bool = False


@dataclass(frozen=True)
class Draft:
    """Everything that a project says of a table."""

    #: The table as the project reads it.
    table: str
    module: str
    rows: int
    label: Label
    #: None for a table without times.
    time: Times | None
    columns: tuple[Column, ...]
    #: Texts that stand for a missing value, where a CSV file has others than usual.
    missing: tuple[str, ...] = ()
    #: Columns that no model gets, with the reason.
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    #: What was guessed, each as a sentence.
    guesses: list[str] = field(default_factory=list[str])
