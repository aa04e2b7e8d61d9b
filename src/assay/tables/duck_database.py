"""A table in a database file of DuckDB, read where it lies."""

from pathlib import Path

import duckdb

from assay.contract.formats.sql import literal, quoted
from assay.errors import BadInput, NotFound, Unavailable, near_miss
from assay.tables.duck import DuckTable, connected, view_over
from assay.tables.reading import first_line, reading

_SOURCE = "source"


def open_duckdb(file: Path, table: str) -> DuckTable:
    """Open a table or view, named like `orders` or `shop.orders`; it may be left out where there is only one.

    The file is opened for reading only, and its views read no other files.
    Raises `NotFound` when there is no such table, `Unavailable` while another program writes the file.
    """
    connection = connected()
    try:
        _attach(connection, file)
        # rowid only counts a table that was never changed; a view has none.
        found = _tables(connection)
        name = _chosen(file, table, list(found))
        shown = f"{file}#{name}"
        with reading(shown, in_memory=True):
            place = ".".join(map(quoted, [_SOURCE, *found[name]]))
            types = view_over(connection, shown, place, file="NULL::VARCHAR", row="NULL::BIGINT")
            return DuckTable(connection, shown, types)
    except BaseException:
        connection.close()
        raise


def _attach(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    try:
        connection.execute(f"ATTACH {literal(str(file))} AS {_SOURCE} (READ_ONLY)")
        connection.execute("SET enable_external_access = false")
    except duckdb.Error as error:
        said = first_line(error)
        if "set lock" in said or "handle conflict" in said or "already attached" in said:
            do = "Close the program or the connection that writes it: meanwhile DuckDB lets nobody else read."
            raise Unavailable(f"{file} is open elsewhere", said, do=do) from None
        raise Unavailable(f"{file} can't be read", said, do="Write it again, or with this version of DuckDB.") from None


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, str]]:
    """The tables and views as people name them, with schema and name."""
    asked = (
        f"SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = '{_SOURCE}' UNION ALL "
        f"SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = '{_SOURCE}' AND NOT internal"
    )
    found = sorted(connection.execute(asked).fetchall())
    return {name if schema == "main" else f"{schema}.{name}": (schema, name) for schema, name in found}


def _chosen(file: Path, table: str, known: list[str]) -> str:
    if table in known:
        return table
    if not table and len(known) == 1:
        return known[0]
    if not table:
        what = f"it has {', '.join(known) or 'none'}"
        raise BadInput(
            f"{file} names no table", what, do=f"Name one after #, like {file.name}#{(known or ['orders'])[0]}"
        )
    hint = near_miss(table, known)
    raise NotFound(f"{file} has no table {table}", *[hint] * bool(hint), do="Name one of its tables after #.")
