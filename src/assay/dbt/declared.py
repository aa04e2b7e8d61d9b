"""What a dbt project declares, as values."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

Kind = Literal["not_null", "unique", "accepted_values", "relationships"]


class Unreadable(Exception):
    """Something declared can't be worked out; it becomes a result of status "error"."""


class LeftUnread(Exception):
    """Something declared is not for us, or dbt would not run it either; it is listed as not read."""

    def __init__(self, why: str, *, runs: bool = True, hint: str = "") -> None:
        super().__init__(why)
        #: Whether dbt would run it.
        self.runs = runs
        #: Why dbt's own SQL does not answer it either, and what to do.
        self.hint = hint


@dataclass(frozen=True)
class Relation:
    """A table or view of the warehouse."""

    database: str
    schema: str
    identifier: str
    #: As it stands in SQL, quoted as the project wants it.
    sql: str

    def __str__(self) -> str:
        return self.sql


@dataclass(frozen=True)
class Thresholds:
    """How old the newest row of a source may be; None is no limit."""

    warn_after: timedelta | None = None
    error_after: timedelta | None = None
    #: SQL condition on the rows that count.
    filter: str | None = None

    def __bool__(self) -> bool:
        return self.warn_after is not None or self.error_after is not None


@dataclass(frozen=True)
class Marks:
    """By what `--select` finds a model, a source or a test."""

    unique_id: str
    #: Project, folders, name.
    fqn: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    #: Of its file, seen from the project.
    path: str = ""
    #: Of a test: generic, singular or unit.
    test_type: str = ""
    #: Of a generic test: not_null, unique, or the name of its macro.
    test_name: str = ""
    #: The ids of the models and sources that a test is about.
    parents: frozenset[str] = frozenset()

    @property
    def package(self) -> str:
        """The project that it is of."""
        return self.fqn[0] if self.fqn else ""


@dataclass(frozen=True)
class Source:
    """One table of a source."""

    unique_id: str
    source: str
    table: str
    relation: Relation
    thresholds: Thresholds
    #: SQL expressions, rendered; at most one of them is used, the query first.
    loaded_at_field: str | None
    loaded_at_query: str | None
    file: Path
    marks: Marks

    @property
    def name(self) -> str:
        """As people call it: source.table."""
        return f"{self.source}.{self.table}"


@dataclass(frozen=True)
class Settings:
    """How the failures of a test are counted and judged; the defaults are dbt's."""

    severity: Literal["warn", "error"] = "error"
    where: str = ""
    warn_if: str = "!= 0"
    error_if: str = "!= 0"
    fail_calc: str = "count(*)"
    limit: int | None = None


@dataclass(frozen=True)
class Test:
    """One of the four generic tests on a column of a source, model, seed or snapshot, or any test that dbt compiled."""

    __test__ = False  # for pytest

    unique_id: str
    name: str
    #: not_null, unique, accepted_values, relationships; the name of another generic test; or "singular".
    kind: str
    #: source.table, or the name of a model; its own name for a singular test.
    subject: str
    #: None for what is no table, like an ephemeral model.
    relation: Relation | None
    #: SQL expression, quoted where the project wants it; empty for a test that is of no column.
    column: str
    file: Path
    marks: Marks
    settings: Settings = Settings()
    #: accepted_values: as they stand in SQL, quotes included.
    values: tuple[str, ...] = ()
    #: relationships: the other table and its column, as they stand in SQL.
    to: str = ""
    to_field: str = ""
    #: The SQL that dbt compiled; empty for the four, whose SQL is made here.
    compiled: str = ""


@dataclass(frozen=True)
class Unresolved:
    """Something declared that could not be worked out."""

    kind: Literal["freshness", "test"]
    unique_id: str
    name: str
    subject: str
    message: str
    file: Path
    marks: Marks


@dataclass(frozen=True)
class Left:
    """Something declared that is not read."""

    what: str
    file: str
    why: str
    #: Of a test that dbt would run, None for all else.
    marks: Marks | None = None
    #: Why dbt's own SQL does not answer it either, and what to do.
    hint: str = ""


@dataclass
class Declared:
    """All that a project declares."""

    sources: list[Source] = field(default_factory=list[Source])
    tests: list[Test] = field(default_factory=list[Test])
    faults: list[Unresolved] = field(default_factory=list[Unresolved])
    left: list[Left] = field(default_factory=list[Left])
    #: The models, seeds, snapshots and sources, by id.
    nodes: dict[str, Marks] = field(default_factory=dict[str, Marks])
    #: When dbt compiled the SQL of tests that is used.
    compiled_at: datetime | None = None


#: YAML mappings as they were read.
Tree = dict[str, Any]
