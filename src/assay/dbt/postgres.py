"""Opens the PostgreSQL database of a profile for reading."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import URL, create_engine
from sqlalchemy.exc import DBAPIError

from assay.dbt.declared import Relation, Tree
from assay.dbt.warehouse import AskError, Warehouse, first_line, tables_where
from assay.errors import BadInput, Unavailable

CONNECT_TIMEOUT_S = 10


class Postgres:
    """A PostgreSQL database."""

    def __init__(self, connection: Any, name: str) -> None:
        self._connection = connection
        self.name = name

    def ask(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """As `Warehouse.ask`."""
        import psycopg

        try:
            # The driver's own cursor: SQL that was written for dbt is not formatted, a % in it stays.
            cursor = self._connection.execute(sql)
            return [column.name for column in cursor.description], cursor.fetchall()
        except psycopg.Error as error:
            absent = isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName)
            raise AskError(first_line(error), absent=absent) from None

    def near(self, relation: Relation) -> list[str]:
        """As `Warehouse.near`."""
        del relation
        return tables_where(self, "table_schema NOT IN ('pg_catalog', 'information_schema')")


@contextmanager
def open_postgres(values: Tree) -> Generator[Warehouse]:
    """The database of a profile's output, closed at the end; it can only be read.

    Raises `BadInput` when the output is malformed or the driver absent, `Unavailable` when nothing answers there.
    """
    try:
        import psycopg  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError:
        raise BadInput("the PostgreSQL driver is not installed", do='Run: pip install "assay[postgres]"') from None
    url = _url(values)
    engine = create_engine(url, connect_args=_options(values), isolation_level="AUTOCOMMIT")
    shown = url.render_as_string(hide_password=True).replace("postgresql+psycopg", "postgres", 1)
    try:
        with engine.connect() as connection:
            yield Postgres(connection.connection.driver_connection, shown)
    except DBAPIError as error:
        raise Unavailable(
            f"the warehouse {shown} does not answer",
            first_line(cast("Exception", error.orig)),
            do="Start it, or correct the target in profiles.yml.",
        ) from None
    finally:
        engine.dispose()


def _url(values: Tree) -> URL:
    return URL.create(
        "postgresql+psycopg",
        username=_text(values.get("user")),
        password=_text(values.get("password", values.get("pass"))),
        host=_text(values.get("host")),
        port=_number(values, "port", 5432),
        database=str(values["dbname"]),
    )


def _options(values: Tree) -> Tree:
    paths = f" -c search_path={str(values['search_path']).replace(' ', '')}" if values.get("search_path") else ""
    given = {key: values[key] for key in ("sslmode", "sslcert", "sslkey", "sslrootcert") if values.get(key)}
    return {
        "connect_timeout": _number(values, "connect_timeout", CONNECT_TIMEOUT_S),
        "options": f"-c default_transaction_read_only=on{paths}",
        **given,
    }


def _number(values: Tree, name: str, default: int) -> int:
    text = str(values.get(name) or default)
    if not text.isdecimal():
        raise BadInput(f"profiles.yml: {name} {text!r} is not a number", do="Correct it.")
    return int(text)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
