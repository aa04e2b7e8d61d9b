"""What was found odd, as values that survive JSON."""

from typing import Literal

import msgspec

from assay.draw import Shown

Severity = Literal["high", "medium", "low"]
Kind = Literal[
    "leakage", "duplicate rows", "duplicate columns", "missing", "coded missing", "kept as text", "constant", "correlated", "outliers", "spelling", "many values"
]  # fmt: skip
_ORDER: tuple[Severity, ...] = ("high", "medium", "low")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is odd."""

    kind: Kind
    columns: tuple[str, ...]
    severity: Severity
    #: What was seen, with figures.
    sentence: str
    #: What to do about it.
    do: str
    #: How much of it: a share, a correlation, an AUC; the larger, the worse.
    value: float
    #: The same for people, where several columns are named in one sentence.
    figure: str = ""


class Quality(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """What is odd about a table."""

    target: str
    rows: int
    columns: int
    #: The column that a model shall predict, when it was named.
    label: str | None
    #: How many rows were looked at where looking at all is too much.
    sampled: int
    #: Worst first.
    findings: tuple[Finding, ...]
    #: Of each column the AUC that it reaches alone against the label, best first.
    alone: dict[str, float] = {}
    #: The AUC that all columns but the suspects reach together.
    together: float | None = None
    #: Share of missing values by column.
    missing: dict[str, float] = {}


def worst_first(findings: list[Finding]) -> tuple[Finding, ...]:
    """By severity, leaks first, then by how much."""
    return tuple(
        sorted(findings, key=lambda one: (_ORDER.index(one.severity), one.kind != "leakage", -one.value, one.columns))
    )
