"""Runs of this store as a real MLflow server has them after they were sent, read by MLflow's own client."""

import math
import subprocess
import sys
import time
from collections.abc import Callable

import pyarrow
import pytest
from counterparts import Mlflow

from assay.errors import BadInput, NotFound, Unavailable
from assay.exchange import Mirror, bring, open_mlflow
from assay.store import Store
from assay.track import begin_run, get_run


def _filled(store: Store) -> str:
    with begin_run(store, "trips", name="parent") as parent:
        parent.log_params({"leaves": 31, "rate": 0.1, "features": ["a", "b"]})
        for i in range(2500):
            parent.log_metric("loss", 1 / (i + 1), step=i)
        parent.log_metrics({"odd": math.nan, "far": math.inf})
        parent.set_tags({"season": "winter"})
        parent.note("a *note*")
        parent.log_artifact("plots/roc curve.txt", b"a picture")
        parent.log_artifact("top.txt", b"top")
        with begin_run(store, "trips", name="child", parent=parent.id):
            pass
    return parent.id


def _there(mlflow: Mlflow, url: str) -> dict[str, dict]:
    found = mlflow.run(url, "read")["runs"]
    return {
        run["tags"]["assay.run_id"]: run | {"id": one} for one, run in found.items() if "assay.run_id" in run["tags"]
    }


def test_runs_are_there_whole_and_once(store: Store, mlflow: Mlflow, own_server: str) -> None:
    parent_id = _filled(store)
    done = Mirror(store, own_server).once()
    assert (done.runs, done.points, done.artifacts, done.left_out) == (2, 2502, 2, {})
    there = _there(mlflow, own_server)
    parent = there.pop(parent_id)
    [child] = there.values()
    assert (parent["experiment"], parent["name"], parent["status"]) == ("trips", "parent", "finished")
    assert parent["params"] == {"leaves": "31", "rate": "0.1", "features": "['a', 'b']"}
    assert [[step, float(value)] for step, _, value in parent["metrics"]["loss"]] == [
        [i, 1 / (i + 1)] for i in range(2500)
    ]
    assert parent["metrics"]["odd"][0][2] == "nan"
    assert parent["metrics"]["far"][0][2] == "1.7976931348623157e+308"
    assert parent["tags"]["season"] == "winter"
    assert parent["tags"]["mlflow.note.content"] == "a *note*"
    assert {name: bytes.fromhex(content) for name, content in parent["artifacts"].items()} == {
        "plots/roc curve.txt": b"a picture",
        "top.txt": b"top",
    }
    assert child["tags"]["mlflow.parentRunId"] == parent["id"]
    again = Mirror(store, own_server).once()
    assert not again.changed
    assert again.runs_unchanged == 2


ODD = {
    "tiny": 5e-324,
    "huge": 1.7976931348623155e308,
    "tenth": 0.1,
    "negative zero": -0.0,
    "whole": 2**53 + 1,
    "minus": -math.inf,
}
TEXTS = {
    "plain": "a",
    "unicode": "größe 模型 \U0001f680",
    "lines": "a\n\tb ",
    "quotes": "'\"`\\",
    "long": "x" * 5_000,
    "number": "007",
    "empty": "",
}


def test_every_kind_of_value_arrives_unchanged(store: Store, mlflow: Mlflow, own_server: str) -> None:
    files = {"bytes.bin": bytes(range(256)) * 5_000, "empty": b"", "deep/er/größe & co.txt": "ü".encode()}
    with begin_run(store, "kinds", name="a name with 模型") as run:
        for at, (name, value) in enumerate(ODD.items()):
            for step in (-3, 0, 2**40):
                run.log_metric(f"odd/{name}", value, step=step + at)
        run.log_metric("nan", math.nan, step=1)
        run.log_params({f"p.{name}": text for name, text in TEXTS.items()})
        run.set_tags({f"t.{name}": text for name, text in TEXTS.items()})
        some = run.log_dataset("rows", pyarrow.table({"größe": [1, 2]}), source="s3://bucket/rows")
        others = run.log_dataset("other rows", pyarrow.table({"a": ["x"]}), context="")
        for name, content in files.items():
            run.log_artifact(name, content)
        with begin_run(store, "kinds", name="child", parent=run.id):
            pass
    done = Mirror(store, own_server).once()
    assert (done.runs, done.left_out, done.unfinished) == (2, {}, {})
    there = _there(mlflow, own_server)[run.id]
    assert there["name"] == "a name with 模型"
    expected = {f"odd/{name}": (at, float(value)) for at, (name, value) in enumerate(ODD.items())}
    points = {name: [(step, float(value)) for step, _, value in there["metrics"][name]] for name in expected}
    largest = -1.7976931348623157e308  # MLflow keeps no infinity
    for name, (at, value) in expected.items():
        kept = largest if value == -math.inf else value
        assert points[name] == [(step + at, kept) for step in (-3, 0, 2**40)], name
    assert [value for _, _, value in there["metrics"]["nan"]] == ["nan"]
    assert there["params"] == {f"p.{name}": text for name, text in TEXTS.items()}
    assert {name: there["tags"][f"t.{name}"] for name in TEXTS} == TEXTS
    assert {name: bytes.fromhex(content) for name, content in there["artifacts"].items()} == files
    assert sorted(
        [name, digest, tags.get("mlflow.data.context", "")] for name, digest, _, tags in there["datasets"]
    ) == [
        ["other rows", others[:36], ""],
        ["rows", some[:36], "training"],
    ]
    again = Mirror(store, own_server).once()
    assert (again.changed, again.runs_unchanged) == (False, 2)


def test_what_is_logged_later_is_added(store: Store, mlflow: Mlflow, own_server: str) -> None:
    run = begin_run(store, "trips", name="long")
    run.log_metric("loss", 1.0, step=0)
    run.log_param("leaves", 31)
    run.flush()
    mirror = Mirror(store, own_server)
    assert mirror.once().runs == 1
    run.log_metric("loss", 0.5, step=1)
    run.log_artifact("late.txt", b"late")
    run.log_param("leaves", 63)
    run.finish("failed", error="no more")
    done = mirror.once()
    assert (done.runs, done.runs_changed, done.points, done.artifacts) == (0, 1, 1, 1)
    assert done.left_out == {"parameters that changed: MLflow lets none change": ["long: leaves"]}
    there = _there(mlflow, own_server)[run.id]
    assert there["status"] == "failed"
    assert [[step, value] for step, _, value in there["metrics"]["loss"]] == [[0, "1.0"], [1, "0.5"]]
    assert list(there["artifacts"]) == ["late.txt"]


def test_what_mlflow_refuses_is_named_and_the_rest_arrives(store: Store, mlflow: Mlflow, own_server: str) -> None:
    with begin_run(store, "trips") as run:
        run.log_metrics({"good": 1.0, "bad?name": 2.0})
        run.log_params({"fine": 1, "not#fine": 2})
        run.log_artifact("fine.txt", b"fine")
        run.log_artifact("not#fine.txt", b"x")
    done = Mirror(store, own_server).once()
    assert {why: len(what) for why, what in done.left_out.items()} == {
        "metrics that MLflow refuses": 1,
        "params that MLflow refuses": 1,
    }
    [reason] = done.unfinished[f"trips/{get_run(store, run.id).name}"]
    assert reason.startswith("not#fine.txt: the server does not take it")
    there = _there(mlflow, own_server)[run.id]
    assert list(there["metrics"]) == ["good"]
    assert there["params"] == {"fine": "1"}
    assert list(there["artifacts"]) == ["fine.txt"]


def test_what_came_from_a_server_is_not_sent_back_and_the_other_way(
    new_store: Callable[[str], Store], mlflow: Mlflow, own_server: str
) -> None:
    store = new_store("a")
    bring(store, open_mlflow(own_server))
    done = Mirror(store, own_server).once()
    assert not done.changed
    assert len(done.left_out["runs that came from there"]) == 5
    _filled(store)
    assert Mirror(store, own_server).once().runs == 2
    back = bring(store, open_mlflow(own_server))
    assert back.runs == 0
    assert len(back.left_out["runs that were sent there from here"]) == 2


def test_following_sends_what_is_logged_meanwhile(store: Store, mlflow: Mlflow, own_server: str) -> None:
    run = begin_run(store, "trips")
    run.flush()
    command = [sys.executable, "-m", "assay", "mirror", "mlflow", own_server, "--follow", "--every", "1s"]
    following = subprocess.Popen([*command, "--home", str(store.home.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert following.stdout is not None
        assert "1 new runs" in following.stdout.readline()
        run.log_metric("loss", 0.25, step=3)
        run.finish()
        until = time.monotonic() + 60
        while (there := _there(mlflow, own_server)[run.id])["status"] != "finished" and time.monotonic() < until:
            time.sleep(1)
        assert there["status"] == "finished"
        assert [point[0] for point in there["metrics"]["loss"]] == [3]
    finally:
        following.kill()
        following.communicate()


def test_wrong_addresses_and_experiments(store: Store, server: str) -> None:
    _filled(store)
    with pytest.raises(BadInput, match="is not the URL of a server"):
        Mirror(store, "mlruns")
    with pytest.raises(Unavailable, match="nothing answers"):
        Mirror(store, "http://127.0.0.1:9").once()
    with pytest.raises(NotFound, match="did you mean trips"):
        Mirror(store, server, only=["tirps"]).once()
