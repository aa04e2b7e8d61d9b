"""Flights many times over, 20 columns, for the benchmarks that need more rows than there were flights."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

#: As DuckDB makes them.
GROUP_ROWS = 122_880


def write(copies: int, told: Path, silent: Path | None = None) -> int:
    """Write the year's flights `copies` times, one after another, to `told` and without statistics to `silent`.

    Rows in the order of time: side by side, equal rows would shrink to a tenth and be decoded in no time.
    Returns the count of rows.
    """
    flights = _flights()
    with ExitStack() as stack:
        sinks: Sequence[pq.ParquetWriter] = [
            stack.enter_context(
                pq.ParquetWriter(file, flights.schema, compression="zstd", write_statistics=file is told)
            )
            for file in (told, silent)
            if file
        ]
        for copy in _copies(flights, copies):
            for sink in sinks:
                sink.write_table(copy, row_group_size=GROUP_ROWS)
    return copies * flights.num_rows


def _copies(flights: pa.Table, copies: int) -> Iterator[pa.Table]:
    place = flights.schema.get_field_index("copy")
    for copy in range(copies):
        column = pa.repeat(pa.scalar(copy, pa.int32()), flights.num_rows)
        yield flights.set_column(place, "copy", column)


def _flights() -> pa.Table:
    from assay.cli.flights_data import build

    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        build(Path(folder))
        return connection.sql(
            "SELECT * EXCLUDE (day), 0::INTEGER AS copy, distance / 5 AS miles5, temp - 32 AS above, "
            "carrier || origin AS desk, (hash(flight) % 4043)::BIGINT AS code, seats * 2 AS seats2 "
            f"FROM read_parquet('{folder}/flights/*/*.parquet') ORDER BY scheduled"
        ).to_arrow_table()
