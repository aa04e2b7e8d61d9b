"""Opens the DuckDB file of a profile for reading."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from assay.contract.formats.sql import literal, quoted
from assay.dbt.declared import Relation, Tree
from assay.dbt.project import Project, database_of
from assay.dbt.warehouse import AskError, first_line, tables_where
from assay.dbt.yaml_files import mapping, mappings
from assay.errors import BadInput, NotFound, Unavailable

_SETTING = re.compile(r"\w+")
#: In microseconds: what stands for infinity, and the last moment that Python knows, which DuckDB's own client gives for it.
_INFINITY, _LAST = 2**63 - 1, 253_402_300_799_999_999
#: What DuckDB says of a table, schema or database that is not there.
_ABSENT = re.compile(
    r"Catalog Error: (Table|Schema) with name .* does not exist|Binder Error: Catalog .* does not exist"
)


class DuckDB:
    """A DuckDB database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: str) -> None:
        self._connection = connection
        self.name = f"duckdb {path}"

    def ask(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """As `Warehouse.ask`."""
        try:
            table = self._connection.sql(sql).to_arrow_table()
            columns = [_readable(column).to_pylist() for column in table.columns]
        except duckdb.Error as error:
            raise AskError(first_line(error), absent=bool(_ABSENT.match(str(error)))) from None
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise AskError(first_line(error)) from None
        return table.column_names, list(zip(*columns, strict=True))

    def near(self, relation: Relation) -> list[str]:
        """As `Warehouse.near`."""
        return tables_where(self, f"table_catalog = {literal(relation.database)}")


def open_duckdb(project: Project) -> duckdb.DuckDBPyConnection:
    """A connection that can only read, prepared as the profile says. Raises `BadInput` or `Unavailable`."""
    values = project.profile.values
    path = str(values["path"])
    if "://" in path or path.startswith(("md:", "motherduck:", "ducklake:")):
        raise BadInput(f"{path} is not a file", do="Assay reads DuckDB files and PostgreSQL.")
    file = path if path == ":memory:" else str(project.folder / path)
    if file != ":memory:" and not Path(file).is_file():
        raise NotFound(f"the database {file} does not exist", do="Run dbt first, or correct path in profiles.yml.")
    try:
        connection = duckdb.connect(file, read_only=file != ":memory:", config={"autoinstall_known_extensions": False})
    except duckdb.Error as error:
        do = "End the process that has it open: a DuckDB file is one process's at a time."
        raise Unavailable(f"the database {file} can't be opened", first_line(error), do=do) from None
    try:
        _prepare(connection, project.folder, values)
    except duckdb.Error as error:
        connection.close()
        raise Unavailable("a setting or attached database of the profile fails", first_line(error)) from None
    return connection


def _prepare(connection: duckdb.DuckDBPyConnection, folder: Path, values: Tree) -> None:
    # A table that is not there must not be found among our own variables.
    connection.execute("SET python_enable_replacements = false")
    # dbt runs in the project's folder, so that external files are named from there.
    connection.execute(f"SET file_search_path = {literal(str(folder))}")
    for name, value in mapping(values.get("settings"), "profiles.yml: settings").items():
        if _SETTING.fullmatch(str(name)):
            connection.execute(f"SET {name} = {literal(str(value))}")
    for other in mappings(values.get("attach"), "profiles.yml: attach"):
        path = str(folder / str(other.get("path")))
        alias = f" AS {quoted(str(other['alias']))}" if other.get("alias") else ""
        kind = f", TYPE {other['type']}" if _SETTING.fullmatch(str(other.get("type") or "")) else ""
        connection.execute(f"ATTACH {literal(path)}{alias} (READ_ONLY{kind})")
    if values["database"] != database_of(str(values["path"])):
        connection.execute(f"USE {quoted(str(values['database']))}")


def _readable(column: Any) -> Any:
    """Times as Python's own: in microseconds, and in UTC where they have a zone; infinity is Python's last moment."""
    if not pa.types.is_timestamp(column.type):
        return column
    kind = pa.timestamp("us", "UTC" if column.type.tz else None)
    micros = column.cast(kind, safe=False).cast(pa.int64())
    return pc.call_function(
        "if_else", [pc.call_function("equal", [micros, pa.scalar(_INFINITY)]), pa.scalar(_LAST), micros]
    ).cast(kind)
