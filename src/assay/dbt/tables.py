"""How many rows each source and tested model has, and which are not there at all."""

from difflib import get_close_matches

from msgspec.structs import replace

from assay.checks.words import number
from assay.dbt.declared import Declared, Relation
from assay.dbt.report import DbtResult
from assay.dbt.warehouse import AskError, Warehouse


def subjects(declared: Declared) -> dict[str, tuple[Relation, str]]:
    """Every table that is declared or tested, with dbt's id where it is a source, each once."""
    found = {source.name: (source.relation, source.unique_id) for source in declared.sources}
    for test in declared.tests:
        if test.relation is not None and test.kind != "singular":
            found.setdefault(test.subject, (test.relation, ""))
    return found


def count(warehouse: Warehouse, name: str, relation: Relation, unique_id: str, declared: str) -> DbtResult:
    """The rows of a table; fails when it is not in the warehouse, which dbt says of no source that it need not read."""
    sql = f"select count(*) from {relation}"
    blank = DbtResult(
        kind="table",
        unique_id=unique_id,
        name=name,
        subject=name,
        status="error",
        dbt_status="",
        message="",
        declared=declared,
        sql=sql,
    )
    try:
        rows = int(warehouse.ask(sql)[1][0][0])
    except AskError as error:
        if not error.absent:
            return replace(blank, message=str(error))
        near = _near(relation, warehouse.near(relation))
        hint = f"; near it: {', '.join(near)}" if near else ""
        message = f"is not in the warehouse: there is no {relation.schema}.{relation.identifier}{hint}"
        return replace(blank, status="fail", message=message)
    message = f"{number(rows)} row" + "s" * (rows != 1)
    return replace(blank, status="pass", message=message, rows=rows, notes=() if rows else ("has no rows",))


def _near(relation: Relation, known: list[str]) -> list[str]:
    """Tables of another schema with the same name, and those with a name like it."""
    wanted = f"{relation.schema}.{relation.identifier}".lower()
    same = [name for name in known if name.rpartition(".")[2].lower() == relation.identifier.lower()]
    close = get_close_matches(wanted, [name.lower() for name in known], n=3, cutoff=0.75)
    return list(dict.fromkeys([*same, *(name for name in known if name.lower() in close)]))[:3]
