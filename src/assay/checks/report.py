"""What checks found, as values that survive JSON."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from assay.checks.words import cell
from assay.contract.fields import Severity
from assay.draw import Shown
from assay.errors import Refused, first_few

Status = Literal["pass", "warn", "fail", "error"]


class WorstRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row that breaks a rule."""

    #: Which file, below the folder that was checked; empty for a frame.
    file: str
    #: Its place in the file or frame, counted from 0, a CSV's header not counted; None in a database, which has none.
    row: int | None
    #: What it is known by, and last the value at fault.
    values: dict[str, str | int | float | bool | None]

    def text(self, *, name_file: bool = True) -> str:
        """The row in one line."""
        values = "  ".join(f"{name}={cell(value)}" for name, value in self.values.items())
        place = "" if self.row is None else f"row {self.row}  "
        return f"{place}{values}" + (f"   {self.file}" if self.file and name_file else "")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule found."""

    #: rows, type, nulls, between, isin, unique, fresh or sql.
    rule: str
    #: The column, or several parted by commas; empty for a rule about the whole table.
    column: str
    #: A broken rule of severity "warn" only warns; "error" is a rule that could not be asked.
    status: Status
    severity: Severity
    #: Where a contract declares the rule, like "Weather.wind_speed"; empty when it was declared by hand.
    declared: str
    #: In words, like "0 to 100 mph".
    expected: str
    #: In words, like "-3 to 1,048.36 mph".
    observed: str
    #: Rows at fault; 0 when none in particular is, as in a table that is too old.
    failing: int
    #: Rows of the table.
    total: int
    #: One line.
    message: str
    #: Of freshness: how old the newest row is, in seconds.
    age_s: float | None = None
    #: At most five, the worst first.
    worst: tuple[WorstRow, ...] = ()


class Report(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """What the rules found in one table."""

    #: The path or kind of frame, as it was given.
    target: str
    rows: int
    #: How many files were read; 0 for a frame.
    files: int
    checked_at: datetime
    #: One for each rule, in declared order.
    results: tuple[Result, ...]

    @property
    def failed(self) -> bool:
        """True when a rule of severity "error" is broken, or any could not be asked."""
        return bool(self.having("fail") or self.having("error"))

    @property
    def warned(self) -> bool:
        """True when a rule of severity "warn" is broken."""
        return bool(self.having("warn"))

    @property
    def status(self) -> Status:
        """The worst of its results."""
        worst: tuple[Status, ...] = ("error", "fail", "warn")
        found: list[Status] = [status for status in worst if self.having(status)]
        return found[0] if found else "pass"

    @property
    def passed(self) -> bool:
        """True when no rule is broken."""
        return not self.failed and not self.warned

    def having(self, status: Status) -> tuple[Result, ...]:
        """The results of that status."""
        return tuple(result for result in self.results if result.status == status)

    @property
    def advice(self) -> str:
        """What to do about what is broken; empty when nothing is."""
        broken = [*self.having("fail"), *self.having("warn")]
        if not broken:
            return ""
        if all(result.rule == "fresh" for result in broken):
            return "Load newer rows, or allow a greater age."
        rows = "rows (counted from 0)" if any(result.worst for result in broken) else "table"
        declared = list(dict.fromkeys(result.declared for result in broken if result.declared))
        if not declared:
            return f"Correct the {rows}, or widen the rule."
        return f"Correct the {rows}, or widen the rule in the contract: {', '.join(first_few(declared, len(declared)))}"

    def raise_for_failure(self) -> None:
        """Raise `Refused` when a rule of severity "error" is broken, with the rules and their worst row."""
        if self.failed:
            broken = distinct([*self.having("error"), *self.having("fail")])
            what = f"{self.target}: {len(self.having('fail')) + len(self.having('error'))} of {len(self.results)} checks failed"
            failures = (_failure(result, name_file=self.files > 1) for result in broken)
            raise Refused(what, *first_few(failures, len(broken)), do=self.advice)


def distinct(results: Iterable[Result]) -> list[Result]:
    """Results without those that say the same of the same column, as all rules of a missing column do."""
    once: dict[tuple[Status, str, str], Result] = {}
    for result in results:
        once.setdefault((result.status, result.column, result.message), result)
    return list(once.values())


def _failure(result: Result, *, name_file: bool) -> str:
    text = f"{result.column or result.rule}: {result.message}"
    return f"{text}   {result.worst[0].text(name_file=name_file)}" if result.worst else text
