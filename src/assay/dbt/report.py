"""What a project's declarations found, as values that survive JSON."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from assay.errors import Refused, first_few

Status = Literal["pass", "warn", "fail", "error"]
Cell = str | int | float | bool | None


class DbtResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one table, one source's freshness or one test found."""

    #: "table" is ours: how many rows, or that it is not there. The others are dbt's.
    kind: Literal["table", "freshness", "test"]
    #: dbt's own, like source.shop.raw.orders; the key in sources.json and run_results.json.
    unique_id: str
    #: source.table, the name of a model, or dbt's name of the test.
    name: str
    #: The source.table or model that it is about.
    subject: str
    #: "error" is a question that could not be asked; a stale source fails.
    status: Status
    #: dbt's word: pass, warn, error or runtime error for freshness, pass, warn, fail or error for tests; empty for tables.
    dbt_status: str
    #: One line.
    message: str
    #: Of a test: not_null, unique, accepted_values or relationships, and the column.
    test: str = ""
    column: str = ""
    severity: str = ""
    #: As dbt counts: groups for unique and accepted_values; 0 when the test passes.
    failures: int = 0
    #: At most five results of the test's SQL, the worst first.
    worst: tuple[dict[str, Cell], ...] = ()
    #: Of a table.
    rows: int | None = None
    #: Of a source: both in UTC; 0001-01-01 when there is none, as dbt has it.
    max_loaded_at: datetime | None = None
    snapshotted_at: datetime | None = None
    age_s: float | None = None
    #: What dbt would not say: times in the future, tables without a row.
    notes: tuple[str, ...] = ()
    #: Where it is declared, seen from the project.
    declared: str = ""
    #: What was asked; empty when nothing could be.
    sql: str = ""


class NotRead(msgspec.Struct, frozen=True, kw_only=True):
    """Something declared that Assay does not ask."""

    what: str
    declared: str
    why: str


class DbtReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the declarations of one project found."""

    project: str
    target: str
    #: Type and place of the database, without secrets.
    warehouse: str
    checked_at: datetime
    #: The worst first.
    results: tuple[DbtResult, ...]
    not_read: tuple[NotRead, ...]

    @property
    def failed(self) -> bool:
        """True when something failed, is stale or gone, or could not be asked."""
        return bool(self.having("fail") or self.having("error"))

    @property
    def exit_code(self) -> int:
        """0 good, also with warnings; 1 when something failed; 3 when something could not be asked."""
        return 3 if self.having("error") else 1 if self.failed else 0

    def having(self, status: Status) -> tuple[DbtResult, ...]:
        """The results of that status."""
        return tuple(result for result in self.results if result.status == status)

    def of(self, kind: str) -> tuple[DbtResult, ...]:
        """The results of that kind."""
        return tuple(result for result in self.results if result.kind == kind)

    def raise_for_failure(self) -> None:
        """Raise `Refused` when something failed or could not be asked."""
        if self.failed:
            broken = [*self.having("error"), *self.having("fail")]
            what = f"{self.project}: {len(broken)} of {len(self.results)} failed"
            raise Refused(what, *first_few((f"{each.name}: {each.message}" for each in broken), len(broken)))


_STATUSES = ("error", "fail", "warn", "pass")
_KINDS = ("table", "freshness", "test")


def worst_first(results: Iterable[DbtResult]) -> tuple[DbtResult, ...]:
    """Results in the order in which people want to see them; a table that is gone before all that is asked of it."""
    return tuple(sorted(results, key=_rank))


def _rank(result: DbtResult) -> tuple[int, int, int, float, str]:
    status, kind = _STATUSES.index(result.status), _KINDS.index(result.kind)
    gone = kind == 0 and result.status == "fail"
    return (-1 if gone else status, kind, -result.failures, -(result.age_s or 0), result.name)
