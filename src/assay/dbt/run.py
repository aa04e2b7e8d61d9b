"""Reads a project, asks its warehouse everything, and reports."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from assay.dbt import freshness, generic, tables
from assay.dbt.declared import Declared, Unresolved
from assay.dbt.duck import DuckDB, open_duckdb
from assay.dbt.postgres import open_postgres
from assay.dbt.project import Project, read_project
from assay.dbt.read import read_declared
from assay.dbt.report import DbtReport, DbtResult, NotRead, worst_first
from assay.dbt.selection import selected
from assay.dbt.warehouse import Warehouse
from assay.times import now


def check_project(
    folder: str | Path,
    *,
    target: str | None = None,
    vars: Mapping[str, object] | None = None,  # noqa: A002  # dbt's own word
    select: Iterable[str] = (),
    exclude: Iterable[str] = (),
    strict: bool = False,
) -> DbtReport:
    """Ask a dbt project's sources and tests; `target` is one of its profile, the default when omitted.

    `vars` win over those of dbt_project.yml. `select` and `exclude` are as dbt's, like `["tag:nightly", "orders"]`. If
    `strict`, a test that is not read is a failure. Nothing is written and every question is asked, even when one fails.
    Raises `BadInput` for what is not a project or malformed, `Unavailable` when the warehouse can't be opened.
    """
    project = read_project(Path(folder), target, dict(vars or {}))
    select, exclude = list(select), list(exclude)
    declared = selected(read_declared(project, marked=bool(select or exclude)), select, exclude)
    at = now()
    with open_warehouse(project) as warehouse:
        results = [*_asked(project, declared, warehouse), *(_fault(project, fault) for fault in declared.faults)]
        return DbtReport(
            project=project.name,
            target=project.profile.target,
            warehouse=warehouse.name,
            checked_at=at,
            results=worst_first(results),
            not_read=tuple(
                NotRead(what=left.what, declared=left.file, why=left.why, hint=left.hint) for left in declared.left
            ),
            tests=len(declared.tests) + _unread(declared),
            tests_read=len(declared.tests),
            tests_compiled=sum(bool(test.compiled) for test in declared.tests),
            compiled_at=declared.compiled_at,
            strict=strict,
        )


def _unread(declared: Declared) -> int:
    """How many tests dbt would run that are not read here."""
    return sum(each.kind == "test" for each in declared.faults) + sum(each.marks is not None for each in declared.left)


@contextmanager
def open_warehouse(project: Project) -> Generator[Warehouse]:
    """The warehouse of the project's target, closed at the end; `BadInput` or `Unavailable` when it can't be opened."""
    if project.profile.type == "duckdb":
        with closing(open_duckdb(project)) as connection:
            yield DuckDB(connection, str(project.profile.values["path"]))
        return
    with open_postgres(project.profile.values) as opened:
        yield opened


def _asked(project: Project, declared: Declared, warehouse: Warehouse) -> list[DbtResult]:
    files = {source.name: project.shown(source.file) for source in declared.sources}
    for test in declared.tests:
        files.setdefault(test.subject, project.shown(test.file))
    counted = [
        tables.count(warehouse, name, relation, unique_id, files[name])
        for name, (relation, unique_id) in tables.subjects(declared).items()
    ]
    measured = [
        freshness.measure(warehouse, source, project.shown(source.file))
        for source in declared.sources
        if source.thresholds
    ]
    tested = [generic.ask(warehouse, test, project.shown(test.file)) for test in declared.tests]
    return [*counted, *measured, *tested]


def _fault(project: Project, fault: Unresolved) -> DbtResult:
    return DbtResult(
        kind=fault.kind,
        unique_id=fault.unique_id,
        name=fault.name,
        subject=fault.subject,
        status="error",
        dbt_status="runtime error" if fault.kind == "freshness" else "error",
        message=f"{project.shown(fault.file)}: {fault.message}",
        declared=project.shown(fault.file),
    )
