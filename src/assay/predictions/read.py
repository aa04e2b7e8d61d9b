"""Reads the prediction log: the tables, and the rows still in spools, as one."""

import re
from datetime import datetime
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from sqlalchemy import JSON

from assay.contract.formats.sql import literal, quoted
from assay.errors import BadInput, Unavailable
from assay.predictions.layout import Source, table_name
from assay.predictions.write import TOPIC, decode_segment
from assay.store import Home, Store
from assay.store.drain import snapshot
from assay.store.duck import connect
from assay.store.schema import metadata
from assay.store.tables import glob

# Not EXPLAIN: `EXPLAIN ANALYZE COPY ... TO` really writes the file.
_READS = [duckdb.StatementType.SELECT]


def read_rows(
    home: Home,
    model: str,
    source: Source = "served",
    *,
    since: datetime | None = None,
    request_id: str | None = None,
    day: tuple[int, str] | None = None,
) -> pa.Table | None:
    """The rows of a model, oldest first, with those not yet drained; None when there are none at all.

    `since` bounds when they were received; `request_id` is that of a request, or the id of a training run;
    `day` is a model version and the day (YYYY-MM-DD) that its rows are filed under.
    """
    connection = _connect()
    live = _live(home) if source == "served" else {}
    if not _add_view(connection, home, table_name(source, model), live):
        return None
    wanted = [f"received_at >= TIMESTAMPTZ {literal(since.isoformat())}"] if since else []
    wanted += [f"request_id = {literal(request_id)}"] if request_id is not None else []
    wanted += [f"model_version = {day[0]} AND day = {literal(day[1])}"] if day else []
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    name = ".".join(map(quoted, table_name(source, model).split(".")))
    return connection.sql(f"SELECT * FROM {name} {where} ORDER BY received_at, request_id, row").to_arrow_table()


def count_days(home: Home, model: str) -> dict[tuple[int, str], int]:
    """The served rows of each model version and day that they are filed under, those not yet drained included."""
    connection = _connect()
    if not _add_view(connection, home, table_name("served", model), _live(home)):
        return {}
    name = ".".join(map(quoted, table_name("served", model).split(".")))
    found = connection.sql(f"SELECT model_version, day, count(*) FROM {name} GROUP BY ALL ORDER BY ALL").fetchall()
    return {(version, day): rows for version, day, rows in found}


def open_sql(store: Store, query: str) -> pa.Table:
    """The answer to one SELECT over `served.*`, `trained.*` and the tables of the metadata database.

    Files below the project folder can be read by name. Raises `BadInput` for what is not a query or does not run.
    """
    home = store.home
    connection = _connect()
    try:
        if [statement.type for statement in connection.extract_statements(query)] != _READS:
            raise BadInput("assay sql only reads", do="Write one SELECT.")
        _add_log(connection, home)
        _add_metadata(connection, store, query)
        connection.execute(f"SET allowed_directories = [{literal(str(home.project))}, {literal(str(home.path))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection.sql(query).to_arrow_table()
    except duckdb.IOException as error:
        raise Unavailable(f"a table can't be read: {error}") from None
    except duckdb.Error as error:
        raise BadInput(f"the query does not run: {error}", do="See the tables: assay sql 'SHOW ALL TABLES'") from None


def _connect() -> duckdb.DuckDBPyConnection:
    connection = connect()
    connection.execute("CREATE SCHEMA served")
    connection.execute("CREATE SCHEMA trained")
    return connection


def _live(home: Home) -> dict[str, pa.Table]:
    """Rows that are still in spools, by table, with the day that they will be filed under."""
    found: dict[str, list[pa.Table]] = {}
    for segment in snapshot(home.spool, TOPIC):
        if segment.records:
            meta, rows = decode_segment(segment)
            days = rows.column(meta["day"]).cast(pa.date32()).cast(pa.string()).fill_null("1970-01-01")
            found.setdefault(table_name("served", meta["model"]), []).append(rows.append_column("day", days))
    return {name: pa.concat_tables(parts, promote_options="default") for name, parts in found.items()}


def _add_log(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    live = _live(home)
    stored = {path.name for path in home.tables.glob("*.*")}
    for name in sorted(stored | set(live)):
        _add_view(connection, home, name, live)


def _add_view(connection: duckdb.DuckDBPyConnection, home: Home, name: str, live: dict[str, pa.Table]) -> bool:
    # The spools were looked at before the tables: a segment drained meanwhile, or one that a killed drainer left half
    # way, is in both, and never in neither. Then the spool's rows count; those written later belong to the next query.
    stored = glob(home.tables, name)
    parts: list[str] = []
    if stored:
        parts.append(
            f"SELECT * FROM read_parquet({literal(stored)}, union_by_name = true, hive_partitioning = true, "
            "hive_types = {'day': 'VARCHAR'})"
        )
    if name in live:
        connection.register(f"live:{name}", live[name])
        spooled = live[name].column("segment").unique().to_pylist()
        parts = [f"{part} WHERE segment NOT IN ({', '.join(map(literal, spooled))})" for part in parts]
        parts.append(f"SELECT * FROM {quoted(f'live:{name}')}")
    if not parts:
        return False
    view = ".".join(map(quoted, name.split(".")))
    connection.execute(f"CREATE VIEW {view} AS {' UNION ALL BY NAME '.join(parts)}")
    return True


def _add_metadata(connection: duckdb.DuckDBPyConnection, store: Store, query: str) -> None:
    """The tables of the metadata database that the query names."""
    for table in metadata.sorted_tables:
        if re.search(rf"\b{table.name}\b", query, re.IGNORECASE):
            as_text = {column.name for column in table.columns if isinstance(column.type, JSON)}
            with store.database.read() as reader:
                rows: list[Any] = [
                    {
                        name: msgspec.json.encode(value).decode() if name in as_text else value
                        for name, value in row.items()
                    }
                    for row in reader.execute(table.select()).mappings()
                ]
            empty = {column.name: [] for column in table.columns}
            connection.register(table.name, pa.Table.from_pylist(rows) if rows else pa.table(empty))
