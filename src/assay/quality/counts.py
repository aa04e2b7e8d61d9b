"""What is counted over all rows: missing values, constant columns, rows that are alike."""

from collections.abc import Iterator, Mapping

from assay.checks.words import number, share
from assay.contract.formats.sql import quoted
from assay.quality.report import Finding, Severity
from assay.tables import Table
from assay.tables.view import VIEW

#: Shares of missing values from which they are worth a word.
_MISSING: tuple[tuple[float, Severity], ...] = ((0.5, "high"), (0.2, "medium"), (0.05, "low"))


def counts(table: Table) -> tuple[int, dict[str, int]]:
    """The rows, and of each column the values that are there."""
    told = [f"count({quoted(name)}) AS {quoted(f'values.{i}')}" for i, name in enumerate(table.kinds)]
    row = table.rows(f"SELECT {', '.join(['count(*) AS rows', *told])} FROM {VIEW}")[0]
    return row["rows"], {name: row[f"values.{i}"] for i, name in enumerate(table.kinds)}


def missing(values: Mapping[str, int], total: int) -> Iterator[Finding]:
    """Columns in which much is missing, and empty ones."""
    for name, there in values.items():
        part = 1 - there / total
        severities: list[Severity] = [severity for least, severity in _MISSING if part >= least]
        if severities:
            said = "has no value at all" if not there else f"is missing in {share(part)} of the rows"
            do = (
                "Leave it out."
                if part > 0.95
                else "Find the cause. A model can use missing values only if the cause stays the same."
            )
            yield Finding(
                kind="missing",
                columns=(name,),
                severity=severities[0],
                sentence=f"{name} {said}",
                do=do,
                value=part,
                figure=share(part) if there else "",
            )


def duplicate_rows(table: Table, total: int) -> Iterator[Finding]:
    """Rows that are alike in every column."""
    columns = ", ".join(quoted(name) for name, kind in table.kinds.items() if kind != "other")
    distinct: int = table.rows(f"SELECT count(*) AS n FROM (SELECT DISTINCT {columns} FROM {VIEW}) AS alike")[0]["n"]
    again = total - distinct
    if again > 0:
        yield Finding(
            kind="duplicate rows",
            columns=(),
            severity="high" if again / total > 0.05 else "medium",
            sentence=f"{number(again)} of {number(total)} rows ({share(again / total)}) repeat another in every column",
            do="Find out whether rows are written twice. A row in both training and holdout overstates scores.",
            value=again / total,
        )
