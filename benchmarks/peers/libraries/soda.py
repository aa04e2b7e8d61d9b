"""Soda 3 on the DuckDB 1.0 that it demands, over a view of the file."""

import json

import duckdb
from soda.scan import Scan
from twenty import FULL, RANGES, SETS


def prepare(file):
    # YAML of which JSON is a part; a value of nothing is missing for Soda, not invalid, as for the others.
    ranges = [
        {f"invalid_count({name}) = 0": {"valid min": low, "valid max": high}} for name, (low, high) in RANGES.items()
    ]
    sets = [{f"invalid_count({name}) = 0": {"valid values": values}} for name, values in SETS.items()]
    checks = json.dumps({"checks for flights": [*ranges, *sets, *(f"missing_count({name}) = 0" for name in FULL)]})

    def run():
        with duckdb.connect() as connection:
            connection.execute(f"CREATE VIEW flights AS FROM '{file}'")
            scan = Scan()
            scan.disable_telemetry()
            scan.set_data_source_name("duckdb")
            scan.add_duckdb_connection(connection, "duckdb")
            scan.add_sodacl_yaml_str(checks)
            scan.execute()
            scan.assert_no_error_logs()
            scan.assert_no_checks_fail()
            assert len(scan.get_scan_results()["checks"]) == len(RANGES) + len(SETS) + len(FULL)

    return run
