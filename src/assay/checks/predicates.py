"""Which question a rule is to a table: the rows that would break it, or why it can't be measured there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from assay.checks.breaks import Breaks, breaks, kinds_for, misfits
from assay.checks.rules import Between, ColumnRule, HasType, Refers, Rule, Sql
from assay.contract.formats.sql import quoted
from assay.errors import BadInput, Unavailable, near_miss
from assay.tables import CantAsk, Table
from assay.tables.view import VIEW, Kind


@dataclass(frozen=True)
class Asked:
    """A rule with the rows that would break it in this table."""

    rule: Rule
    breaks: Breaks = field(default_factory=Breaks)
    #: The column that is not there, if so.
    absent: str | None = None
    #: The kind of its column, when the rule can't read that.
    wrong: Kind | None = None
    #: What the engine says of its condition, or what is wrong with the table it refers to.
    unasked: str | None = None
    #: The kind of the column it refers to, when it is another.
    unlike: Kind | None = None

    @property
    def measurable(self) -> bool:
        """True when rows can be counted that break it."""
        return bool(self.breaks.when) and not self.unasked

    @property
    def filtered(self) -> Collection[str] | None:
        """All columns that its condition reads, where that is known."""
        return None if self.rule.where or not self.rule.columns else self.rule.columns


def ask(rule: Rule, table: Table, empty: Collection[str], now: datetime) -> Asked:
    """The question; columns in `empty` hold no value, so that their type says nothing."""
    if why := _does_not_run(rule, table):
        return Asked(rule, unasked=why)
    absent = next((name for name in rule.columns if name not in table.kinds), None)
    if absent is not None:
        return Asked(rule, absent=absent)
    if not isinstance(rule, ColumnRule):
        return Asked(rule, breaks(rule, None, now))
    if isinstance(rule, Refers):
        return _refer(rule, table, now)
    wrong = wrong_kind(rule, table.kinds)
    if wrong and rule.column in empty:
        return Asked(rule)
    if wrong:
        reads = misfits(rule.field, quoted(rule.column), wrong) if isinstance(rule, HasType) else Breaks()
        return Asked(rule, reads, wrong=wrong)
    digits = table.decimals.get(rule.column) if isinstance(rule, Between) else None
    return Asked(rule, breaks(rule, table.kinds[rule.column], now, digits))


def wrong_kind(rule: Rule, kinds: Mapping[str, Kind]) -> Kind | None:
    """The kind of the rule's column when the rule can't read it."""
    kind, readable = (kinds.get(rule.column) if isinstance(rule, ColumnRule) else None), kinds_for(rule)
    return kind if kind and readable and kind not in readable else None


def _refer(rule: Refers, table: Table, now: datetime) -> Asked:
    try:
        kinds = table.refer(rule.to)
    except CantAsk as error:
        return Asked(rule, unasked=str(error))
    except BadInput as error:
        return Asked(rule, unasked=error.what)
    except Unavailable as error:
        if not table.files:
            raise
        return Asked(rule, unasked=error.what)
    if rule.key not in kinds:
        hint = near_miss(rule.key, kinds)
        return Asked(rule, unasked=f"{rule.to} has no column {rule.key}" + (f" ({hint})" if hint else ""))
    kind, known = table.kinds[rule.column], kinds[rule.key]
    alike = {kind, known} <= {"number", "whole"} or kind == known
    return Asked(rule, breaks(rule, kind, now)) if alike else Asked(rule, unlike=known)


def _does_not_run(rule: Rule, table: Table) -> str | None:
    """What the engine says of the rule's own SQL, run over every row, when it can't run it."""
    own = [sql for sql in (rule.where, rule.predicate if isinstance(rule, Sql) else "") if sql]
    if not own:
        return None
    condition = " AND ".join(f"({sql})" for sql in own)
    try:
        for sql in own:  # each stands alone: "true) OR (false" is no condition
            table.rows(f"SELECT 1 AS n FROM {VIEW} WHERE {sql}\nLIMIT 0")
        table.rows(f"SELECT count(*) FILTER (WHERE {condition}) AS n FROM {VIEW}")
    except CantAsk as error:
        return f"{condition}: {error}"
    except Unavailable as error:
        if not table.files:
            raise
        return f"{condition}: {' '.join(error.values)}"  # an engine may say so of a condition that it can't compute
    return None
