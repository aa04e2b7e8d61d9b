"""Queries in DuckDB's dialect as other engines want them."""

from collections.abc import Mapping
from typing import Any

from assay.contract.formats.sql import quoted
from assay.errors import BadInput
from assay.tables import sqlite
from assay.tables.table import CantAsk
from assay.tables.view import FILE, ROW, Kind

#: Engines whose floats hold NaN, and say that NaN equals NaN.
_NAN_EQUALS_NAN = ("postgres", "redshift", "spark", "databricks", "snowflake")
#: Engines whose floats hold NaN, which equals nothing, and the function that knows it.
_NAN_FUNCTIONS = {
    "bigquery": "IS_NAN",
    "trino": "IS_NAN",
    "athena": "IS_NAN",
    "presto": "IS_NAN",
    "clickhouse": "isNaN",
}


def view(
    source: str, floats: Mapping[str, str], kinds: Mapping[str, Kind], dialect: str, *, hidden: bool = True
) -> str:
    """The definition of a table that is checked: its columns with NaN as null, and where a row came from, not known.

    `floats` are the columns that may hold NaN, with their type.
    """
    if dialect == "sqlite":
        told = {name: sql for name, sql in sqlite.columns(kinds).items() if name not in floats}
        columns = [f"{told[name]} AS {quoted(name)}" if name in told else quoted(name) for name in kinds]
        places = [f"CAST(NULL AS VARCHAR) AS {quoted(FILE)}", f"CAST(NULL AS BIGINT) AS {quoted(ROW)}"] * hidden
        return f"SELECT {', '.join([*columns, *places])} FROM {source}"
    columns = [_without_nan(quoted(name), floats[name], dialect) if name in floats else quoted(name) for name in kinds]
    places = [f"CAST(NULL AS VARCHAR) AS {quoted(FILE)}", f"CAST(NULL AS BIGINT) AS {quoted(ROW)}"] * hidden
    return f"SELECT {', '.join([*columns, *places])} FROM {source}"


def _without_nan(column: str, kind: str, dialect: str) -> str:
    if dialect == "postgres" and kind == "DOUBLE":  # a REAL is shown, and compared, as the float64 that it equals
        return f"NULLIF(CAST({column} AS DOUBLE), CAST('NaN' AS DOUBLE)) AS {column}"
    if dialect in _NAN_EQUALS_NAN:
        return f"NULLIF({column}, CAST('NaN' AS {kind})) AS {column}"
    if function := _NAN_FUNCTIONS.get(dialect):
        return f"CASE WHEN {function}({column}) THEN NULL ELSE {column} END AS {column}"
    return column


def translated(query: str, views: Mapping[str, str], dialect: str) -> str:
    """A query over `views`, name to definition, in another dialect. Raises `CantAsk` for what is no SQL."""
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ModuleNotFoundError:
        raise BadInput(
            "checks in a database or Spark need sqlglot, which is not installed",
            do='Run: pip install "assay[warehouse]", or "assay[postgres]".',
        ) from None
    named = ", ".join(f"{name} AS ({definition})" for name, definition in views.items())
    try:
        if dialect == "sqlite":
            tree = sqlglot.parse_one(f"WITH {named} {query}", read="duckdb")
            return tree.transform(_time_as_text).sql(dialect="sqlite")
        (found,) = sqlglot.transpile(f"WITH {named} {query}", read="duckdb", write=dialect)
    except SqlglotError as error:
        raise CantAsk(" ".join(str(error).splitlines()[0].split())) from None
    return found


def _time_as_text(node: Any) -> Any:
    """Of SQLite, which has no times: a literal in the form in which its view shows times, and a column as it is."""
    from sqlglot import exp

    if not isinstance(node, exp.Cast) or not node.is_type("timestamp", "timestamptz", "date"):
        return node
    if isinstance(node.this, exp.Literal):
        return exp.Literal.string(sqlite.literal_times([str(node.this.this)])[0])
    return node if node.is_type("date") else node.this
