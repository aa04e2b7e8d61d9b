"""Tables that somebody crafted: a sentence that names the file, or a right answer; never a traceback or a dead process."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.checks import Checks, check, col
from assay.errors import BadInput
from assay.quality import quality

MOST_BYTES, CPU_S = 3 << 29, 60
COMMANDS = ("contract", "infer", "quality", "drift", "read")
HEAD, LINE = b"k,at,x\n", b"a,2020-01-01T00:00:00Z,1\n"
#: One process asks all commands of all files: each start of Python costs more than most of the questions.
ASK = """
import contextlib, io, json, resource, sys, traceback
from pathlib import Path
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]),) * 2)
import assay
from assay.cli import main
from assay.errors import AssayError
sys.path.insert(0, "")
import rules

def asked(*arguments):
    said = io.StringIO()
    sys.argv = ["assay", *arguments]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main()
        except SystemExit as end:
            code = end.code
        except BaseException:
            code = "raised"
            traceback.print_exc(file=said)
    return code, said.getvalue()

def read(path):
    try:
        return 0, str(assay.read(path, rules.Row).num_rows)
    except AssayError as error:
        return error.exit_code, str(error)
    except BaseException:
        return "raised", traceback.format_exc()

for path in sys.stdin.read().split():
    print(json.dumps([path, "contract", *asked("check", path, "--contract", "rules:Row")]), flush=True)
    print(json.dumps([path, "infer", *asked("check", path, "--infer")]), flush=True)
    print(json.dumps([path, "quality", *asked("quality", path)]), flush=True)
    print(json.dumps([path, "drift", *asked("drift", path, "--time", "at")]), flush=True)
    print(json.dumps([path, "read", *read(path)]), flush=True)
print(json.dumps(["", "most", 0, str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)]))
"""
RULES = """
import assay
from typing import Annotated

class Row(assay.Record):
    k: assay.Key[str]
    at: assay.EventTime
    x: Annotated[float, assay.between(0, 10_000)]
"""


def ask(folder: Path, *names: str) -> dict[tuple[str, str], tuple[int, str]]:
    """The exit code and the words of each command for each file; asserts what holds for all of them."""
    (folder / "rules.py").write_text(RULES)
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(CPU_S)],
        cwd=folder,
        input=" ".join(names),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-500:], done.stderr[-500:])
    *answers, most = map(json.loads, done.stdout.splitlines())
    assert int(most[3]) < MOST_BYTES
    for name, command, code, said in answers:
        assert code in (0, 1, 2, 3), (name, command, said)
        assert "Traceback" not in said, (name, command, said)
        assert code < 2 or name in said, (name, command, said)
        assert code < 2 or len(said) < 3_000, (name, command, said)
    return {(name, command): (code, said) for name, command, code, said in answers}


def whole() -> bytes:
    made = pa.BufferOutputStream()
    at = pa.array(np.arange(5_000) * 1_000_000, pa.timestamp("us", "UTC"))
    table = pa.table({"k": [f"a{i}" for i in range(5_000)], "at": at, "x": np.arange(5_000.0)})
    pq.write_table(table, made)
    return made.getvalue().to_pybytes()


def footer(data: bytes, change: Callable[[bytes], bytes], size: int | None = None) -> bytes:
    """The file with another footer, or another length of it."""
    length = struct.unpack("<I", data[-8:-4])[0]
    changed = change(data[-8 - length : -8])
    return data[: -8 - length] + changed + struct.pack("<I", len(changed) if size is None else size) + b"PAR1"


def varint(number: int) -> bytes:
    low = bytes([number & 127 | (128 if number > 127 else 0)])
    return low + varint(number >> 7) if number > 127 else low


def same(data: bytes) -> bytes:
    return data


def dictionary_out_of_bounds() -> bytes:
    """Of two columns of dictionaries, one with 300 values and one with 2, each has the other's dictionary."""
    made = pa.BufferOutputStream()
    at = pa.array(np.arange(300) * 1_000_000, pa.timestamp("us", "UTC"))
    table = pa.table({"k": [f"{i:03}" for i in range(300)], "at": at, "x": np.arange(300.0)})
    pq.write_table(table, made, compression="none", use_dictionary=["k"], write_statistics=False)
    data = made.getvalue().to_pybytes()
    start = data.index(b"\x03\x00\x00\x00000")
    # The dictionary's first value has the length of all the others together: one value stands where 300 are named.
    return data[:start] + struct.pack("<I", 300 * 7 - 4) + data[start + 4 :]


def test_damaged_parquet_files_are_named(tmp_path: Path) -> None:
    data, random = whole(), np.random.default_rng(3)
    length = struct.unpack("<I", data[-8:-4])[0]

    def noisy(footer: bytes) -> bytes:
        changed = np.frombuffer(footer, np.uint8).copy()
        changed[random.integers(len(footer), size=8)] = random.integers(256, size=8)
        return changed.tobytes()

    files = {
        "cut": data[:-200],
        "longest": footer(data, same, 0xFFFFFFFF),
        "longer": footer(data, same, length + 1_000),
        "shorter": footer(data, same, length // 2),
        "none": footer(data, same, 0),
        "page": data[:200] + b"\xff" * 3_000 + data[3_200:],
        "index": dictionary_out_of_bounds(),
        "names": footer(data, lambda old: old.replace(b"\x01k", b"\x01\x9a")),
        "rows": footer(data, lambda old: old.replace(varint(10_000), varint(2 << 40))),
        **{f"noise{i}": footer(data, noisy) for i in range(4)},
    }
    for name, content in files.items():
        (tmp_path / f"{name}.parquet").write_bytes(content)
    said = ask(tmp_path, *(f"{name}.parquet" for name in files))
    for name in ("cut", "longest", "longer", "shorter", "none", "page", "names"):
        for command in COMMANDS:
            code, words = said[f"{name}.parquet", command]
            assert code == 3, (name, command, words)
            assert f"{name}.parquet can't be read" in words
            assert "Write it again: it is damaged or only half written." in words
    for command in COMMANDS:
        assert said["index.parquet", command][0] in (0, 3), command  # of rows that an engine need not read


def test_parquet_files_that_stand_for_much_more_than_their_size(tmp_path: Path) -> None:
    rows = 1_000_000
    same_value = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["v" * 1_000]))
    at = pa.array(np.zeros(rows, np.int64), pa.timestamp("us", "UTC"))
    part = pa.table({"k": same_value, "at": at, "x": np.zeros(rows)})
    with pq.ParquetWriter(tmp_path / "equal.parquet", part.schema, compression="zstd") as writer:
        for _ in range(4):
            writer.write_table(part, row_group_size=rows)
    pq.write_table(pa.table({f"c{i}": [1] for i in range(20_000)}), tmp_path / "wide.parquet")
    said = ask(tmp_path, "equal.parquet", "wide.parquet")
    assert "it has 20,000 columns, and may have 10,000" in said["wide.parquet", "infer"][1]
    assert said["equal.parquet", "contract"][0] == 1
    assert "rows(min=2000000)" in said["equal.parquet", "infer"][1]


def test_a_table_that_is_larger_than_memory_is_not_read_whole(tmp_path: Path) -> None:
    data = footer(whole(), lambda old: old.replace(varint(10_000), varint(2 << 40)))
    (tmp_path / "rows.parquet").write_bytes(data)
    code, said = ask(tmp_path, "rows.parquet")["rows.parquet", "read"]
    assert code == 2
    assert "needs more memory than there is\n  its 1,099,511,627,776 rows take at least" in said


def nested(depth: int, kind: str) -> pa.Array:
    """One value of lists, structs or maps in each other."""
    made = pa.array([1])
    for _ in range(depth):
        if kind == "list":
            made = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), made)
        elif kind == "map":
            made = pa.MapArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["key"]), made)
        else:
            made = pa.StructArray.from_arrays([made], ["below"])
    return made


def beside(values: pa.Array) -> pa.Table:
    at = pa.array([0], pa.timestamp("us", "UTC"))
    return pa.table({"k": ["a"], "at": at, "x": [1.0], "inner": values})


def test_columns_that_are_nested_too_deep_are_named(tmp_path: Path) -> None:
    depths = {"most": 16, "more": 17, "deep": 40, "deeper": 200, "deepest": 1_000}
    files = {f"{kind}_{name}": nested(depth, kind) for kind in ("list", "struct") for name, depth in depths.items()}
    files |= {"map_deep": nested(20, "map")}
    for name, values in files.items():
        pq.write_table(beside(values), tmp_path / f"{name}.parquet")
    said = ask(tmp_path, *(f"{name}.parquet" for name in files))
    for (name, command), (code, words) in said.items():
        if name.endswith("_most.parquet"):
            assert code == 0, (name, command, words)
            continue
        assert code == 2, (name, command, words)
        if not name.endswith("_deepest.parquet") and (command, name.rpartition("_")[2]) != ("read", "deeper.parquet"):
            assert "the column inner is nested more than 16 deep" in words, (name, command)


@pytest.mark.parametrize("kind", ["list", "struct", "map"])
@pytest.mark.parametrize("look", [Checks.infer, quality, lambda frame: check(frame, Checks(col("k").nulls()))])
def test_frames_that_are_nested_too_deep_name_the_column(kind: str, look: Callable[[object], object]) -> None:
    for depth in (17, 200, 1_000):
        with pytest.raises(
            BadInput, match=r"pyarrow\.Table can't be read\n  the column inner is nested more than 16 deep"
        ):
            look(beside(nested(depth, kind)))
    assert look(beside(nested(10, kind)))


@pytest.mark.parametrize("look", [Checks.infer, quality])
def test_frames_of_other_libraries_that_are_nested_too_deep(look: Callable[[object], object]) -> None:
    value: object = 1
    for _ in range(60):
        value = [value]
    for frame in (pl.DataFrame({"k": ["a"], "inner": [value]}), pl.LazyFrame({"k": ["a"], "inner": [value]})):
        with pytest.raises(BadInput, match="the column inner is nested more than 16 deep"):
            look(frame)
    with pytest.raises(BadInput, match="the column inner is nested more than 16 deep"):
        look(pd.DataFrame({"k": ["a"], "inner": [value]}))


def test_arrow_files_are_read_or_named_whatever_is_in_them(tmp_path: Path) -> None:
    made = pa.BufferOutputStream()
    table = beside(nested(2, "list"))
    with pa.ipc.new_file(made, table.schema) as writer:
        writer.write_table(table)
    whole_file = made.getvalue().to_pybytes()
    deep = pa.BufferOutputStream()
    with pa.ipc.new_file(deep, beside(nested(40, "list")).schema) as writer:
        writer.write_table(beside(nested(40, "list")))
    random = np.random.default_rng(5)
    files = {
        "whole.arrow": whole_file,
        "whole.feather": whole_file,
        "folder/whole.arrow": whole_file,
        "deep.arrow": deep.getvalue().to_pybytes(),
        "cut.arrow": whole_file[:-100],
        "longest.arrow": whole_file[:-10] + b"\xff\xff\xff\x7f" + whole_file[-6:],
        "noise.arrow": random.bytes(10_000),
        "empty.arrow": b"",
        "zstd.csv.zst": b"\x28\xb5\x2f\xfd" + random.bytes(100),
        "lines.json": b"[" * 100_000,
    }
    odd = {f"odd{i}.arrow": bytearray(whole_file) for i in range(60)}
    for content in odd.values():
        for place in random.integers(8, len(content) - 8, 3):
            content[place] ^= 1 << int(random.integers(8))
    (tmp_path / "folder").mkdir()
    for name, content in (files | odd).items():
        (tmp_path / name).write_bytes(content)
    said = ask(tmp_path, *files, *odd, "folder")
    for (name, command), (code, words) in said.items():
        if name in odd:
            assert code in (0, 1, 2, 3), (name, command, words)
        elif "whole" in name or name == "folder":
            assert code == 0, (name, command, words)
        else:
            expected = 2 if name in ("deep.arrow", "zstd.csv.zst") else 3
            assert code == expected, (name, command, words)
            assert name in words
    assert "nested more than 16 deep" in said["deep.arrow", "contract"][1]


def test_times_that_no_calendar_has(tmp_path: Path) -> None:
    first, last = -(1 << 62), 1 << 62
    table = pa.table({"k": ["a", "b"], "at": pa.array([first, last], pa.timestamp("us", "UTC")), "x": [1.0, 2.0]})
    pq.write_table(table, tmp_path / "ages.parquet")
    said = ask(tmp_path, "ages.parquet")
    assert said["ages.parquet", "drift"][0] == 2
    assert "ages.parquet has too many windows" in said["ages.parquet", "drift"][1]
    assert said["ages.parquet", "infer"][0] == 0


def csv_files() -> dict[str, bytes]:
    return {
        "line": b"a" * 30_000_000,
        "commas": b"a," * 20_000,
        "columns": b",".join(b"c%d" % i for i in range(200_000)) + b"\n" + b",".join([b"1"] * 200_000) + b"\n",
        "second": HEAD + b"a" * 10_000_000,
        "nul": HEAD + LINE * 100 + bytes(100_000) + b"\n",
        "mixed": HEAD + LINE.replace(b"a", b"caf\xe9", 1) * 100 + LINE.replace(b"a", "é".encode(), 1) * 100,
        "late": HEAD + LINE * 50_000 + LINE.replace(b"a", b"caf\xe9", 1),
        "quote": HEAD + LINE + b'"' + LINE * 200_000,
        "quotes": HEAD + b'"' * 1_000_000,
        "utf16": (HEAD + LINE * 100).decode().encode("utf-16"),
        "noise": np.random.default_rng(1).bytes(1_000_000),
        "feeds": b"\n" * 100_000,
        "empty": b"",
    }


def test_odd_csv_files_are_named(tmp_path: Path) -> None:
    for name, content in csv_files().items():
        (tmp_path / f"{name}.csv").write_bytes(content)
    said = ask(tmp_path, *(f"{name}.csv" for name in csv_files()))
    for command in ("contract", "infer", "quality"):
        assert "its first line is longer than 2,000,000 bytes" in said["line.csv", command][1]
        assert "it has 200,000 columns, and may have 10,000" in said["columns.csv", command][1]
        for name in ("line", "commas", "columns", "second"):
            assert said[f"{name}.csv", command][0] == 2, (name, command)


def test_rules_of_very_many_columns_are_inferred(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(1_200)]
    (tmp_path / "wide.csv").write_text("\n".join(",".join(one) for one in (names, ["1"] * 1_200, ["2"] * 1_200)))
    done = subprocess.run(
        [sys.executable, "-m", "assay", "check", "wide.csv", "--infer"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert 'col("c1199")' in done.stdout
