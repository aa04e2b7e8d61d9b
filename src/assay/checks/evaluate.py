"""Runs rules over a table: what footers tell is not read, then one SELECT for all, more only where a rule is broken."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from assay import times
from assay.checks import files, plan, worst
from assay.checks.footers import Footers, read_footers
from assay.checks.judge import Finding, judge, missing, mistyped
from assay.checks.measure import Measure, kinds_for, measure, misfits, select
from assay.checks.report import Report, Result, WorstRow
from assay.checks.rules import Checks, Column, ColumnRule, HasType, IsIn, Rule, Unique, from_contract
from assay.checks.rules import fresh as fresh_rule
from assay.checks.target import FILE, ROW, VIEW, Kind, Opened, Target, open_target, reading
from assay.checks.words import plain
from assay.contract import Record
from assay.contract.formats.sql import quoted
from assay.errors import BadInput
from assay.store.duck import connect

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
    # A Parquet footer's statistics leave NaN out, and by them DuckDB takes isnan(x) to be false without reading x.
    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    return connection


@dataclass(frozen=True)
class _Asked:
    """A rule with what it asks of this table."""

    rule: Rule
    measure: Measure
    #: Why it can't be measured, if so.
    absent: str | None = None
    wrong: Kind | None = None


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
        asked = [self._ask(rule, empty) for rule in self.checks.rules]
        total, numbers = self._measure(asked)
        return total, [self._result(*each, total) for each in zip(asked, numbers, strict=True)]

    def _measure(self, asked: Sequence["_Asked"]) -> tuple[int, list[Mapping[str, Any]]]:
        """The count of rows and the numbers of each rule: from footers where these tell, the others in one scan."""
        told = self._footers(asked)
        known = [plan.answer(each.rule, told, self.now) if told and each.measure.numbers else None for each in asked]
        left = [i for i, each in enumerate(asked) if known[i] is None and each.measure.numbers]
        if told and not left:
            return told.rows, [one or {} for one in known]
        scanned = self._rows(select({i: asked[i].measure for i in left}, VIEW))[0]
        return scanned["rows"], [_of(scanned, i) if one is None else one for i, one in enumerate(known)]

    def _footers(self, asked: Sequence["_Asked"]) -> Footers | None:
        if not self.opened.footed:
            return None
        of_interest = {
            name for each in asked if plan.wanted(each.rule) and each.measure.numbers for name in each.rule.columns
        }
        return read_footers(self.opened.files, of_interest & self.opened.footed)

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
        absent = next((name for name in rule.columns if name not in self.opened.kinds), None)
        if absent is not None:
            return _Asked(rule, Measure(), absent=absent)
        if not isinstance(rule, ColumnRule):
            return _Asked(rule, Measure())
        wrong = self._wrong(rule)
        if wrong and rule.column in empty:
            return _Asked(rule, Measure())
        if wrong:
            asks = misfits(rule.field, quoted(rule.column), wrong) if isinstance(rule, HasType) else Measure()
            return _Asked(rule, asks, wrong=wrong)
        return _Asked(rule, measure(rule, self.opened.kinds[rule.column], self.now))

    def _result(self, asked: _Asked, numbers: Mapping[str, Any], total: int) -> Result:
        rule = asked.rule
        finding = self._finding(asked, numbers, total)
        broken = "fail" if rule.severity == "error" else "warn"
        return Result(
            rule=rule.name,
            column=", ".join(rule.columns),
            status=broken if finding.broken else "pass",
            severity=rule.severity,
            declared=rule.declared,
            expected=rule.expected,
            observed=finding.observed,
            failing=finding.failing,
            total=total,
            message=finding.message if finding.broken else finding.observed,
            worst=self._worst(asked) if finding.broken and finding.failing else (),
        )

    def _finding(self, asked: _Asked, numbers: Mapping[str, Any], total: int) -> Finding:
        rule = asked.rule
        if asked.absent is not None:
            return missing(asked.absent, self.opened.kinds, total)
        if asked.wrong:
            return mistyped(rule, asked.wrong, numbers, total)
        if isinstance(rule, Unique):
            numbers = self._rows(worst.duplicates(rule))[0]
        if isinstance(rule, IsIn) and numbers.get("failing"):
            found = self._rows(worst.unknown(rule, asked.measure.breaks))
            unknown = [(row["value"], row["n"]) for row in found]
            numbers = {**numbers, "unknown": unknown, "unknowns": found[0]["unknowns"]}
        return judge(rule, numbers, total, self.now)

    def _worst(self, asked: _Asked) -> tuple[WorstRow, ...]:
        if asked.absent is not None:
            return ()
        query = worst.rows(asked.rule, asked.measure, self.checks.context, self.opened.kinds)
        return tuple(self._worst_row(row) for row in self._rows(query)) if query else ()

    def _worst_row(self, row: dict[str, Any]) -> WorstRow:
        file, place = row.pop(FILE), row.pop(ROW)
        values = {name: plain(value) for name, value in row.items()}
        return WorstRow(file=files.below(file, self.opened.files) if file else "", row=place, values=values)

    def _rows(self, query: str) -> list[dict[str, Any]]:
        return self.connection.sql(query).to_arrow_table().to_pylist()


def _of(numbers: dict[str, Any], index: int) -> dict[str, Any]:
    prefix = f"{index}."
    return {name.removeprefix(prefix): value for name, value in numbers.items() if name.startswith(prefix)}
