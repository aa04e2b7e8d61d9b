"""Twenty checks of the flights table by one library; prints the median seconds of five runs and the peak MiB."""

import statistics
import sys
import time
from pathlib import Path

RANGES = {
    "distance": (10, 5000), "plane_year": (1950, 2013), "seats": (1, 500), "temp": (-20, 120), "wind_speed": (0, 100),
    "precip": (0, 5), "pressure": (900, 1100), "visib": (0, 10), "copy": (0, 29), "code": (0, 4042),
}  # fmt: skip
SETS = {
    "origin": ["EWR", "JFK", "LGA"],
    "carrier": ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"],
}
FULL = ["flight", "scheduled", "carrier", "origin", "dest", "distance", "copy", "code"]


def assay(file):
    from assay.checks import Checks, check, col

    rules = Checks(
        *(col(name).between(low, high) for name, (low, high) in RANGES.items()),
        *(col(name).isin(*values) for name, values in SETS.items()),
        *(col(name).nulls() for name in FULL),
    )
    return lambda: check(file, rules).raise_for_failure()


def decode(file):
    import duckdb

    connection = duckdb.connect()
    names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()]
    query = f"SELECT {', '.join(f'bit_xor(hash({name}))' for name in names)} FROM '{file}'"
    return lambda: connection.execute(query).fetchall()


def pandera(file):
    import pandera.polars as pa
    import polars as pl

    columns = {name: [pa.Check.in_range(low, high)] for name, (low, high) in RANGES.items()}
    columns |= {name: [pa.Check.isin(values)] for name, values in SETS.items()}
    schema = pa.DataFrameSchema(
        {name: pa.Column(checks=columns.get(name, []), nullable=name not in FULL) for name in {*columns, *FULL}}
    )
    return lambda: schema.validate(pl.read_parquet(file), lazy=True)


def pointblank(file):
    import pointblank as pb
    import polars as pl

    def run():
        asked = pb.Validate(pl.read_parquet(file))
        for name, (low, high) in RANGES.items():
            asked = asked.col_vals_between(name, low, high, na_pass=True)
        for name, values in SETS.items():
            asked = asked.col_vals_in_set(name, values)
        assert asked.col_vals_not_null(FULL).interrogate().all_passed()

    return run


if __name__ == "__main__":
    run = globals()[sys.argv[1]](sys.argv[2])
    times = []
    for _ in range(6):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be that of the process that started this one
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(statistics.median(times[1:]), peak_kib / 1024)
