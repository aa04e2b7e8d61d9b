"""Delta and Iceberg: what their log deleted is not there."""

import importlib.util
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay
from assay.errors import BadInput, Unavailable

RULES = assay.Checks(assay.rows(min=3, max=3), assay.col("a").between(0, 5), assay.unique("a"))
TABLE = pa.table({"a": [1, 2, 99, 4], "d": ["x", "y", "x", "ü"]})


@pytest.fixture
def needs(request: pytest.FixtureRequest) -> None:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"MISSING: {request.param}. Run: make parts.")


needing = pytest.mark.parametrize("needs", ["deltalake"], indirect=True)
needing_iceberg = pytest.mark.parametrize("needs", ["pyiceberg"], indirect=True)


def log(folder: Path, *versions: list[dict[str, Any]]) -> str:
    """A Delta table by its log, as Spark writes it."""
    (folder / "_delta_log").mkdir(parents=True, exist_ok=True)
    fields = [
        {"name": "a", "type": "long", "nullable": True, "metadata": {}},
        {"name": "d", "type": "string", "nullable": True, "metadata": {}},
    ]
    vectors = ["deletionVectors"]
    begin: list[dict[str, Any]] = [
        {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": vectors,
                "writerFeatures": vectors,
            }
        },
        {
            "metaData": {
                "id": "t",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": {},
                "createdTime": 0,
            }
        },
    ]
    for number, actions in enumerate(versions):
        lines = [json.dumps(one) for one in (begin if number == 0 else []) + actions]
        (folder / "_delta_log" / f"{number:020}.json").write_text("\n".join(lines))
    return str(folder)


def add(folder: Path, name: str, table: pa.Table, **more: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / name)
    size = (folder / name).stat().st_size
    return {
        "add": {"path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True, **more}
    }


def deleted(row: int) -> dict[str, Any]:
    """A deletion vector of one row: a roaring bitmap, within the log."""
    bitmap = struct.pack("<IIHHIH", 12346, 1, 0, 0, 16, row)
    raw = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    padded = raw + bytes(-len(raw) % 4)
    text = "".join(_z85(padded[i : i + 4]) for i in range(0, len(padded), 4))
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(raw), "cardinality": 1}


def _z85(four: bytes) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    value, text = int.from_bytes(four, "big"), ""
    for _ in range(5):
        text, value = digits[value % 85] + text, value // 85
    return text


@needing
def test_files_that_the_log_removed_are_not_read(needs: None, tmp_path: Path) -> None:
    folder = tmp_path / "delta"
    good, bad = add(folder, "good.parquet", TABLE.take([0, 1, 3])), add(folder, "bad.parquet", TABLE.take([2]))
    place = log(folder, [good, bad])
    assert [one.status for one in assay.check(place, RULES).results] == ["fail", "fail", "pass"]
    log(folder, [good, bad], [{"remove": {"path": "bad.parquet", "dataChange": True, "deletionTimestamp": 1}}])
    assert assay.check(place, RULES).passed
    assert (folder / "bad.parquet").exists()


@needing
def test_rows_that_a_deletion_vector_names_are_not_read(needs: None, tmp_path: Path) -> None:
    folder = tmp_path / "delta"
    place = log(folder, [add(folder, "all.parquet", TABLE, deletionVector=deleted(2))])
    assert assay.check(place, RULES).passed


@needing
def test_a_delta_table_is_trained_on_and_grows_columns(needs: None, opened, tmp_path: Path) -> None:
    from deltalake import DeltaTable, write_deltalake

    class Hour(assay.Record):
        at: assay.EventTime
        d: str
        more: float | None

    times = pa.array([0, 3_600_000_000], pa.timestamp("us", "UTC"))
    write_deltalake(tmp_path / "hours", pa.table({"at": times, "d": ["x=1", "y"]}), partition_by=["d"])
    write_deltalake(
        tmp_path / "hours",
        pa.table({"at": times, "d": ["z", "z"], "more": [1.5, 2]}),
        mode="append",
        schema_mode="merge",
    )
    DeltaTable(tmp_path / "hours").delete("d = 'y'")
    assert sorted(assay.read("hours", Hour)["d"].to_pylist()) == ["x=1", "z", "z"]
    assert assay.read("hours", Hour, until="1970-01-01T00:30Z")["more"].to_pylist() in ([None, 1.5], [1.5, None])


@needing
def test_a_delta_table_that_lacks_a_file_is_named(needs: None, tmp_path: Path) -> None:
    folder = tmp_path / "delta"
    place = log(folder, [add(folder, "a.parquet", TABLE)])
    (folder / "a.parquet").unlink()
    with pytest.raises(Unavailable, match="delta"):
        assay.check(place, RULES)
    (folder / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(Unavailable, match="delta can't be read as a table of Delta"):
        assay.check(place, RULES)


@needing_iceberg
def test_rows_that_iceberg_deleted_are_not_read(needs: None, tmp_path: Path) -> None:
    from pyiceberg.catalog.memory import InMemoryCatalog

    catalog = InMemoryCatalog("c", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.trips", schema=TABLE.schema)
    table.append(TABLE)
    assert not assay.check(tmp_path / "shop" / "trips", RULES).passed
    table.delete("a = 99")
    assert assay.check(tmp_path / "shop" / "trips", RULES).passed
    for file in (tmp_path / "shop" / "trips" / "data").iterdir():
        file.unlink()
    with pytest.raises(Unavailable, match="trips can't be read"):
        assay.check(tmp_path / "shop" / "trips", RULES)


@pytest.mark.parametrize(("library", "word"), [("deltalake", "Delta"), ("pyiceberg", "Iceberg")])
def test_without_its_library_the_table_is_named(library: str, word: str, tmp_path: Path) -> None:
    place = tmp_path / "lake"
    if word == "Delta":
        log(place, [add(place, "a.parquet", TABLE)])
    else:
        (place / "metadata").mkdir(parents=True)
        (place / "metadata" / "00001-ab.metadata.json").write_text("{}")
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "import assay\nfrom assay.errors import BadInput\n"
        "try: assay.check(sys.argv[1], assay.Checks(assay.rows(min=1)))\n"
        "except BadInput as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(place)], capture_output=True, text=True, check=True)
    extra = word.lower()
    assert done.stdout == f'{place} is a table of {word}, which needs {library}\nRun: pip install "assay[{extra}]"\n'


def test_a_folder_of_delta_tables_is_no_table(tmp_path: Path) -> None:
    log(tmp_path / "all" / "one", [add(tmp_path / "x", "a.parquet", TABLE)])
    with pytest.raises(BadInput, match="one is a table of Delta"):
        assay.check(tmp_path / "all", RULES)
