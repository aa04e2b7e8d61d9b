"""Runs of the past say what would have happened, and leave production byte for byte as it is."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from assay import store
from assay.store.schema import aliases, check_reports, ledger, model_versions, profiles, registered_models, what_ifs
from assay.track import alias, get_run

PRODUCTION = (aliases, ledger, model_versions, registered_models, profiles, check_reports)
REPLAY = ("run", "taxi:daily", "--replay", "2013-01-18..2013-01-20")
UNTOUCHED = "A what-if: production did not change. `assay run --publish` moves it."


def production(project: Path) -> dict[str, Any]:
    """Everything that says what is in production, and the files of every table."""
    with store.use(store.find_home(project / ".assay")) as opened, opened.database.read() as connection:
        rows = {table.name: [tuple(row) for row in connection.execute(select(table))] for table in PRODUCTION}
        files = {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(opened.home.tables.rglob("*"))
            if path.is_file()
        }
    return {**rows, "files": files}


def judged_beside(project: Path, name: str) -> list[str | None]:
    """The incumbents of a what-if's verdicts, in order."""
    with store.use(store.find_home(project / ".assay")) as opened, opened.database.read() as connection:
        asked = select(what_ifs.c.body).filter_by(name=name, kind="verdict").order_by(what_ifs.c.id)
        verdicts = [json.loads(body) for body in connection.execute(asked).scalars()]
    return [one["comparison"]["incumbent"] if one["comparison"] else None for one in verdicts]


def test_a_replay_leaves_production_as_it_is_and_says_what_would_have_happened(published: Path, assay) -> None:
    before = production(published)
    said = assay(*REPLAY, "--set", "trees=9")
    *ticks, last = said.out.splitlines()
    assert [line.split()[0] for line in ticks] == ["2013-01-18", "2013-01-19", "2013-01-20"]
    assert all("would " in line for line in ticks)
    assert "first" in ticks[0]
    assert ticks[0].endswith("would publish")
    assert last == UNTOUCHED
    assert production(published) == before


def test_the_incumbents_of_a_replay_are_its_own(project: Path, assay) -> None:
    found = json.loads(assay(*REPLAY, "--json").out)
    name = "daily~2013-01-18..2013-01-20"
    assert [one["run_id"] for one in found] == [
        f"daily@2013-01-{day}T06:00Z~2013-01-18..2013-01-20" for day in (18, 19, 20)
    ]
    assert {one["what_if"] for one in found} == {name}
    first, *later = judged_beside(project, name)
    assert first is None
    trained = [f"long-trip from run {one['result']['run_id']}" for one in found]
    stood, expected = trained[0], list[str]()
    for one, candidate in zip(found[1:], trained[1:], strict=True):
        expected.append(stood)
        assert one["would"] == ("would publish" if one["result"]["blessed"] else one["would"])
        stood = candidate if one["result"]["blessed"] else stood
    assert later == expected
    assert production(project)["ledger"] == []
    assert get_run_tags(project, found[0]["result"]["run_id"]) == {"assay.what_if": name}
    # A second one begins anew; the same command goes on with the newest.
    again = json.loads(assay(*REPLAY, "--set", "trees=3", "--again", "--json").out)
    assert {one["what_if"] for one in again} == {f"{name}#2"}
    assert judged_beside(project, f"{name}#2")[0] is None
    more = assay(*REPLAY).out
    assert more.count("done before") == 3
    assert more.count("would ") == 3


def get_run_tags(project: Path, run_id: str) -> dict[str, str]:
    with store.use(store.find_home(project / ".assay")) as opened:
        return get_run(opened, run_id).tags


def test_the_first_incumbent_is_the_newest_version_that_stood_before_the_holdout(project: Path, assay) -> None:
    for day, trees in (("18", "5"), ("19", "6"), ("21", "7")):
        said = assay("run", "taxi:daily", "--asof", f"2013-01-{day}", "--set", f"trees={trees}", "--publish")
        assert said.code == 0, said
    # Trained until 11, 12 and 14 January; the holdout of 20 January begins on the 13th.
    before = production(project)
    said = assay("run", "taxi:daily", "--asof", "2013-01-20")
    assert "against long-trip/2, auc" in said.out
    assert said.out.splitlines()[-2].strip().startswith("would ")
    assert said.out.splitlines()[-1] == UNTOUCHED
    assert production(project) == before


def test_what_would_be_refused_says_why(published: Path, assay) -> None:
    script = (published / "taxi.py").read_text()
    (published / "taxi.py").write_text(script.replace("within=(0.5, 1.0)", "within=(0.999, 1.0)"))
    said = assay("run", "taxi:daily", "--asof", "2013-01-20", "--json")
    found = json.loads(said.out)
    assert said.code == 1
    assert found["would"].startswith("would refuse: auc 0.9")
    assert found["what_if"] == found["run_id"] == "daily@2013-01-20T00:00Z~what-if"


def test_the_real_tick_of_the_same_moment_can_still_run(project: Path, assay) -> None:
    assert assay("run", "taxi:daily", "--asof", "2013-01-21").code == 0
    with store.use(store.find_home()) as opened:
        assert alias(opened, "long-trip") is None
    assert "published as long-trip/1" in assay("run", "taxi:daily", "--asof", "2013-01-21", "--publish").out


def test_a_run_of_the_present_publishes_without_a_flag(project: Path, assay) -> None:
    table = pq.read_table("trips.parquet")
    moved = datetime.now(UTC) - timedelta(hours=1) - table["start"].to_pylist()[-1]
    start = pa.array([at + moved for at in table["start"].to_pylist()], pa.timestamp("us", "UTC"))
    pq.write_table(table.set_column(table.schema.get_field_index("start"), "start", start), "trips.parquet")
    said = assay("run", "taxi:daily")
    assert said.code == 0, said
    assert "published as long-trip/1" in said.out
    assert "what-if" not in said.out


def test_a_call_of_the_past_in_python_is_a_what_if(published: Path) -> None:
    import taxi  # pyright: ignore[reportMissingImports]

    with store.use(store.find_home()):
        before = production(published)
        verdict = taxi.daily("2013-01-20", trees=9)
        assert verdict.blessed
        assert production(published) == before


THREADED = """
@assay.pipeline(schedule="0 6 * * *")
def threaded(asof, trees: int = 5):
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(daily.function, asof, trees).result()
"""


def test_a_thread_of_the_users_own_moves_production_no_more_than_its_replay(published: Path, assay) -> None:
    source = published / "taxi.py"
    source.write_text(source.read_text() + THREADED)
    before = production(published)
    said = assay("run", "taxi:threaded", "--asof", "2013-01-19", "--set", "trees=9", "--json")
    assert json.loads(said.out)["would"] == "would publish"
    assert production(published) == before


DIES = """
    import os, signal
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    if verdict.blessed:
"""


@pytest.mark.parametrize("how", ["resume", "again"])
def test_a_what_if_that_was_killed_goes_on_as_one(how: str, published: Path, assay) -> None:
    script = (published / "taxi.py").read_text()
    (published / "taxi.py").write_text(script.replace("\n    if verdict.blessed:\n", DIES))
    before = production(published)
    command = [sys.executable, "-m", "assay", "run", "taxi:daily", "--asof", "2013-01-20"]
    killed = subprocess.run(command, env=os.environ | {"DIE": "1"}, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    run_id = "daily@2013-01-20T00:00Z~what-if"
    said = assay("resume", run_id) if how == "resume" else assay("run", "taxi:daily", "--asof", "2013-01-20")
    assert (said.code, said.out.splitlines()[-2:]) == (0, ["  would publish", UNTOUCHED]), said
    assert all(f"{step}  kept from an earlier run" in said.out for step in ("train", "bless"))
    assert production(published) == before
