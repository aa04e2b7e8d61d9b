"""What Neptune's exporter left comes over whole, value by value; hostile exports are refused by name."""

import json
import math
import shutil
from pathlib import Path

import neptune_export as export
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from neptune_export import at, file, part, point, put, series, single, write
from sqlalchemy import select

from assay.cli import cli
from assay.errors import NotFound
from assay.exchange import bring, open_neptune
from assay.store import Home, Store
from assay.store.schema import model_versions, run_artifacts
from assay.track.find import RunRow, search
from assay.track.points import Point, history, microseconds

SYS = [
    single("sys/creation_time", "datetime", export.BEGAN),
    single("sys/running_time", "float", 90.5),
    single("sys/owner", "string", "ann"),
    single("sys/name", "string", "first try"),
    single("sys/tags", "string_set", ["a", "b"]),
    single("sys/description", "string", "a note"),
]


def _filled(root: Path) -> Path:
    params = [
        single("parameters/depth", "int", 2**63 - 1),
        single("parameters/least", "int", -(2**63)),
        single("parameters/rate", "float", 0.1),
        single("parameters/far", "float", math.inf),
        single("parameters/nested/deep/ünï 🛫", "string", "çode\n" * 2000),
        single("parameters/on", "bool", True),
        single("parameters/none", "string", None),
    ]
    points = [point("metrics/loss", str(i), 1 / (i + 1), i / 1000) for i in range(25_000)]
    odd = [
        point("metrics/odd", "-5", None),
        point("metrics/odd", "0", math.inf),
        point("metrics/odd", "1", -math.inf),
        point("metrics/odd", "2", 5e-324, None),
        point("metrics/part", "0.5", 1.0),
        point("metrics/part", "1.25", 2.0),
        point("metrics/far", "999999999999", 3.0),
    ]
    texts = [series("monitoring/stdout", str(i), f"line {i} \U0001f6eb") for i in range(3)]
    histogram = (
        "train/weights",
        "histogram_series",
        {"step": 1, "histogram_value": {"type": "COUNTING", "edges": [0.0, 1.0], "values": [3.0]}},
    )
    files = [
        file("model/weights", "FLY-1/model/weights.bin"),
        file("empty", "FLY-1/empty"),
        file("images/roc", "FLY-1/images/roc/1.png", "file_series", "1"),
        file("images/roc", "FLY-1/images/roc/2_5.png", "file_series", "2.5"),
        file("source", "FLY-1/source", "file_set"),
        file("odd/../name\\x", "FLY-1/odd"),
    ]
    write(root, "FLY-1", SYS + params, points + odd, [*texts, histogram, *files])
    for where in ("model/weights.bin", "images/roc/1.png", "images/roc/2_5.png", "source/deep/a.py", "odd"):
        put(root, f"FLY-1/{where}", where.encode())
    put(root, "FLY-1/empty", b"")
    child = [
        single("sys/forking/parent", "string", "FLY-1"),
        single("sys/failed", "bool", True),
        single("sys/trashed", "bool", True),
    ]
    write(root, "FLY-2", [*SYS, *child])
    write(root, "FLY-1", SYS, project="team/other")
    return root


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return _filled(tmp_path / "exports")


def _runs(store: Store) -> dict[str, RunRow]:
    return {f"{run.experiment}/{run.name}": run for run in search(store, deleted=None, limit=100).runs}


def _files(store: Store, run: str) -> dict[str, bytes]:
    with store.database.read() as connection:
        asked = select(run_artifacts.c.name, run_artifacts.c.digest).where(run_artifacts.c.run_id == run)
        return {name: store.artifacts.get(digest) for name, digest in connection.execute(asked)}


def _check_all(store: Store) -> None:
    runs = _runs(store)
    assert set(runs) == {"team/flights/FLY-1", "team/flights/FLY-2", "team/other/FLY-1"}
    run, child = runs["team/flights/FLY-1"], runs["team/flights/FLY-2"]
    assert (run.status, run.user, run.started_at) == ("finished", "ann", export.BEGAN)
    assert (run.ended_at - run.started_at).total_seconds() == 90.5
    assert (child.status, child.parent_id, child.deleted_at is not None) == ("failed", run.id, True)
    assert run.params["parameters/depth"] == 2**63 - 1
    assert run.params["parameters/least"] == -(2**63)
    assert run.params["parameters/rate"] == 0.1
    assert run.params["parameters/far"] == "inf"
    assert run.params["parameters/nested/deep/ünï 🛫"] == "çode\n" * 2000
    assert run.params["parameters/on"] is True
    assert run.params["sys/tags"] == ["a", "b"]
    assert run.params["sys/creation_time"] == "2025-06-01T12:00:00.123000+00:00"
    assert "parameters/none" not in run.params
    assert run.tags["neptune.tags"] == "a, b"
    assert run.tags["mlflow.note.content"] == "a note"
    loss = history(store, run.id, "metrics/loss")
    assert [(p.step, p.value, p.at_us) for p in loss] == [
        (i, 1 / (i + 1), microseconds(at(i / 1000)) // 1000 * 1000) for i in range(25_000)
    ]
    odd = sorted(history(store, run.id, "metrics/odd"), key=lambda p: p.step)
    assert math.isnan(odd[0].value)
    assert [(p.step, p.value) for p in odd[1:]] == [(0, math.inf), (1, -math.inf), (2, 5e-324)]
    assert odd[0].step == -5
    assert odd[3].at == export.BEGAN
    when = microseconds(at(1)) // 1000 * 1000
    assert history(store, run.id, "metrics/part") == [
        Point("metrics/part", 1.0, 50, when),
        Point("metrics/part", 2.0, 125, when),
    ]
    assert run.tags["neptune.step_unit.metrics/part"] == "1e-2"
    assert history(store, run.id, "metrics/far")[0].step == 999_999_999_999
    files = _files(store, run.id)
    told = [json.loads(line) for line in files.pop("monitoring/stdout.jsonl").splitlines()]
    assert [(one["step"], one["value"]) for one in told] == [(str(i), f"line {i} \U0001f6eb") for i in range(3)]
    [weights] = [json.loads(line) for line in files.pop("train/weights.jsonl").splitlines()]
    assert weights["value"] == {"type": "COUNTING", "edges": [0.0, 1.0], "values": [3.0]}
    assert files == {
        "model/weights": b"model/weights.bin",
        "empty": b"",
        "images/roc/step_1.png": b"images/roc/1.png",
        "images/roc/step_2.5.png": b"images/roc/2_5.png",
        "source/deep/a.py": b"source/deep/a.py",
        "odd/%2E%2E/name%5Cx": b"odd",
    }


def test_an_export_comes_whole_and_once(store: Store, exported: Path) -> None:
    summary = bring(store, open_neptune(exported))
    assert (summary.runs, summary.points, summary.artifacts, summary.complete) == (3, 25_007, 8, True)
    _check_all(store)
    again = bring(store, open_neptune(exported))
    assert (again.changed, again.runs_unchanged) == (False, 3)
    assert not list((store.home.path / "tmp").iterdir())


def test_an_export_comes_whole_into_postgres(
    new_postgres: str, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATABASE", new_postgres)
    store = Store(Home(tmp_path / "other"))
    try:
        assert bring(store, open_neptune(exported)).complete
        _check_all(store)
    finally:
        store.database.dispose()


def test_the_data_alone_with_its_files_elsewhere(store: Store, exported: Path, tmp_path: Path) -> None:
    shutil.move(exported / "files", tmp_path / "cold")
    summary = bring(store, open_neptune(exported / "data"))
    assert "model/weights: it can't be read: No such file or directory" in summary.unfinished["team/flights/FLY-1"]
    command = ["import", "neptune", str(exported / "data"), "--files", str(tmp_path / "cold")]
    done = CliRunner().invoke(cli, [*command, "--home", str(store.home.path)])
    assert (done.exit_code, "1 runs came" in done.output) == (0, True), done.output
    _check_all(store)


def test_models_come_with_their_versions(store: Store, tmp_path: Path) -> None:
    made = single("sys/creation_time", "datetime", export.BEGAN)
    write(tmp_path, "FLY-MOD", [made], scope="models", data="model_data")
    rows = [made, single("sys/stage", "string", "production"), file("binary", "model_versions/FLY-MOD-1/binary")]
    write(tmp_path, "FLY-MOD-1", rows, scope="model_versions", data="model_data")
    write(tmp_path, "FLY-MOD-2", [made], scope="model_versions", data="model_data")
    put(tmp_path, "model_versions/FLY-MOD-1/binary", b"weights", files="model_files")
    summary = bring(store, open_neptune(tmp_path))
    assert (summary.complete, summary.runs, summary.registered_models) == (True, 3, 1)
    with store.database.read() as connection:
        rows = connection.execute(select(model_versions).order_by(model_versions.c.version)).mappings().all()
    assert [(row["model"], row["version"], row["stage"]) for row in rows] == [
        ("FLY-MOD", 1, "Production"),
        ("FLY-MOD", 2, "None"),
    ]
    assert _files(store, rows[0]["run_id"]) == {"binary": b"weights"}


def test_a_run_that_the_exporter_had_not_finished_is_named_and_comes_later(store: Store, exported: Path) -> None:
    last = part(exported, "FLY-1", 1)
    last.rename(last.with_suffix(".parquet.tmp"))
    summary = bring(store, open_neptune(exported))
    [why] = next(iter(summary.unfinished.values()))
    assert "part_1.parquet is not there: the exporter had not finished this run" in why
    assert summary.runs == 2
    last.with_suffix(".parquet.tmp").rename(last)
    assert bring(store, open_neptune(exported)).runs == 1
    _check_all(store)


@pytest.mark.parametrize(
    "where",
    [
        "../../secret",
        "/etc/passwd",
        "a/../../secret",
        "",
        ".",
        "FLY-9/link",
        "FLY-9/folder",
        "FLY-9/up/secret",
        "FLY-9/pipe",
        "x\0y",
    ],
)
def test_a_path_out_of_the_folder_is_refused(store: Store, tmp_path: Path, where: str) -> None:
    import os

    (tmp_path / "secret").write_text("secret")
    below = put(tmp_path, "FLY-9/inside", b"fine").parent
    (below / "link").symlink_to(tmp_path / "secret")
    (below / "up").symlink_to(tmp_path)
    (below / "folder").mkdir()
    os.mkfifo(below / "pipe")
    rows = [file("bad", where), file("set", where, "file_set"), file("good", "FLY-9/inside")]
    write(tmp_path, "FLY-9", [*SYS, *rows])
    summary = bring(store, open_neptune(tmp_path))
    assert not summary.complete
    [reasons] = summary.unfinished.values()
    assert any(reason.startswith("bad: it") for reason in reasons)
    [run] = _runs(store).values()
    assert _files(store, run.id) == {"good": b"fine"}


def _other(name: str, kind: pa.DataType) -> pa.Table:
    made = export.table("FLY-9", SYS)
    return made.drop_columns([name]).append_column(name, pa.nulls(made.num_rows, kind))


def test_damaged_and_strange_parquet_is_named_and_stops_nothing(store: Store, exported: Path) -> None:
    whole = part(exported, "FLY-1").read_bytes()
    middle = len(whole) // 2
    part(exported, "cut").write_bytes(whole[:-20])
    part(exported, "noise").write_bytes(b"PAR1" + b"\xff" * 5000 + b"PAR1")
    part(exported, "hole").write_bytes(whole[: middle - 400] + b"\x5a" * 800 + whole[middle + 400 :])
    part(exported, "empty").write_bytes(b"")
    pq.write_table(export.table("x", []), part(exported, "no rows"))
    pq.write_table(pa.table({"a": [1]}), part(exported, "other"))
    pq.write_table(_other("run_id", pa.int64()), part(exported, "numbers"))
    pq.write_table(_other("step", pa.decimal128(38, 30)), part(exported, "steps"))
    pq.write_table(_other("file_value", pa.string()), part(exported, "texts"))
    both = pa.concat_tables([export.table("x", SYS), export.table("y", SYS)])
    pq.write_table(both, part(exported, "two runs"))
    summary = bring(store, open_neptune(exported))
    assert len(summary.unfinished) == 10
    assert {len(why) for why in summary.unfinished.values()} == {1}
    assert summary.runs == 3
    _check_all(store)


def test_a_text_that_is_repeated_a_million_times_needs_no_memory(store: Store, tmp_path: Path) -> None:
    import tracemalloc

    rows = pa.table(
        {
            "project_id": pa.array([0] * 300_000, pa.int32()),
            "text": pa.array([0] * 300_000, pa.int32()),
        }
    )
    zero = rows.column("text").chunk(0)
    texts = {
        name: pa.DictionaryArray.from_arrays(zero, [value])
        for name, value in {
            "project_id": "team/p",
            "run_id": "R-1",
            "attribute_path": "p",
            "attribute_type": "string",
            "string_value": "x" * (1 << 20),
        }.items()
    }
    pq.write_table(pa.table(texts), part(tmp_path, "R-1"))
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    summary = bring(store, open_neptune(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert summary.unfinished or summary.runs == 1
    assert peak < 200 << 20
    assert pa.default_memory_pool().max_memory() - before < 500 << 20


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no run of Neptune's exporter"):
        open_neptune(tmp_path)
    with pytest.raises(NotFound, match="there is no folder"):
        open_neptune(tmp_path / "absent")
    with pytest.raises(NotFound, match="there is no folder"):
        open_neptune(tmp_path, files=tmp_path / "absent")
