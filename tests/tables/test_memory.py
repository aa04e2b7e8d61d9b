"""Small files that stand for very much: a right answer or a sentence, within the memory that a process may take."""

import gzip
import json
import os
import subprocess
import sys
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.errors import BadInput
from assay.tables.gather import gather

MIB = 1 << 20
#: What the process has when everything is imported is not counted.
LIMITED = """
import json, resource, sys
from pathlib import Path
import assay, rules
from assay.checks import Checks, check
from assay.errors import AssayError
from assay.quality import quality
from assay.tables import files, read_rows
import duckdb, pyarrow.dataset, pyarrow.parquet

more, path = int(sys.argv[1]), sys.argv[2]
asks = {
    "contract": lambda: check(path, rules.Row).rows,
    "infer": lambda: repr(Checks.infer(path)),
    "quality": lambda: quality(path).rows,
    "read": lambda: assay.read(path, rules.Row).num_rows,
}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + more,) * 2)
found = {}
for name in sys.argv[3:]:
    try:
        found[name] = 0, asks[name]()
    except AssayError as error:
        found[name] = error.exit_code, str(error)
print(json.dumps([found, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10]))
"""
RULES = """
import assay

class Row(assay.Record):
    k: str
    at: assay.EventTime
    x: float
"""


def within(more: int, path: Path, *commands: str, most: int | None = None) -> dict[str, tuple[int, Any]]:
    """The exit code and the answer of each command, by a process that may take so many more bytes; `most` of them in memory."""
    (path.parent / "rules.py").write_text(RULES)
    spill = path.parent / "spill"
    spill.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(more), path.name, *commands],
        cwd=path.parent,
        env=os.environ | {"TMPDIR": str(spill)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-500:], done.stderr[-800:])
    found, taken = json.loads(done.stdout.splitlines()[-1])
    assert taken < (most or more)
    assert not list(spill.iterdir())
    return {name: tuple(one) for name, one in found.items()}


def moments(rows: int) -> pa.Array:
    return pa.array(np.zeros(rows, np.int64), pa.timestamp("us", "UTC"))


@pytest.mark.slow
def test_a_gzipped_table_of_more_rows_than_memory_is_checked(tmp_path: Path) -> None:
    rows, columns = 3_000_000, 20
    line = b",".join([b"a"] * columns) + b"\n"
    head = b",".join(b"c%d" % i for i in range(columns)) + b"\n"
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(head + line * rows))
    assert (tmp_path / "bomb.csv.gz").stat().st_size < MIB
    code, said = within(1_500 * MIB, tmp_path / "bomb.csv.gz", "contract", most=900 * MIB)["contract"]
    assert (code, said) == (0, rows)  # which take 1,000 MiB


def test_pages_that_unpack_to_more_than_memory_are_refused(tmp_path: Path) -> None:
    table = pa.table({"k": pa.array(["v" * (300 * MIB)], pa.large_string()), "at": moments(1), "x": [1.0]})
    pq.write_table(table, tmp_path / "page.parquet", compression="zstd", use_dictionary=False, write_statistics=False)
    del table
    assert (tmp_path / "page.parquet").stat().st_size < MIB
    for name, (code, said) in within(600 * MIB, tmp_path / "page.parquet", "infer", "quality", "read").items():
        assert code in (2, 3), (name, said)
        assert said.startswith("page.parquet needs more memory than there is\n"), (name, said)


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 million equal rows, in a file of less than a MiB."""
    path, rows = tmp_path_factory.mktemp("equal") / "equal.parquet", 1_000_000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["a"]))
    part = pa.table({"k": texts, "at": moments(rows), "x": np.zeros(rows)})
    with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(50):
            writer.write_table(part, row_group_size=rows)
    return path


def test_equal_rows_that_have_no_room_are_refused_before_they_are_read(equal: Path) -> None:
    assert equal.stat().st_size < MIB
    code, said = within(1_200 * MIB, equal, "read")["read"]
    assert code == 2
    assert said.startswith("equal.parquet needs more memory than there is\n  its 50,000,000 rows take at least 2,")
    assert said.endswith(
        "Read fewer days at once: give until= and last=. Or write a sample of the table, and read that."
    )


def test_long_texts_that_have_no_room_are_refused(tmp_path: Path) -> None:
    rows = 1_000_000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["v" * 1_000]))
    part = pa.table({"k": texts, "at": moments(rows), "x": np.zeros(rows)})
    part = part.replace_schema_metadata()
    with pq.ParquetWriter(tmp_path / "long.parquet", part.schema, compression="zstd", store_schema=False) as writer:
        for _ in range(2):
            writer.write_table(part)
    assert (tmp_path / "long.parquet").stat().st_size < MIB
    code, said = within(1_500 * MIB, tmp_path / "long.parquet", "read")["read"]
    assert code == 2, said
    assert said.startswith("long.parquet needs more memory than there is\n"), said


def test_rows_are_counted_while_they_come() -> None:
    part = pa.record_batch({"x": np.zeros(8 * MIB)})  # one and the same: what is counted takes no memory
    with pytest.raises(
        BadInput, match=r"t needs more memory than there is\n  the first [\d,]+ rows take [\d,]+ MiB until"
    ):
        gather("t", repeat(part), part.schema)
    assert gather("t", [part], part.schema).num_rows == part.num_rows
