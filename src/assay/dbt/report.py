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
    #: Of a test: not_null, unique, accepted_values, relationships, the name of another generic test, or singular.
    test: str = ""
    #: Of a generic test of one column.
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
    #: Why dbt's own SQL does not answer it either, and what to do.
    hint: str = ""


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
    #: The tests that dbt would run, and how many of them were read.
    tests: int = 0
    tests_read: int = 0
    #: How many of them were asked by the SQL that dbt compiled, and when it did.
    tests_compiled: int = 0
    compiled_at: datetime | None = None
    #: Whether a test that is not read counts as failed.
    strict: bool = False

    @property
    def failed(self) -> bool:
        """True when something failed, is stale or gone, or could not be asked; if `strict`, or was not read."""
        return bool(self.having("fail") or self.having("error") or (self.strict and self.tests_read < self.tests))

    @property
    def empty(self) -> bool:
        """True when nothing was read of what dbt would run: no test, and no source."""
        return not self.tests_read and (self.tests > 0 or not self.results)

    @property
    def exit_code(self) -> int:
        """0 good, also with warnings; 1 when something failed; 2 when nothing was read; 3 when something could not be asked."""
        if self.having("error"):
            return 3
        return 1 if self.failed else 2 if self.empty else 0

    def having(self, status: Status) -> tuple[DbtResult, ...]:
        """The results of that status."""
        return tuple(result for result in self.results if result.status == status)

    def of(self, kind: str) -> tuple[DbtResult, ...]:
        """The results of that kind."""
        return tuple(result for result in self.results if result.kind == kind)

    def raise_for_failure(self) -> None:
        """Raise `Refused` when something failed or could not be asked, or nothing was read."""
        if self.exit_code:
            broken = [*self.having("error"), *self.having("fail")]
            unread = f", {self.tests_read} of {self.tests} tests read" if self.tests_read < self.tests else ""
            what = f"{self.project}: {len(broken)} of {len(self.results)} failed{unread}"
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
