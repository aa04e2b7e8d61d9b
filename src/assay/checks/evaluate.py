"""Runs rules over a table: what footers tell is not read, then one scan for the rest, more only where a rule is broken."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from assay import times
from assay.checks import files, plan, worst
from assay.checks.breaks import Breaks, breaks, kinds_for, misfits
from assay.checks.facts import Facts, scan, scanned
from assay.checks.footers import read_footers
from assay.checks.judge import Finding, judge, missing, mistyped, unasked, unlike
from assay.checks.report import Report, Result, WorstRow
from assay.checks.rules import Checks, Column, ColumnRule, HasType, IsIn, Refers, Rule, Sql, Unique, from_contract
from assay.checks.rules import fresh as fresh_rule
from assay.checks.target import FILE, FLOATS, RAW, ROW, VIEW, Kind, Opened, Target, open_other, open_target, reading
from assay.checks.words import plain
from assay.contract import Record
from assay.contract.formats.sql import quoted
from assay.errors import AssayError, BadInput, near_miss
from assay.store.duck import connect

#: A Parquet footer's statistics leave NaN out, and by them DuckDB takes isnan(x) to be false without reading x, and
#: passes over groups of rows when it filters by x.
_ALWAYS_OFF, _OFF_FOR_NAN = "statistics_propagation", "filter_pushdown"

Rules = Checks | Rule | Column | type[Record]


def check(
    target: Target,
    rules: Rules | Sequence[Rules],
    *,
    fresh: str | timedelta | None = None,
    now: datetime | str | None = None,
) -> Report:
    """Say whether a table keeps its rules, and which rows don't.

    The table is a Parquet or CSV file, a folder of them (also `day=2013-01-01/`), a glob, or a frame of pyarrow, polars
    or pandas; the rules are those of a contract, of `Checks`, or of several together. `fresh` also asks that the
    contract's event time is at most that old at `now`, the present when omitted. NaN counts as missing; so do an empty
    text and NA in a CSV file.
    Raises `BadInput` for what is absent or no table, `Unavailable` for a damaged file; a broken rule is no exception.

    >>> import pyarrow as pa
    >>> from assay.checks import Checks, col
    >>> report = check(pa.table({"wind": [8.1, 1048.4]}), Checks(col("wind").between(0, 100, unit="mph")))
    >>> report.results[0].message
    '1 of 2 rows outside 0 to 100 mph   worst 1,048.4'
    """
    at = times.instant(now or "now")
    checks = _together(rules, fresh)
    texts = [rule.column for rule in checks.rules if isinstance(rule, HasType) and rule.field.type is str]
    with closing(_connect()) as connection:
        opened = open_target(connection, target, texts)
        with reading(opened.name):
            total, results = _Run(connection, opened, checks, at).results()
    return Report(target=opened.name, rows=total, files=len(opened.files), checked_at=at, results=tuple(results))


def _together(rules: Rules | Sequence[Rules], fresh: str | timedelta | None) -> Checks:
    several = rules if isinstance(rules, Sequence) else [rules]
    checks = Checks(*(from_contract(each) if isinstance(each, type) else each for each in several))
    if fresh is None:
        return checks
    if checks.event_time is None:
        raise BadInput(
            "fresh= needs an event time", do='Declare one in the contract, or add fresh("column", within="26h").'
        )
    return Checks(checks, fresh_rule(checks.event_time, within=fresh))


def _connect() -> duckdb.DuckDBPyConnection:
    connection = connect()
    connection.execute(f"SET disabled_optimizers = '{_ALWAYS_OFF}, {_OFF_FOR_NAN}'")
    return connection


@dataclass(frozen=True)
class _Asked:
    """A rule with the rows that would break it in this table."""

    rule: Rule
    breaks: Breaks
    #: Why it can't be measured, if so.
    absent: str | None = None
    wrong: Kind | None = None
    #: What the engine says of its condition, or what is wrong with the table it refers to.
    unasked: str | None = None
    #: The kind of the column it refers to, when it is another.
    unlike: Kind | None = None


@dataclass(frozen=True)
class _Run:
    """The rules over one opened table."""

    connection: duckdb.DuckDBPyConnection
    opened: Opened
    checks: Checks
    now: datetime

    def results(self) -> tuple[int, list[Result]]:
        """The count of rows and a result for each rule."""
        empty = self._columns_without_values()
        asked = {i: self._ask(rule, empty) for i, rule in enumerate(self.checks.rules)}
        conditions = {"", *(one.rule.where for one in asked.values() if not one.unasked)}
        facts = {where: self._facts(where, asked) for where in conditions}
        return facts[""].rows, [self._result(i, one, facts.get(one.rule.where, facts[""])) for i, one in asked.items()]

    def _facts(self, where: str, asked: Mapping[int, _Asked]) -> Facts:
        """What the rules with this condition are judged by: from footers where these tell, the rest from one scan."""
        measured = {
            i: one for i, one in asked.items() if one.rule.where == where and one.breaks.when and not one.unasked
        }
        judged = [(one.rule, name) for one in measured.values() if (name := plan.column_of(one.rule))]
        names = {name for _, name in judged}
        if (
            where or not self.opened.footed
        ):  # everything at once: each look at many small files costs more than it saves
            return self._scan(
                names, {i: one.breaks.when for i, one in measured.items() if isinstance(one.rule, IsIn)}, where
            )
        told = read_footers(self.opened.files, names & self.opened.footed)
        told = told.without_nan(self._finite(plan.lacking(judged, told.columns), told))
        lacking = plan.lacking(judged, told.columns)
        if not lacking:
            return told
        found = self._scan(lacking, {})
        return Facts(found.rows, {**told.columns, **found.columns})

    def _scan(self, names: set[str], at_fault: Mapping[int, str], where: str = "") -> Facts:
        query = scan(ordered := sorted(names), self.opened.kinds, at_fault, where)
        return scanned(self._rows(query)[0], ordered, at_fault)

    def _finite(self, names: set[str], told: Facts) -> list[str]:
        """Those of these columns that hold neither NaN nor an infinity, where a look at their dictionaries tells."""
        asked = [name for name in names & told.columns.keys() if told.columns[name].may_hold_nan]
        asked = [name for name in asked if not told.columns[name].one_value]
        if not asked:
            return []
        # Not isnan(): DuckDB answers that by the footers, which leave NaN out. And of a dictionary of values this reads
        # only the dictionary, which takes a tenth of the time of reading the column.
        counts = [f"(SELECT count(*) FROM {RAW} WHERE NOT isfinite({quoted(one)})) AS {quoted(one)}" for one in asked]
        return [name for name, count in self._rows(f"SELECT {', '.join(counts)}", push=True)[0].items() if not count]

    def _columns_without_values(self) -> set[str]:
        """Of the columns whose type a rule can't read, those that are empty: they may have any type."""
        names = {rule.column for rule in self.checks.rules if isinstance(rule, ColumnRule) and self._wrong(rule)}
        if not names:
            return set()
        counts = self._rows(
            f"SELECT {', '.join(f'count({quoted(name)}) AS {quoted(name)}' for name in names)} FROM {VIEW}"
        )[0]
        return {name for name, count in counts.items() if not count}

    def _wrong(self, rule: ColumnRule) -> Kind | None:
        kind = self.opened.kinds.get(rule.column)
        readable = kinds_for(rule)
        return kind if kind and readable and kind not in readable else None

    def _ask(self, rule: Rule, empty: set[str]) -> _Asked:
        if why := self._does_not_run(rule):
            return _Asked(rule, Breaks(), unasked=why)
        absent = next((name for name in rule.columns if name not in self.opened.kinds), None)
        if absent is not None:
            return _Asked(rule, Breaks(), absent=absent)
        if not isinstance(rule, ColumnRule):
            return _Asked(rule, breaks(rule, None, self.now))
        if isinstance(rule, Refers):
            return self._refer(rule)
        wrong = self._wrong(rule)
        if wrong and rule.column in empty:
            return _Asked(rule, Breaks())
        if wrong:
            reads = misfits(rule.field, quoted(rule.column), wrong) if isinstance(rule, HasType) else Breaks()
            return _Asked(rule, reads, wrong=wrong)
        return _Asked(rule, breaks(rule, self.opened.kinds[rule.column], self.now))

    def _refer(self, rule: Refers) -> _Asked:
        try:
            kinds = open_other(self.connection, rule.to)
        except AssayError as error:
            return _Asked(rule, Breaks(), unasked=error.what)
        if rule.key not in kinds:
            hint = near_miss(rule.key, kinds)
            return _Asked(
                rule, Breaks(), unasked=f"{rule.to} has no column {rule.key}" + (f" ({hint})" if hint else "")
            )
        kind, known = self.opened.kinds[rule.column], kinds[rule.key]
        alike = {kind, known} <= {"number", "whole"} or kind == known
        return _Asked(rule, breaks(rule, kind, self.now)) if alike else _Asked(rule, Breaks(), unlike=known)

    def _does_not_run(self, rule: Rule) -> str | None:
        """What the engine says of the rule's own SQL, run over every row, when it can't run it."""
        own = [f"({sql})" for sql in (rule.where, rule.predicate if isinstance(rule, Sql) else "") if sql]
        if not own:
            return None
        try:
            self._rows(f"SELECT count(*) FILTER (WHERE {' AND '.join(own)}) FROM {VIEW}")
        except duckdb.Error as error:
            return f"{' AND '.join(own)}: {_said(error)}"
        return None

    def _result(self, key: int, asked: _Asked, facts: Facts) -> Result:
        rule = asked.rule
        finding = self._finding(key, asked, facts)
        broken = "error" if asked.unasked else "fail" if rule.severity == "error" else "warn"
        return Result(
            rule=rule.name,
            column=rule.label,
            status=broken if finding.broken else "pass",
            severity=rule.severity,
            declared=rule.declared,
            expected=rule.expected,
            observed=finding.observed,
            failing=finding.failing,
            total=facts.rows,
            message=finding.message if finding.broken else finding.observed,
            worst=self._worst(asked) if finding.broken and finding.failing else (),
        )

    def _finding(self, key: int, asked: _Asked, facts: Facts) -> Finding:
        rule = asked.rule
        if asked.unasked:
            return unasked(asked.unasked)
        if asked.absent is not None:
            return missing(asked.absent, self.opened.kinds, facts.rows)
        if asked.unlike and isinstance(rule, Refers):
            return unlike(self.opened.kinds[rule.column], rule, asked.unlike, facts.rows)
        if asked.wrong:
            return mistyped(rule, asked.wrong, self._failing(asked), facts.rows)
        return judge(rule, self._numbers(key, asked, facts), facts.rows, self.now)

    def _numbers(self, key: int, asked: _Asked, facts: Facts) -> Mapping[str, Any]:
        rule = asked.rule
        if isinstance(rule, Unique):
            return self._rows(worst.duplicates(rule))[0]
        if not asked.breaks.when:
            return {"failing": 0}
        told = plan.answer(rule, facts, self.now)
        if told is not None:
            return told
        counted = facts.failing.get(key)
        numbers = {**plan.ends(rule, facts), "failing": self._failing(asked) if counted is None else counted}
        if isinstance(rule, IsIn | Refers) and numbers["failing"]:
            found = self._rows(worst.unknown(rule, asked.breaks.when), push=self._without_nan(rule))
            unknown = [(row["value"], row["n"]) for row in found]
            return {**numbers, "unknown": unknown, "unknowns": found[0]["unknowns"]}
        return numbers

    def _failing(self, asked: _Asked) -> int:
        if not asked.breaks.when:
            return 0
        query = f"SELECT count(*) AS failing FROM {VIEW} WHERE {asked.breaks.when}"
        return self._rows(query, push=self._without_nan(asked.rule))[0]["failing"]

    def _without_nan(self, rule: Rule) -> bool:
        return (
            bool(rule.columns)
            and not rule.where
            and all(self.opened.types.get(name) not in FLOATS for name in rule.columns)
        )

    def _worst(self, asked: _Asked) -> tuple[WorstRow, ...]:
        if asked.absent is not None:
            return ()
        query = worst.rows(asked.rule, asked.breaks, self.checks.context, self.opened.kinds)
        found = self._rows(query, push=self._without_nan(asked.rule)) if query else []
        return tuple(self._worst_row(row) for row in found)

    def _worst_row(self, row: dict[str, Any]) -> WorstRow:
        file, place = row.pop(FILE), row.pop(ROW)
        values = {name: plain(value) for name, value in row.items()}
        return WorstRow(file=files.below(file, self.opened.files) if file else "", row=place, values=values)

    def _rows(self, query: str, *, push: bool = False) -> list[dict[str, Any]]:
        """What the query gives; with `push` its filter may pass over groups of rows and look at dictionaries alone."""
        if not push:
            return self.connection.sql(query).to_arrow_table().to_pylist()
        self.connection.execute(f"SET disabled_optimizers = '{_ALWAYS_OFF}'")
        try:
            return self.connection.sql(query).to_arrow_table().to_pylist()
        finally:
            self.connection.execute(f"SET disabled_optimizers = '{_ALWAYS_OFF}, {_OFF_FOR_NAN}'")


def _said(error: duckdb.Error) -> str:
    """What the engine says, in one line: without the name of the error and the picture of the query."""
    said = str(error).partition("LINE 1:")[0].replace("Candidate bindings:", "there are")
    return " ".join(said.partition("Error: ")[2].split()) or type(error).__name__
