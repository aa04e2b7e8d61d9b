"""Runs that the real client of Weights & Biases kept offline come over whole."""

import math
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import BadInput, NotFound
from assay.exchange import bring, open_wandb
from assay.exchange.wandb_log import message, records
from assay.store import Store
from assay.track import find_runs
from assay.track.find import RunRow
from assay.track.points import history

POINTS = 2500
FILL = Path(__file__).parent / "fill_wandb.py"


@pytest.fixture(scope="session")
def filled(wandb_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run; its log spans several blocks."""
    folder = tmp_path_factory.mktemp("wandb")
    _fill(wandb_python, folder, POINTS)
    return folder


def _fill(python: str, folder: Path, points: int, *more: str) -> int:
    quiet = os.environ | {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    command = [python, FILL, folder, str(points), *more]
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def _only(store: Store) -> RunRow:
    [run] = find_runs(store)
    return run


def test_a_run_comes_whole(store: Store, filled: Path) -> None:
    summary = bring(store, open_wandb(filled / "wandb"))
    run = _only(store)
    assert (run.experiment, run.name, run.status, run.kind) == ("flights", "first try", "finished", "tracked")
    assert run.id in next((filled / "wandb").glob("offline-run-*")).name
    assert run.params == {"deep.rate": "0.1", "late": "[1, 2]", "leaves": "63", "word": "lbfgs"}
    expected = {"mlflow.note.content": "a *note*", "wandb.tags": "a, b", "wandb.group": "sweep 1"}
    assert expected.items() <= run.tags.items()
    assert run.tags["wandb.summary.verdict"] == "good"
    assert set(run.metrics) == {"loss", "nest.x", "odd", "far", "yes", "later", "best"}
    loss = history(store, run.id, "loss")
    assert [(p.step, p.value) for p in loss] == [(i, 1 / (i + 1)) for i in range(POINTS)]
    assert run.started_at <= loss[0].at <= loss[-1].at <= run.ended_at
    assert math.isnan(run.metrics["odd"])
    assert (run.metrics["far"], run.metrics["yes"], run.metrics["best"]) == (-math.inf, 1.0, 0.75)
    assert history(store, run.id, "later")[0].step == POINTS + 400
    assert summary.points == 2 * POINTS + 5
    assert summary.artifacts >= 2
    assert summary.left_out_counts == {
        "logged values that are no numbers (texts, pictures, tables)": POINTS,
    }


def test_files_come_those_behind_links_too(store: Store, filled: Path) -> None:
    from sqlalchemy import select

    from assay.store.schema import run_artifacts

    bring(store, open_wandb(filled))
    with store.database.read() as connection:
        files = dict(connection.execute(select(run_artifacts.c.name, run_artifacts.c.digest)).all())
    assert store.artifacts.get(files["extra.txt"]) == b"hello"
    assert "requirements.txt" in files


def test_a_second_import_changes_nothing(store: Store, filled: Path) -> None:
    bring(store, open_wandb(filled))
    again = bring(store, open_wandb(filled))
    assert not again.changed
    assert again.runs_unchanged == 1


def test_a_killed_run_comes_as_far_as_it_got(store: Store, wandb_python: str, tmp_path: Path) -> None:
    _fill(wandb_python, tmp_path, 300, "killed")
    bring(store, open_wandb(tmp_path))
    run = _only(store)
    assert run.status == "running"
    steps = [point.step for point in history(store, run.id, "loss")]
    assert steps  # what its service still had in memory is lost with it
    assert steps == list(range(len(steps)))


def test_a_log_cut_off_anywhere_gives_what_is_whole(filled: Path, tmp_path: Path) -> None:
    [log] = filled.glob("wandb/offline-run-*/run-*.wandb")
    content = log.read_bytes()
    whole = list(records(log))
    for end in (7, 8, 500, 32768, 32770, 40000, len(content) - 1):
        short = tmp_path / "short.wandb"
        short.write_bytes(content[:end])
        some = list(records(short))
        assert some == whole[: len(some)]
        assert len(some) < len(whole)


def test_a_log_that_grew_is_brought_up_to_date(store: Store, filled: Path, tmp_path: Path) -> None:
    shutil.copytree(filled / "wandb", tmp_path / "wandb", symlinks=True)
    [log] = [path for path in tmp_path.glob("wandb/*/run-*.wandb") if not path.parent.is_symlink()]
    content = log.read_bytes()
    log.write_bytes(content[: len(content) // 2])
    bring(store, open_wandb(tmp_path))
    assert _only(store).status == "running"
    log.write_bytes(content)
    summary = bring(store, open_wandb(tmp_path))
    assert (summary.runs, summary.runs_changed) == (0, 1)
    assert _only(store).status == "finished"
    assert len(history(store, _only(store).id, "loss")) == POINTS


def test_other_folders_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no run of Weights & Biases"):
        open_wandb(tmp_path)
    (tmp_path / "run-abc.wandb").write_bytes(b"something else")
    with pytest.raises(BadInput, match=r"run-abc\.wandb can't be read"):
        open_wandb(tmp_path)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reading_of_a_record(data: bytes) -> None:
    with suppress(ValueError):
        message(data)
