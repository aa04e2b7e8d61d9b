"""The rules over one opened table: one look for what most are judged by, more only where a rule is broken."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from assay.checks import plan, text_times, worst
from assay.checks.declare import Checks
from assay.checks.freshness import ahead_us
from assay.checks.judge import CheckOutcome, judge, missing, mistyped, unasked, unlike
from assay.checks.likeness import LikeColumn, compare, counts, expand
from assay.checks.predicates import Asked, ask, wrong_kind
from assay.checks.report import Report, Result, WorstRow
from assay.checks.rules import Fresh, IsIn, Refers, Rule, Unique
from assay.checks.words import plain
from assay.contract.formats.sql import quoted
from assay.errors import BadInput, Unavailable
from assay.tables import CantAsk, Table
from assay.tables.facts import Aggregates
from assay.tables.files import below
from assay.tables.footers import text_files
from assay.tables.view import FILE, ROW, VIEW


def could_not(rule: str, why: str, column: str = "") -> Result:
    """The result of something that could not be asked at all."""
    return Result(
        rule=rule,
        column=column,
        status="error",
        severity="error",
        declared="",
        expected="can be read",
        observed="not known",
        failing=0,
        total=0,
        message=why,
    )


@dataclass
class CheckRun:
    """The rules over one opened table."""

    table: Table
    checks: Checks
    now: datetime
    #: Rules that are not asked, and why.
    leave_out: Mapping[int, str] = field(default_factory=dict[int, str])
    #: What was said when the database went away; empty while it is there.
    lost: str = ""
    #: The rules by whose own queries it went away.
    fatal: dict[int, str] = field(default_factory=dict[int, str])
    asked: dict[int, Asked] = field(default_factory=dict[int, Asked])

    def results(self) -> tuple[int, list[Result]]:
        """The count of rows and a result for each rule."""
        rules = self._expanded()
        empty = self._columns_without_values(rules)
        self.asked = {i: self._ask(i, rule, empty) for i, rule in enumerate(rules)}
        conditions = sorted({"", *(one.rule.where for one in self.asked.values() if not one.unasked)})
        facts = {where: self._facts(where) for where in conditions}
        whole = facts[""]
        results = [self._result(i, one, facts.get(one.rule.where, whole)) for i, one in self.asked.items()]
        return whole.rows if isinstance(whole, Aggregates) else 0, results

    def broken(self, report: Report) -> dict[str, Asked]:
        """The rules that rows are at fault of, by the name they have in an export."""
        found = zip(self.asked.values(), report.results, strict=False)
        return {
            " ".join(filter(None, [one.rule, one.column])): asked
            for asked, one in found
            if one.failing and one.status in ("fail", "warn") and not (asked.absent or asked.unlike)
        }

    def _ask(self, key: int, rule: Rule, empty: Collection[str]) -> Asked:
        if key in self.leave_out:
            return Asked(rule, unasked=self.leave_out[key])
        try:
            return ask(rule, self.table, empty, self.now)
        except Unavailable as error:
            return Asked(rule, unasked=self._gone(error, key))

    def _facts(self, where: str) -> Aggregates | str:
        """What the rules with this condition are judged by, or why it can't be known."""
        alike = {i: one for i, one in self.asked.items() if one.rule.where == where and one.measurable}
        wanted = plan.wanted({i: (one.rule, one.breaks.when) for i, one in alike.items()}, where)
        try:
            return self.table.facts(wanted)
        except CantAsk as error:
            return str(error)
        except Unavailable as error:
            return self._gone(error)

    def _gone(self, error: Unavailable, key: int | None = None) -> str:
        if self.table.files:  # a file that can't be read: of no use to any rule
            raise error
        said = "   ".join([error.what, *error.values])
        if key is not None and not self.lost:
            self.fatal[key] = said
        self.lost = self.lost or said
        return said

    def _expanded(self) -> list[Rule]:
        """The rules, with a comparison for each column where the whole table is compared with another."""
        rules: list[Rule] = []
        for rule in self.checks.rules:
            try:
                rules += expand(rule, self.table.kinds)
            except (BadInput, Unavailable) as error:
                self.leave_out = {**self.leave_out, len(rules): " ".join([error.what, *error.values])}
                rules.append(rule)
        return rules

    def _columns_without_values(self, rules: Sequence[Rule]) -> set[str]:
        """Of the columns whose type a rule can't read, those that are empty: they may have any type."""
        names = sorted({rule.columns[0] for rule in rules if wrong_kind(rule, self.table.kinds)})
        if not names:
            return set()
        try:
            counts = self.table.rows(
                f"SELECT {', '.join(f'count({quoted(name)}) AS {quoted(name)}' for name in names)} FROM {VIEW}"
            )[0]
        except (CantAsk, Unavailable):
            return set()
        return {name for name, count in counts.items() if not count}

    def _result(self, key: int, asked: Asked, facts: Aggregates | str) -> Result:
        rule = asked.rule
        total, shown = 0, ()
        try:
            if isinstance(facts, str):
                finding = unasked(facts)
            else:
                total = facts.rows
                finding = self._finding(key, asked, facts)
                shown = self._worst(asked) if finding.broken and finding.failing else ()
        except CantAsk as error:
            finding = unasked(str(error))
        except Unavailable as error:
            finding = unasked(self._gone(error, key))
        severity = finding.severity or rule.severity
        broken = "error" if finding.unasked else "fail" if severity == "error" else "warn"
        return Result(
            rule=rule.name,
            column=rule.label,
            status=broken if finding.broken else "pass",
            severity=severity,
            declared=rule.declared,
            expected=rule.expected,
            observed=finding.observed,
            failing=finding.failing,
            total=total,
            message=finding.message if finding.broken else finding.observed,
            age_s=finding.age.total_seconds() if finding.age is not None else None,
            worst=shown,
        )

    def _finding(self, key: int, asked: Asked, facts: Aggregates) -> CheckOutcome:
        rule = asked.rule
        if asked.unasked:
            return unasked(asked.unasked)
        if asked.absent is not None:
            return missing(asked.absent, self.table.kinds, facts.rows)
        if asked.unlike and isinstance(rule, Refers):
            return unlike(self.table.kinds[rule.column], rule, asked.unlike, facts.rows)
        if asked.wrong:
            return mistyped(rule, asked.wrong, self._failing(asked), facts.rows, self._text_files(asked))
        return judge(rule, self._numbers(key, asked, facts), facts.rows, self.now)

    def _numbers(self, key: int, asked: Asked, facts: Aggregates) -> Mapping[str, Any]:
        rule = asked.rule
        if isinstance(rule, Unique):
            return self.table.rows(worst.duplicates(rule))[0]
        if isinstance(rule, LikeColumn):
            return {"compared": compare(rule, self.table.rows(counts(rule, self.table.kinds[rule.column])))}
        if isinstance(rule, Fresh) and rule.format and not self.table.reads_times:
            return text_times.read(rule, self.table.batches(text_times.texts(rule)), ahead_us(self.now, rule.zone))
        if isinstance(rule, Fresh) and (rule.unit or rule.format):
            query = worst.times_read(rule, self.table.micros, ahead_us(self.now, rule.zone))
            return worst.as_numbers(self.table.rows(query)[0])
        if not asked.breaks.when:
            return {"failing": 0}
        told = plan.answer(rule, facts, self.now)
        if told is not None:
            return told
        if isinstance(rule, Fresh):
            return worst.as_numbers(self.table.rows(worst.newest(rule, asked.breaks.when, self.table.micros))[0])
        counted = facts.failing.get(key)
        numbers = {**plan.ends(rule, facts), "failing": self._failing(asked) if counted is None else counted}
        if isinstance(rule, IsIn | Refers) and numbers["failing"]:
            found = self.table.rows(worst.unknown(rule, asked.breaks.when), asked.filtered)
            # The rows and the values are counted by the same engine: two may differ in what they hold for equal.
            rows, unknowns = (found[0]["failing"], found[0]["unknowns"]) if found else (0, 0)
            unknown = [(row["value"], row["n"]) for row in found]
            return {**numbers, "failing": int(rows), "unknown": unknown, "unknowns": unknowns}
        return numbers

    def _failing(self, asked: Asked) -> int:
        if not asked.breaks.when:
            return 0
        query = f"SELECT count(*) AS failing FROM {VIEW} WHERE {asked.breaks.when}"
        return self.table.rows(query, asked.filtered)[0]["failing"]

    def _text_files(self, asked: Asked) -> list[str]:
        """Of the Parquet files of a table, those that hold text in the rule's column, where others do not."""
        if asked.wrong != "text" or len(self.table.files) < 2:
            return []
        (column,) = asked.rule.columns
        return [below(str(file), self.table.files) for file in text_files(self.table.files, column)]

    def _worst(self, asked: Asked) -> tuple[WorstRow, ...]:
        if asked.absent is not None:
            return ()
        query = worst.rows(asked.rule, asked.breaks, self.checks.context, self.table.kinds)
        found = self.table.rows(query, asked.filtered) if query else []
        return tuple(self._worst_row(row) for row in found)

    def _worst_row(self, row: dict[str, Any]) -> WorstRow:
        file, place = row.pop(FILE), row.pop(ROW)
        values = {name: plain(value) for name, value in row.items()}
        return WorstRow(file=below(file, self.table.files) if file else "", row=place, values=values)
