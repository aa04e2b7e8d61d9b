"""Looks at a table from every side."""

from collections.abc import Callable, Iterator

from assay.errors import BadInput, near_miss
from assay.quality import columns, counts, kept_as_text
from assay.quality.alike import alike
from assay.quality.leakage import Leaks, leaks
from assay.quality.report import Finding, Quality, worst_first
from assay.quality.sample import Sample, take
from assay.tables import Table, Target, using

_LOOKS: tuple[Callable[[Sample], Iterator[Finding]], ...] = (
    columns.constant,
    columns.outliers,
    columns.coded_missing,
    columns.spelling,
    columns.many_values,
)


def quality(target: Target, label: str | None = None) -> Quality:
    """What is odd about a table, worst first; with `label`, what a model shall predict, also what leaks it.

    Counts of rows and missing values are of all rows, the rest is seen in a sample of 200,000 at most, and of
    20 million values. Raises
    `BadInput` for an empty table, an unknown label, or one without two values; and as `assay.checks.check` does.

    >>> import pyarrow as pa
    >>> [one.sentence for one in quality(pa.table({"a": [1, 2, 3], "b": ["x", "x", "x"]})).findings]
    ['b holds one and the same value in every row']
    """
    with using(target) as table:
        return look_at(table, label)


def look_at(table: Table, label: str | None = None) -> Quality:
    """As `quality`, of a table that is open."""
    if label is not None and label not in table.kinds:
        hint = near_miss(label, table.kinds)
        raise BadInput(f"{table.name} has no column {label}", *[hint] * bool(hint), do="Name the label's column.")
    total, values = counts.counts(table)
    if not total:
        raise BadInput(f"{table.name} is empty", do="Use a table with rows.")
    found = [*counts.missing(values, total), *counts.duplicate_rows(table, total)]
    sample = take(table, total)
    for look in _LOOKS:
        found += look(sample)
    found += alike(sample.without(label))  # what goes with the label is a leak or is none
    found += kept_as_text.findings(sample.as_text)
    leaking = leaks(sample, label) if label else Leaks([], {}, None)
    return Quality(
        target=table.name,
        rows=total,
        columns=len(table.kinds),
        label=label,
        sampled=len(sample),
        findings=worst_first([*leaking.findings, *found]),
        alone=leaking.alone,
        together=leaking.together,
        missing={name: 1 - there / total for name, there in values.items()},
    )
