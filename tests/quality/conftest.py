"""The flights with what is known only after they left."""

import zipfile
from pathlib import Path

import pytest

from assay.cli.flights_data import build, package
from assay.store.duck import connect


@pytest.fixture(scope="session")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of flights with `dep_delay`, which nobody knows before departure."""
    folder = tmp_path_factory.mktemp("leaky")
    build(folder)
    zipfile.ZipFile(package() / "data" / "flights.csv.zip").extract("flights.csv", folder)
    with connect() as connection:
        connection.execute(
            f"CREATE TABLE delays AS SELECT concat(carrier, flight, ' ', origin, ' ', strftime(time_hour, '%Y-%m-%dT%HZ')) "
            f"AS flight, any_value(dep_delay) AS dep_delay FROM read_csv('{folder}/flights.csv', nullstr = 'NA', "
            "types = {'time_hour': 'TIMESTAMPTZ'}) GROUP BY 1"
        )
        connection.execute(
            f"COPY (SELECT f.*, d.dep_delay FROM read_parquet('{folder}/flights/*/*.parquet') f JOIN delays d USING (flight)) "
            f"TO '{folder}/leaky.parquet'"
        )
    return folder / "leaky.parquet"
