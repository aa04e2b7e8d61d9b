"""`assay sql`: one SELECT over the prediction log and the metadata database, streamed."""

import re
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from assay.contract.formats.sql import literal
from assay.errors import BadInput, Unavailable
from assay.predictions.metadata import MetadataTable, metadata_tables
from assay.predictions.read import add_log, connect_log
from assay.store import Store

# Not EXPLAIN: `EXPLAIN ANALYZE COPY ... TO` really writes the file.
_READS = [duckdb.StatementType.SELECT]
#: DuckDB's own lists those of one schema only.
_SHOWS_TABLES = re.compile(r"(?i)\s*show\s+tables\s*;?\s*")
_TABLES = """
SELECT CASE WHEN schema IN ('served', 'trained') THEN schema || '.' || name ELSE name END AS "table",
       array_to_string(column_names, ', ') AS columns
FROM (SHOW ALL TABLES) ORDER BY schema NOT IN ('served', 'trained'), 1
"""
#: Rows of the answer that are in memory at a time.
BATCH = 10_000
#: What a sort or a join may take before it goes on with files.
MEMORY = "1GiB"


def open_sql(store: Store, query: str) -> pa.Table:
    """The whole answer of `stream_sql`, in memory."""
    with stream_sql(store, query) as answer:
        return answer.read_all()


@contextmanager
def stream_sql(store: Store, query: str) -> Generator[pa.RecordBatchReader]:
    """The answer to one SELECT over `served.*`, `trained.*` and the tables of the metadata database, batch by batch.

    Files below the project folder can be read by name. Raises `BadInput` for what is not a query or does not run.
    """
    home, query = store.home, _TABLES if _SHOWS_TABLES.fullmatch(query) else query
    with TemporaryDirectory(prefix="assay-sql-") as spill, closing(connect_log()) as connection:
        tables: dict[str, MetadataTable] = {}
        with _errors(tables):
            if [statement.type for statement in connection.extract_statements(query)] != _READS:
                raise BadInput("assay sql only reads", do="Write one SELECT.")
            connection.execute(f"SET temp_directory = {literal(spill)}")
            connection.execute(f"SET memory_limit = {literal(MEMORY)}")
            add_log(connection, home, query)
            tables |= metadata_tables(store, query)
            for name, table in tables.items():
                connection.register(name, table)
            connection.execute(f"SET allowed_directories = [{literal(str(home.project))}, {literal(str(home.path))}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            answer = connection.sql(query).to_arrow_reader(BATCH)
            yield pa.RecordBatchReader.from_batches(answer.schema, _told(answer, tables))


def _told(answer: Iterable[pa.RecordBatch], tables: dict[str, MetadataTable]) -> Generator[pa.RecordBatch]:
    with _errors(tables):
        yield from answer


@contextmanager
def _errors(tables: dict[str, MetadataTable]) -> Generator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        ours = next((table.error for table in tables.values() if table.error), None)
        if ours:
            raise ours from None
        if isinstance(error, duckdb.IOException):
            raise Unavailable(f"a table can't be read: {error}") from None
        raise BadInput(f"the query does not run: {error}", do="List the tables: assay sql 'SHOW TABLES'") from None
