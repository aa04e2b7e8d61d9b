"""`dbt test` with dbt-duckdb over the file as an external source, in one process; its own parsing is part of it."""

import json
import tempfile
from pathlib import Path

from dbt.cli.main import dbtRunner
from twenty import FULL, RANGES, SETS

# dbt has no range of its own, and dbt_utils, which has, is no package of Python.
IN_RANGE = """{% test in_range(model, column_name, low, high) %}
select {{ column_name }} from {{ model }} where {{ column_name }} < {{ low }} or {{ column_name }} > {{ high }}
{% endtest %}"""


def prepare(file):
    folder = Path(tempfile.mkdtemp())
    (folder / "macros").mkdir()
    (folder / "models").mkdir()
    (folder / "macros" / "in_range.sql").write_text(IN_RANGE)
    # JSON is a part of YAML.
    (folder / "dbt_project.yml").write_text(
        json.dumps({"name": "flights", "profile": "flights", "version": "1.0", "config-version": 2})
    )
    target = {"type": "duckdb", "path": ":memory:", "threads": 2}
    (folder / "profiles.yml").write_text(json.dumps({"flights": {"target": "here", "outputs": {"here": target}}}))
    table = {"name": "flights", "columns": [{"name": name, "data_tests": tests} for name, tests in _tests().items()]}
    source = {"name": "raw", "config": {"meta": {"external_location": str(file)}}, "tables": [table]}
    (folder / "models" / "sources.yml").write_text(json.dumps({"version": 2, "sources": [source]}))

    def run():
        said = dbtRunner().invoke(
            ["--quiet", "--no-send-anonymous-usage-stats", "test", "--project-dir", folder, "--profiles-dir", folder]
        )
        assert said.success, said.exception or [(one.node.name, one.message) for one in said.result.results]
        assert len(said.result.results) == len(RANGES) + len(SETS) + len(FULL)

    return run


def _tests():
    tests = {name: [{"in_range": {"arguments": {"low": a, "high": b}}}] for name, (a, b) in RANGES.items()}
    tests |= {name: [{"accepted_values": {"arguments": {"values": values}}}] for name, values in SETS.items()}
    return {name: tests.get(name, []) + ["not_null"] * (name in FULL) for name in {*tests, *FULL}}
