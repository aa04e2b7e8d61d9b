"""DuckDB connections, all with the same settings."""

import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB whose times are in UTC and that never goes to the network."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    return connection
