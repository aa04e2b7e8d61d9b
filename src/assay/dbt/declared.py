"""What a dbt project declares, as values."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

Kind = Literal["not_null", "unique", "accepted_values", "relationships"]


class Unreadable(Exception):
    """Something declared can't be worked out; it becomes a result of status "error"."""


class Skipped(Exception):
    """Something declared is not for us, or dbt would not run it either; it is listed as not read."""


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
    """One of the four generic tests on a column of a source, model, seed or snapshot."""

    __test__ = False  # for pytest

    unique_id: str
    name: str
    kind: Kind
    #: source.table, or the name of a model.
    subject: str
    relation: Relation
    #: SQL expression, quoted where the project wants it.
    column: str
    file: Path
    settings: Settings = Settings()
    #: accepted_values: as they stand in SQL, quotes included.
    values: tuple[str, ...] = ()
    #: relationships: the other table and its column, as they stand in SQL.
    to: str = ""
    to_field: str = ""


@dataclass(frozen=True)
class Fault:
    """Something declared that could not be worked out."""

    kind: Literal["freshness", "test"]
    unique_id: str
    name: str
    subject: str
    message: str
    file: Path


@dataclass(frozen=True)
class Left:
    """Something declared that is not read."""

    what: str
    file: str
    why: str


@dataclass
class Declared:
    """All that a project declares."""

    sources: list[Source] = field(default_factory=list[Source])
    tests: list[Test] = field(default_factory=list[Test])
    faults: list[Fault] = field(default_factory=list[Fault])
    left: list[Left] = field(default_factory=list[Left])


#: YAML mappings as they were read.
Tree = dict[str, Any]
