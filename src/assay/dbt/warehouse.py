"""Opens the warehouse of a profile for reading, and asks it: a DuckDB file, or PostgreSQL."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

import duckdb
import pyarrow as pa
from sqlalchemy.exc import DBAPIError

from assay.contract.formats.sql import literal, quoted
from assay.dbt.declared import Relation, Tree
from assay.dbt.project import Project, database_of
from assay.dbt.yaml_files import mapping, mappings
from assay.errors import BadInput, NotFound, Unavailable

CONNECT_TIMEOUT_S = 10
_SETTING = re.compile(r"\w+")
#: What DuckDB says of a table, schema or database that is not there.
_ABSENT = re.compile(
    r"Catalog Error: (Table|Schema) with name .* does not exist|Binder Error: Catalog .* does not exist"
)


class AskError(Exception):
    """A query that the warehouse refused."""

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message)
        #: Whether a table or its schema does not exist.
        self.absent = absent


class Warehouse(Protocol):
    """A database that answers SQL."""

    #: Type and place, without secrets.
    name: str

    def ask(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of the columns and the rows; times are aware where the column is. Raises `AskError`."""
        ...

    def near(self, relation: Relation) -> list[str]:
        """The tables that a misspelt relation may mean, as schema.table."""
        ...


@contextmanager
def open_warehouse(project: Project) -> Generator[Warehouse]:
    """The warehouse of the project's target, closed at the end.

    Raises `BadInput` or `Unavailable` when it can't be opened.
    """
    if project.profile.type == "duckdb":
        connection = _open_duckdb(project)
        try:
            yield _DuckDB(connection, str(project.profile.values["path"]))
        finally:
            connection.close()
        return
    with _open_postgres(project.profile.values) as opened:
        yield opened


class _DuckDB:
    def __init__(self, connection: duckdb.DuckDBPyConnection, path: str) -> None:
        self._connection = connection
        self.name = f"duckdb {path}"

    def ask(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        try:
            table = self._connection.sql(sql).to_arrow_table()
            columns = [_readable(column).to_pylist() for column in table.columns]
        except duckdb.Error as error:
            raise AskError(_first_line(error), absent=bool(_ABSENT.match(str(error)))) from None
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise AskError(_first_line(error)) from None
        return table.column_names, list(zip(*columns, strict=True))

    def near(self, relation: Relation) -> list[str]:
        return _tables(self, f"table_catalog = {literal(relation.database)}")


class _Postgres:
    def __init__(self, connection: Any, name: str) -> None:
        self._connection = connection
        self.name = name

    def ask(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        import psycopg

        try:
            # The driver's own cursor: SQL that was written for dbt is not formatted, a % in it stays.
            cursor = self._connection.execute(sql)
            return [column.name for column in cursor.description], cursor.fetchall()
        except psycopg.Error as error:
            absent = isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName)
            raise AskError(_first_line(error), absent=absent) from None

    def near(self, relation: Relation) -> list[str]:
        del relation
        return _tables(self, "table_schema NOT IN ('pg_catalog', 'information_schema')")


def _tables(warehouse: Warehouse, condition: str) -> list[str]:
    sql = f"SELECT table_schema, table_name FROM information_schema.tables WHERE {condition} ORDER BY 1, 2"
    try:
        return [f"{schema}.{table}" for schema, table in warehouse.ask(sql)[1]]
    except AskError:
        return []


def _open_duckdb(project: Project) -> duckdb.DuckDBPyConnection:
    values = project.profile.values
    path = str(values["path"])
    if "://" in path or path.startswith(("md:", "motherduck:", "ducklake:")):
        raise BadInput(f"{path} is no file", do="Assay reads DuckDB files and PostgreSQL.")
    file = path if path == ":memory:" else str(project.folder / path)
    if file != ":memory:" and not Path(file).is_file():
        raise NotFound(f"the database {file} does not exist", do="Run dbt first, or mend path in profiles.yml.")
    try:
        connection = duckdb.connect(file, read_only=file != ":memory:", config={"autoinstall_known_extensions": False})
    except duckdb.Error as error:
        do = "End the process that has it open: a DuckDB file is one process's at a time."
        raise Unavailable(f"the database {file} can't be opened", _first_line(error), do=do) from None
    try:
        _prepare(connection, project.folder, values)
    except duckdb.Error as error:
        connection.close()
        raise Unavailable("a setting or attached database of the profile fails", _first_line(error)) from None
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


@contextmanager
def _open_postgres(values: Tree) -> Generator[Warehouse]:
    try:
        import psycopg  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError:
        raise BadInput("the PostgreSQL driver is not installed", do='Run: pip install "assay[postgres]"') from None
    from sqlalchemy import URL, create_engine

    password = values.get("password", values.get("pass"))
    port = str(values.get("port") or 5432)
    if not port.isdecimal():
        raise BadInput(f"profiles.yml: port {port!r} is no number", do="Mend it.")
    url = URL.create(
        "postgresql+psycopg",
        username=_text(values.get("user")),
        password=_text(password),
        host=_text(values.get("host")),
        port=int(port),
        database=str(values["dbname"]),
    )
    options: Tree = {"connect_timeout": int(values.get("connect_timeout") or CONNECT_TIMEOUT_S)}
    options |= {key: values[key] for key in ("sslmode", "sslcert", "sslkey", "sslrootcert") if values.get(key)}
    paths = f" -c search_path={str(values['search_path']).replace(' ', '')}" if values.get("search_path") else ""
    options["options"] = f"-c default_transaction_read_only=on{paths}"
    engine = create_engine(url, connect_args=options, isolation_level="AUTOCOMMIT")
    shown = url.render_as_string(hide_password=True).replace("postgresql+psycopg", "postgres", 1)
    try:
        connection = engine.connect()
    except DBAPIError as error:
        engine.dispose()
        raise Unavailable(
            f"the warehouse {shown} does not answer",
            _first_line(cast("Exception", error.orig)),
            do="Start it, or mend the target in profiles.yml.",
        ) from None
    try:
        driver: Any = connection.connection.driver_connection
        driver.autocommit = True
        yield _Postgres(driver, shown)
    finally:
        connection.close()
        engine.dispose()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _readable(column: Any) -> Any:
    """Times as Python's own: in microseconds, and in UTC where they have a zone."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", "UTC" if column.type.tz else None), safe=False)
    return column


def utc(moment: datetime) -> datetime:
    """An aware time in UTC; a naive one is taken as UTC, as dbt does."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
