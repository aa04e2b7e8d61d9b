"""Files, tables, figures and data sets of a run, and odd things that people log."""

import json
import math
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

import assay
from assay import store
from assay.errors import BadInput, NotFound
from assay.store import Store
from assay.store.schema import datasets, run_artifacts, run_datasets
from assay.times import now
from assay.track import Run, find_runs, get_run, search
from assay.track.events import Ended, Measured
from assay.track.experiments import change, experiment_id
from assay.track.outbox import deliver, outbox
from assay.track.points import history
from assay.track.provenance import data_identity


def kept(opened: Store, run: Run) -> dict[str, bytes]:
    """The files of a run."""
    run.flush()
    with opened.database.read() as connection:
        rows = connection.execute(select(run_artifacts).filter_by(run_id=run.id)).mappings().all()
    found = {row["name"]: opened.artifacts.get(row["digest"]) for row in rows}
    assert {row["name"]: row["size_bytes"] for row in rows} == {name: len(data) for name, data in found.items()}
    return found


def test_a_folder_is_kept_with_its_folders(opened: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "er" / "ü b.txt").write_text("b")
    (folder / "again").symlink_to(folder)  # a circle
    os.mkfifo(folder / "pipe")  # reading it would wait for ever
    with assay.start_run() as run:
        assert assay.log_folder(folder) == 2
        assert assay.log_folder(str(folder / "deep"), "other/place") == 1
        assert kept(opened, run) == {"a.txt": b"a", "deep/er/ü b.txt": b"b", "other/place/er/ü b.txt": b"b"}


def test_a_file_whose_name_is_no_text_is_kept(opened: Store, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    with assay.start_run() as run:
        assay.log_folder(tmp_path)
        assert kept(opened, run)["caf%udce9.txt"] == b"x"


def test_a_folder_that_is_none_is_not_found(opened: Store, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with assay.start_run():
        with pytest.raises(NotFound, match="no such folder\nUse log_artifact for a file"):
            assay.log_folder(tmp_path / "a.txt")
        with pytest.raises(BadInput, match="can't be the name of an artifact"):
            assay.log_folder(tmp_path, "../out")
        with pytest.raises(BadInput, match=r"the text given as 'a\.txt' is not a file\nGive a Path"):
            assay.log_artifact("a.txt", "a.txt")  # pyright: ignore[reportArgumentType]


def test_texts_and_json(opened: Store) -> None:
    value = {"matrix": np.eye(2), "best": np.float64(0.5), "names": ["ü"]}
    with assay.start_run() as run:
        assay.log_text("a/b.txt", "ü\n")
        assay.log_dict("value.json", value)
        found = kept(opened, run)
    assert found["a/b.txt"] == "ü\n".encode()
    assert json.loads(found["value.json"]) == {"matrix": [[1, 0], [0, 1]], "best": 0.5, "names": ["ü"]}


@pytest.mark.parametrize(
    ("value", "why"),
    [({"a": math.nan}, "Out of range float"), ({"a": object()}, "a object is not JSON"), ({(1, 2): 3}, "keys must be")],
)
def test_what_json_can_not_hold_is_refused(opened: Store, value: Any, why: str) -> None:
    with assay.start_run(), pytest.raises(BadInput, match=f"'a.json' can't be stored as JSON: {why}"):
        assay.log_dict("a.json", value)


@pytest.mark.parametrize(
    "frame",
    [
        pa.table({"a": [1, 2], "b": ["x", None]}),
        pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", None]}),
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pl.LazyFrame({"a": [1, 2], "b": ["x", None]}),
        {"a": [1, 2], "b": ["x", None]},
    ],
    ids=lambda frame: f"{type(frame).__module__}.{type(frame).__name__}",
)
def test_tables_become_parquet(opened: Store, frame: Any) -> None:
    with assay.start_run() as run:
        assay.log_table("rows.parquet", frame)
        (data,) = kept(opened, run).values()
    assert pq.read_table(pa.BufferReader(data)).to_pydict() == {"a": [1, 2], "b": ["x", None]}


def test_what_is_no_table_is_refused(opened: Store) -> None:
    with assay.start_run():
        with pytest.raises(BadInput, match="a int can't be read as a table"):
            assay.log_table("a.parquet", 3)
        with pytest.raises(BadInput, match="a DataFrame can't be read as a table"):
            assay.log_table("a.parquet", pd.DataFrame({"mixed": [1, "x", object()]}))
        with pytest.raises(BadInput, match=r"'rows.csv' does not end in .parquet\nCall it rows.parquet"):
            assay.log_table("rows.csv", {"a": [1]})


def test_figures_of_matplotlib(opened: Store) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure()
    figure.subplots().plot([1, 2, 3])
    with assay.start_run() as run:
        assay.log_figure("plots/loss.svg", figure)
        assay.log_figure("plots/loss.png", figure)
        found = kept(opened, run)
        with pytest.raises(BadInput, match=r"can't be drawn as 'loss.html'\nEnd the name in .svg, .png or .pdf"):
            assay.log_figure("loss.html", figure)
    assert b"<svg" in found["plots/loss.svg"]
    assert found["plots/loss.png"].startswith(b"\x89PNG")


def test_figures_of_plotly(opened: Store) -> None:
    graphs = pytest.importorskip("plotly.graph_objects")
    with assay.start_run() as run:
        assay.log_figure("loss.html", graphs.Figure(graphs.Scatter(y=[1, 2, 3])))
        assert b"<html" in kept(opened, run)["loss.html"]


def test_what_can_not_draw_itself_is_refused(opened: Store) -> None:
    with assay.start_run(), pytest.raises(BadInput, match="Give a figure of matplotlib or plotly"):
        assay.log_figure("a.png", [1, 2])


def test_a_data_set_is_known_by_its_rows_and_found_by_its_name(opened: Store) -> None:
    table = pa.table({"a": [1, 2], "b": pa.array(["x", "y"]).dictionary_encode(), "t": [now()] * 2})
    with assay.start_run() as run:
        digest = assay.log_dataset("flights", table, source="s3://lake/flights")
        assert assay.log_dataset("flights", pl.DataFrame({"a": [3]}), "evaluation") != digest
        assay.log_dataset("flights", table, source="s3://lake/flights")
    with assay.start_run():
        assay.log_dataset("flights", table)
    assert digest == data_identity(table)["sha256"]
    with opened.database.read() as connection:
        rows = connection.execute(select(datasets).order_by(datasets.c.id)).mappings().all()
        used = connection.execute(select(run_datasets)).mappings().all()
    assert [(row["name"], row["source_type"]) for row in rows] == [("flights", "s3"), ("flights", "code")]
    assert json.loads(rows[0]["source"]) == {"uri": "s3://lake/flights"}
    columns = [(column["name"], column["type"]) for column in json.loads(rows[0]["schema"])["mlflow_colspec"]]
    assert columns == [("a", "long"), ("b", "string"), ("t", "datetime")]
    assert json.loads(rows[0]["profile"]) == {"num_rows": 2, "num_elements": 6}
    assert len(used) == 3
    (found,) = search(opened, "dataset.context = 'evaluation'").runs
    assert found.id == run.id


def test_delivering_twice_changes_nothing(opened: Store) -> None:
    with assay.start_run() as run:
        run.flush()
        assay.log_dataset("rows", {"a": [1]})
        assay.log_metric("a", 1, 1)
        folder = opened.home.spool / "track"
        before = {path.name: path.read_bytes() for path in folder.glob("*.seg")}
    with opened.database.read() as connection:
        seen = [
            connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in ("datasets", "run_datasets", "runs")
        ]
    for name, data in before.items():
        (folder / name).write_bytes(data)
    deliver(opened)
    with opened.database.read() as connection:
        again = [
            connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in ("datasets", "run_datasets", "runs")
        ]
    assert seen == again
    assert len(history(opened, run.id, "a")) == 1


def test_numbers_that_are_none_and_infinite_are_kept_as_they_are(opened: Store) -> None:
    with assay.start_run() as run:
        for step, value in enumerate([math.nan, math.inf, -math.inf, np.float32(0.5), True, np.int64(3)]):
            assay.log_metric("m", value, step)
        assay.log_metric("last", math.nan)
        with pytest.raises(BadInput, match="m = '1'"):
            assay.log_metric("m", "1")  # pyright: ignore[reportArgumentType]
        with pytest.raises(BadInput, match=r"1e\+400 is not a step|inf is not a step"):
            assay.log_metric("m", 1, 1e400)  # pyright: ignore[reportArgumentType]
        with pytest.raises(BadInput, match="'' can't be the name of a metric"):
            assay.log_metric("", 1)
    values = [point.value for point in history(opened, run.id, "m")]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 0.5, 1.0, 3.0]
    assert math.isnan(get_run(opened, run.id).metrics["last"])


def test_a_parameter_of_ten_megabytes_is_whole_in_an_artifact(opened: Store) -> None:
    with assay.start_run() as run:
        assay.log_param("prompt", "x" * 10_000_000)
        assay.set_tag("long", "y" * 1_000_000)
        (data,) = kept(opened, run).values()
    assert json.loads(data) == "x" * 10_000_000
    found = get_run(opened, run.id)
    assert found.params["prompt"].endswith("(10,000,000 characters, whole in artifact long-params/prompt.json)")
    assert len(found.tags["long"]) == 1_000_000


def test_many_long_parameters_at_once(opened: Store) -> None:
    values = {f"p{number}": "x" * 5_000 for number in range(4_000)}  # 20 MB: more than a record holds
    with assay.start_run() as run:
        assay.log_params(values)
        with pytest.raises(BadInput, match=r"tag 'huge' has 20,000,000 characters\nLog it as a file"):
            assay.set_tag("huge", "y" * 20_000_000)
    assert get_run(opened, run.id).params == values


def test_odd_names_and_texts_come_back(opened: Store) -> None:
    names = ["ü", "名前", "👩‍🔬", "a b", "a/b", "'; DROP TABLE runs; --", "%", "x" * 250]
    with assay.start_run("実験", name="naïve \0") as run:
        for name in names:
            assay.log_metric(name, 1)
        assay.log_params(dict.fromkeys(names, "ü \0 \udce9"))
        assay.log_param("nested", {"a\udce9": [2**70, {"b": "\0"}]})
        assay.set_tags(dict.fromkeys(names, "\U0001f600"))
    found = get_run(opened, run.id)
    assert (found.experiment, found.name) == ("実験", "naïve \\0")
    assert found.metrics.keys() == found.tags.keys() == set(names)
    assert found.params == dict.fromkeys(names, "ü \\0 \\udce9") | {"nested": {"a\\udce9": [str(2**70), {"b": "\\0"}]}}


def test_a_name_given_again_takes_the_new_value(opened: Store) -> None:
    with assay.start_run() as run:
        for value in ("first", "second"):
            assay.log_param("p", value)
            assay.set_tag("t", value)
            assay.log_text("a.txt", value)
            assay.log_metric("m", len(value), 7)
        assert kept(opened, run) == {"a.txt": b"second"}
    found = get_run(opened, run.id)
    assert (found.params, found.tags, found.metrics) == ({"p": "second"}, {"t": "second"}, {"m": 6})
    assert [point.value for point in history(opened, run.id, "m")] == [5, 6]


def test_a_clock_that_goes_backwards_loses_nothing(opened: Store) -> None:
    run, box = assay.start_run(), outbox(opened)
    for step, at_us in enumerate([3_000_000, 2_000_000, 1_000_000]):
        box.append(Measured(run.id, "m", float(step), step, at_us))
    run.finish()
    box.append(Ended(run.id, "finished", now() - timedelta(days=1), None))
    run.flush()
    found = get_run(opened, run.id)
    assert (found.metrics, found.status) == ({"m": 2}, "finished")  # the highest step is the newest
    assert len(history(opened, run.id, "m")) == 3


def test_segments_in_the_wrong_order_lose_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = home.parent / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("ASSAY_DATABASE", f"sqlite:///{blocked}/assay.db")
    opened = Store(store.find_home(home))
    with store.use(opened.home), assay.start_run(system_metrics=False) as run, assay.start_run() as inner:
        run.flush()
        assay.log_metric("m", 1)
    first, *_, last = sorted((home / "spool" / "track").glob("*.seg"))
    last.rename(last.with_name(f"1970{last.name[4:]}"))  # as if the clock had gone back before it was made
    blocked.unlink()
    assert {row.id: row.status for row in find_runs(opened)} == {run.id: "finished", inner.id: "finished"}
    assert get_run(opened, inner.id).parent_id == run.id
    assert get_run(opened, inner.id).metrics == {"m": 1}
    assert not first.exists()
    opened.database.dispose()


def test_a_run_that_can_not_be_kept_does_not_hold_up_the_others(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = home.parent / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("ASSAY_DATABASE", f"sqlite:///{blocked}/assay.db")
    opened = Store(store.find_home(home))
    with store.use(opened.home) as writing:
        with assay.start_run("deleted meanwhile", system_metrics=False):
            assay.log_metric("m", 1)
        with assay.start_run("there", system_metrics=False) as run:
            assay.log_metric("m", 2)
    blocked.unlink()
    with opened.database.begin() as connection:
        change(connection, experiment_id(connection, "deleted meanwhile"), {"deleted_at": now()})
    (found,) = find_runs(opened)
    assert (found.id, found.status, found.metrics) == (run.id, "finished", {"m": 2})
    assert "left out Started of run deleted-meanwhile" in caplog.text
    assert "experiment 'deleted meanwhile' was deleted" in caplog.text
    assert outbox(writing).flush()
    opened.database.dispose()
    writing.database.dispose()


def test_what_is_said_of_an_unknown_run_is_left_out_with_a_warning(
    opened: Store, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Run(opened, "nobody")
    stranger.log_metric("a", 1)
    stranger.log_metric("a", 2)
    assert stranger.flush()
    assert "left out events of unknown runs: 2 of nobody" in caplog.text
    assert find_runs(opened) == []
