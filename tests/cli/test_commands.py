"""What the commands print and leave, on a small project."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from assay import store
from assay.track import alias
from assay.track.provenance import user


def test_run_shows_its_steps_and_its_verdict(project: Path, assay) -> None:
    said = assay("run", "taxi:daily", "--asof", "2013-01-21", "--publish")
    assert said.code == 0
    lines = said.out.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["train", "bless", "publish"]
    assert lines[3] == "daily@2013-01-21T00:00Z"
    assert lines[4].startswith("BLESSED  long-trip  auc 0.9")
    assert "first model: auc" in lines[5]
    assert "parity: " in lines[6]
    again = assay("run", "taxi:daily", "--asof", "2013-01-21", "--publish")
    assert (again.code, again.out) == (
        0,
        "daily@2013-01-21T00:00Z is finished already; pass --again to run it again\n",
    )


def test_a_refused_candidate_ends_with_1_and_leaves_the_champion(published: Path, assay) -> None:
    script = (published / "taxi.py").read_text()
    (published / "taxi.py").write_text(script.replace("within=(0.5, 1.0)", "within=(0.999, 1.0)"))
    said = assay("run", "taxi:daily", "--asof", "2013-01-20", "--publish")
    assert said.code == 1
    assert "REFUSED" in said.out
    assert "lies outside 0.999 to 1" in said.out
    with store.use(store.find_home()) as opened:
        assert str(alias(opened, "long-trip")) == "long-trip/1"


def test_json_has_stable_keys(published: Path, assay) -> None:
    said = assay("run", "taxi:daily", "--asof", "2013-01-19", "--publish", "--json")
    found = json.loads(said.out)
    assert set(found) == {"run_id", "already_finished", "result", "what_if", "would"}
    assert {"blessed", "outcome", "metric", "score", "reasons", "comparison", "parity"} <= set(found["result"])
    (run, *_) = json.loads(assay("runs", "--name", "long-trip", "--json").out)
    assert {"id", "status", "params", "metrics", "data_identity", "code_version"} <= set(run)
    (version,) = json.loads(assay("models", "--json").out)
    assert (version["model"], version["version"]) == ("long-trip", 2 if said.code == 0 else 1)
    report = json.loads(assay("check", "trips.parquet", "--contract", "taxi:Trip", "--json").out)
    assert set(report) == {"target", "rows", "files", "checked_at", "results"}


def test_a_replay_is_a_calendar_and_skips_what_is_finished(project: Path, assay) -> None:
    said = assay("run", "taxi:daily", "--replay", "2013-01-18..2013-01-20", "--publish")
    first, legend = said.out.splitlines()
    assert first.startswith("Jan  18 first .9")
    assert [word for word in first.split() if word in {"18", "19", "20"}] == ["18", "19", "20"]
    assert legend.startswith("▲ better")
    again = assay("run", "taxi:daily", "--replay", "2013-01-18..2013-01-20", "--publish")
    assert again.out.count("done before") == 3


def test_rollback_and_ledger(published: Path, assay) -> None:
    said = assay("run", "taxi:daily", "--asof", "2013-01-21", "--publish", "--set", "trees=20", "--again")
    assert said.code == 0, said.out
    assert (
        assay("rollback", "long-trip", "--reason", "too eager").out == "the champion of long-trip is version 1 again\n"
    )
    lines = assay("ledger", "long-trip").out
    assert f"published: version 2, before it 1, by {user()}" in lines
    assert f"rolled back: version 1, before it 2, by {user()}, too eager" in lines
    assert lines.endswith("lines, all seals valid\n")


def test_schemas_of_a_contract(project: Path, assay) -> None:
    assert "miles: double not null" in assay("schema", "arrow", "taxi:Trip").out
    assert (
        '"miles" DOUBLE PRECISION NOT NULL CHECK' in assay("schema", "sql", "taxi:Trip", "--dialect", "postgresql").out
    )
    assert (
        json.loads(assay("schema", "json", "taxi:Trip").out)["$defs"]["Trip"]["properties"]["miles"]["maximum"] == 100
    )


def test_check_says_good_with_0(project: Path, assay) -> None:
    said = assay("check", "trips.parquet", "--contract", "taxi:Trip")
    assert (said.code, said.out) == (0, "trips.parquet   1,200 rows   12 checks passed\n")
    assert pq.read_metadata("trips.parquet").num_rows == 1200


def test_a_version_says_where_it_comes_from(published: Path, assay) -> None:
    found = json.loads(assay("models", "long-trip", "--version", "1", "--json").out)
    assert found["data"]["rows"] > 0
    assert len(found["features_hash"]) == 64
    assert found["run_id"].startswith("long-trip-")
    assert found["takes"]["$ref"].endswith("Trip") or found["takes"]["$defs"]
    shown = assay("models", "long-trip", "--version", "1").out
    assert found["features_hash"][:12] in shown
    assert assay("models", "long-trip", "--version", "99").code == 2
