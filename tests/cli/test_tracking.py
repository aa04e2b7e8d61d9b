"""Runs on the command line."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.store import Store, find_home
from assay.times import instant
from assay.track import begin_run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    store = Store(find_home(tmp_path / ".assay"))
    for i in range(12):
        run = begin_run(store, "search", run_id=f"trial-{i:02}")
        run.log_params({"leaves": (15, 31)[i % 2], "seed": i})
        run.log_metrics({"auc": 0.6 + 0.1 * (i % 2) + i / 1000, "val_loss": 1 - i / 100})
        run.log_artifact("plots/roc.svg", b"<svg/>")
        run.finish(("finished", "failed")[i == 3], error="ValueError: no rows" if i == 3 else None)
    store.database.dispose()
    return tmp_path


def assay(project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "assay", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)


def as_json(project: Path, *arguments: str) -> Any:
    done = assay(project, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_best_comes_first_and_less_loss_is_better(project: Path) -> None:
    assert as_json(project, "runs", "--best", "auc", "--limit", "1")[0]["id"] == "trial-11"
    assert as_json(project, "runs", "--best", "auc", "--lowest", "--limit", "1")[0]["id"] == "trial-00"
    assert as_json(project, "runs", "--best", "val_loss", "--limit", "1")[0]["id"] == "trial-11"
    assert as_json(project, "runs", "params.leaves = '15'", "--best", "auc", "--limit", "1")[0]["id"] == "trial-10"


def test_pages_go_on_and_csv_has_every_run(project: Path) -> None:
    first = assay(project, "runs", "--limit", "7")
    token = first.stdout.split("--page ")[1].strip()
    second = assay(project, "runs", "--limit", "7", "--page", token)
    assert all(sum(f"trial-{i:02}" in page.stdout for page in (first, second)) == 1 for i in range(12))
    rows = list(csv.DictReader(io.StringIO(assay(project, "runs", "--csv", "--experiment", "search").stdout)))
    assert len(rows) == 12
    assert {row["params.leaves"] for row in rows} == {"15", "31"}


def test_ids_stay_whole_in_a_narrow_terminal_and_names_are_shown(project: Path) -> None:
    store = Store(find_home(project / ".assay"))
    names = [f"{number:032x}" for number in range(3)]
    for name in names:
        run = begin_run(store, "search", run_id=name, name=f"forest of {name[-1]}")
        run.log_metrics({f"metric_{number}": number / 7 for number in range(20)})
        run.log_params({f"param_{number}": "long" * 20 for number in range(20)})
        run.finish()
    begin_run(
        store, "weekly", kind="pipeline", run_id="weekly@2011-12-26T06:00Z", asof=instant("2011-12-26T06:00Z")
    ).finish()
    store.database.dispose()
    width = ["import sys; from assay.cli import command; command.WIDTH = 80; from assay.cli import main; main()"]
    done = subprocess.run(
        [sys.executable, "-c", *width, "runs"], cwd=project, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for name in names:
        assert sum(line.startswith(f"{name} ") for line in lines) == 1
    assert "  forest of 2" in done.stdout
    assert any(line.startswith("weekly@2011-12-26T06:00Z ") and "pipeline" in line[40:] for line in lines)


def test_what_matters_is_said(project: Path) -> None:
    shown = assay(project, "runs", "--importance", "auc").stdout
    assert shown.index("leaves") < shown.index("█")
    assert as_json(project, "runs", "--importance", "auc")[0]["name"] == "leaves"
    few = assay(project, "runs", "params.seed = '1'", "--importance", "auc")
    assert (few.returncode, "At least 8" in few.stderr) == (2, True)


def test_one_run_is_shown_with_why_it_failed(project: Path) -> None:
    shown = assay(project, "run-show", "trial-03").stdout
    for part in ("ValueError: no rows", "leaves", "0.703", "plots/roc.svg", "6 B", "failed"):
        assert part in shown
    unknown = assay(project, "run-show", "trial-3")
    assert (unknown.returncode, "did you mean trial-" in unknown.stderr) == (2, True)
    assert as_json(project, "run-show", "trial-03")["artifacts"][0]["size_bytes"] == 6


def test_runs_are_compared(project: Path) -> None:
    found = {one["what"]: one["values"] for one in as_json(project, "compare", "trial-00", "trial-01")}
    assert found["params.leaves"] == {"trial-00": 15, "trial-01": 31}
    assert "params.none" not in found
    assert assay(project, "compare", "trial-00").returncode == 2


def test_deleted_runs_come_back_until_they_are_purged(project: Path) -> None:
    assert assay(project, "run-delete", "trial-00", "trial-01").returncode == 0
    assert len(as_json(project, "runs")) == 10
    assert {run["id"] for run in as_json(project, "runs", "--deleted")} == {"trial-00", "trial-01"}
    assert assay(project, "run-restore", "trial-00").returncode == 0
    assert as_json(project, "gc", "--older-than", "0s")["runs"] == 1
    assert len(as_json(project, "runs")) == 11
    wrong = assay(project, "run-delete", "trial-02", "none")
    assert (wrong.returncode, len(as_json(project, "runs"))) == (2, 11)


def test_experiments_are_renamed_deleted_and_restored(project: Path) -> None:
    assay(project, "experiments", "rename", "search", "found")
    assert {one["name"] for one in as_json(project, "experiments")} == {"Default", "found"}
    assert as_json(project, "experiments", "delete", "found")[1]["deleted_at"]
    assert as_json(project, "runs") == []
    assert not as_json(project, "experiments", "restore", "found")[1]["deleted_at"]
    assert as_json(project, "runs") != []
    assert assay(project, "experiments", "rename", "found").returncode == 2
    assert "did you mean found" in assay(project, "experiments", "delete", "fund").stderr


def test_the_doctor_says_how_it_is(project: Path) -> None:
    well = assay(project, "doctor")
    assert (well.returncode, "12 runs" in well.stdout) == (0, True), well.stdout
    (project / ".assay" / "spool" / "quarantine").mkdir(parents=True, exist_ok=True)
    (project / ".assay" / "spool" / "quarantine" / "track-x.seg").write_bytes(b"x")
    assert assay(project, "doctor").returncode == 1
    (project / ".assay" / "assay.db").write_bytes(b"no database" * 100)
    away = assay(project, "doctor")
    assert (away.returncode, "✗" in away.stdout, "free disk" in away.stdout) == (3, True, True)
    assert "Traceback" not in away.stderr + away.stdout


def test_tokens_are_made_listed_and_removed(project: Path) -> None:
    made = assay(project, "tokens", "add", "laptop", "--scope", "read")
    assert made.stdout.startswith("assay_")
    assert as_json(project, "tokens")[0]["scope"] == "read"
    assert made.stdout.split()[0] not in assay(project, "tokens").stdout
    assert assay(project, "tokens", "add", "laptop").returncode == 2
    assert assay(project, "tokens", "remove", "laptop").returncode == 0
    assert assay(project, "tokens", "remove", "laptop").returncode == 2
