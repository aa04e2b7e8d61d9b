"""Runs of this store as the client of Weights & Biases writes them offline: synced by it, and imported back equal."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from assay.cli import cli
from assay.exchange import bring, open_wandb
from assay.store import Home, Store
from assay.store.schema import datasets, metric_points, metric_series, params, run_artifacts, run_datasets, runs, tags
from assay.track import begin_run
from assay.track.points import Point, add_points

BOTH = "import sys; sys.path.append(sys.argv.pop(1)); from assay.cli import main; main()"
START = 1_700_000_000_123_456


def _filled(store: Store) -> str:
    with begin_run(store, "trips/one", name="párent 🛫") as parent:
        parent.log_params(
            {"leaves": 31, "rate": 0.1, "on": True, "none": None, "deep": {"a": [1, {"b": "ü"}]}, "a.b": "x"}
        )
        parent.log_params({"most": 2**63 - 1, "least": -(2**63), "long": "y" * 7000})
        parent.set_tags({"season": "winter", "odd\n": "läng" * 2000})
        parent.note("a *note*")
        parent.log_dataset("rows", pa.table({"x": [1.0, 2.0]}), context="training")
        for name, content in {
            "plots/roc [1].txt": b"a picture",
            "empty": b"",
            "config.yaml": b"mine",
            "ü🛫.bin": bytes(256),
        }.items():
            parent.log_artifact(name, content)
        with begin_run(store, "trips/one", name="child", parent=parent.id) as child:
            for step in range(1500):
                child.log_metrics({"loss": 1 / (step + 1), "nest/acc": step / 7}, step=step)
    odd = [
        ("nan", math.nan, 0),
        ("inf", math.inf, 1),
        ("-inf", -math.inf, 1),
        ("zero", -0.0, 2),
        ("small", 5e-324, -(2**63)),
    ]
    points = [Point(name, value, step, START + number) for number, (name, value, step) in enumerate(odd)]
    points += [Point("twice", value, 5, START) for value in (1.0, 2.0)] + [
        Point("last", 3.0, 2**63 - 1, START + 999_999)
    ]
    points += [Point("_hidden", 4.0, 7, START), Point("early", 5.0, 8, -1), Point("far", 6.0, 9, 2**62 + 1)]
    with store.database.begin() as connection:
        add_points(connection, parent.id, points)
    with pytest.raises(ValueError, match="no"), begin_run(store, "trips/one", name="failed"):
        raise ValueError("no")
    return parent.id


def _seen(store: Store) -> dict[str, list]:
    """Everything that a mirror sends, row by row."""
    kept = [runs.c.id, runs.c.name, runs.c.status, runs.c.user, runs.c.parent_id, runs.c.started_at, runs.c.ended_at]
    asked = {
        "runs": select(*kept),
        "params": select(params),
        "tags": select(tags).where(tags.c.name.not_like("assay.%"), tags.c.name != "mlflow.parentRunId"),
        "points": select(
            metric_series.c.run_id,
            metric_series.c.name,
            metric_points.c.step,
            metric_points.c.at_us,
            metric_points.c.value,
            metric_points.c.is_nan,
        ).join_from(metric_series, metric_points, metric_series.c.id == metric_points.c.series_id),
        "newest": select(metric_series.c.run_id, metric_series.c.name, metric_series.c.step, metric_series.c.value),
        "files": select(run_artifacts),
        "datasets": select(
            run_datasets.c.run_id,
            run_datasets.c.context,
            run_datasets.c.tags,
            datasets.c.name,
            datasets.c.digest,
            datasets.c["schema"],
        ).join_from(run_datasets, datasets, datasets.c.id == run_datasets.c.dataset_id),
    }
    with store.database.read() as connection:
        return {what: sorted(repr(tuple(row)) for row in connection.execute(rows)) for what, rows in asked.items()}


@pytest.fixture(scope="session")
def with_wandb(wandb_python: str) -> list[str]:
    """Assay beside the client of Weights & Biases, as `pip install "assay[wandb]"` puts them."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([wandb_python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    return [sys.executable, "-c", BOTH, site]


def _mirror(with_wandb: list[str], store: Store, folder: Path) -> tuple[int, ...]:
    """How many runs were new, changed and unchanged, and how many points and files were written."""
    command = [*with_wandb, "mirror", "wandb", str(folder), "--json", "--home", str(store.home.path)]
    done = subprocess.run(
        command, env=os.environ | {"WANDB_ERROR_REPORTING": "false"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    said = json.loads(done.stdout)
    return tuple(said[name] for name in ("runs", "runs_changed", "runs_unchanged", "points", "artifacts"))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_runs_come_back_as_they_were(
    database: str,
    new_store: Callable[[str], Store],
    with_wandb: list[str],
    wandb_python: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if database == "postgresql":
        monkeypatch.setenv("ASSAY_DATABASE", request.getfixturevalue("new_postgres"))
    store, folder = new_store("here"), tmp_path / "wandb"
    _filled(store)
    before = _seen(store)
    assert len(before["points"]) == 3011
    assert _mirror(with_wandb, store, folder) == (3, 0, 0, 3011, 5)  # the long parameter is a file too
    assert _mirror(with_wandb, store, folder) == (0, 0, 3, 0, 0)
    back = bring(store, open_wandb(folder))
    assert (back.runs, len(back.left_out["runs that were sent there from here"])) == (0, 3)
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    other = new_store("other")
    summary = bring(other, open_wandb(folder))
    assert (summary.runs, summary.points, summary.complete, summary.left_out_counts) == (3, 3011, True, {})
    # Its client writes -0.0 as 0.
    seen = {what: [row.replace(" -0.0", " 0.0") for row in rows] for what, rows in _seen(other).items()}
    sent = {what: [row.replace(" -0.0", " 0.0") for row in rows] for what, rows in before.items()}
    assert {what: rows for what, rows in seen.items() if rows != sent[what]} == {}


def test_a_run_that_changed_is_written_anew_and_is_there_once(
    store: Store, with_wandb: list[str], wandb_python: str, tmp_path: Path
) -> None:
    run = begin_run(store, "trips", name="long")
    run.log_metric("loss", 1.0, step=0)
    run.flush()
    folder = tmp_path / "wandb"
    assert _mirror(with_wandb, store, folder) == (1, 0, 0, 1, 0)
    run.log_metric("loss", 0.5, step=1)
    run.finish()
    assert _mirror(with_wandb, store, folder) == (0, 1, 0, 2, 0)
    [log] = folder.glob("offline-run-*/*.wandb")
    shown = subprocess.run(
        [wandb_python, "-m", "wandb", "sync", "--view", "--verbose", str(log.parent)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "Traceback" not in shown.stderr
    other = Store(Home(tmp_path / "other"))
    try:
        bring(other, open_wandb(folder))
        assert _seen(other) == _seen(store)
    finally:
        other.database.dispose()


def test_the_client_is_asked_for(store: Store, tmp_path: Path) -> None:
    with begin_run(store, "trips"):
        pass
    done = CliRunner().invoke(cli, ["mirror", "wandb", str(tmp_path / "wandb"), "--home", str(store.home.path)])
    assert 'pip install "assay[wandb]"' in str(done.exception)


def test_changed_facts_of_a_mirrored_run_are_read_as_any_configuration() -> None:
    from assay.exchange.wandb_ours import ours_of

    assert ours_of({"assay.run": {"run_id": 5}}) is None
    assert ours_of({"assay.run": "text"}) is None
    assert datetime.fromtimestamp(START / 1e6, UTC).microsecond == 123_456
