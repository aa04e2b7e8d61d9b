"""Models that MLflow's own clients registered become versions of ours: adopted, blessed, published, asked."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay import store
from assay.model.loaded import load_version

SHOP = """
import assay
from typing import Annotated

class Trip(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    miles: Annotated[float, assay.between(0, 100)]
    seats: float

class Other(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    miles: float

policy = assay.Policy("auc", margin=0.05, within=(0.6, 1))
strict = assay.Policy("auc", margin=0.05, within=(0.999, 1))
"""
AHEAD = np.datetime64("2099-01-01", "us")


def assay(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "assay", *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"COLUMNS": "80", "PYTHONWARNINGS": "error"},
    )  # fmt: skip


@pytest.fixture(scope="module", params=["mlflow3", "mlflow2"])
def registered(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    running: Callable[..., Any],
    mlflow_python: Callable[[str], str],
) -> "Registered":
    """A project whose registry holds models of a client, and what these predict."""
    python, folder = mlflow_python(request.param), tmp_path_factory.mktemp(request.param)
    (folder / ".assay").mkdir()
    (folder / "shop.py").write_text(SHOP)
    random = np.random.default_rng(1)
    miles = random.uniform(0, 50, 200)
    start = AHEAD + np.arange(200) * np.timedelta64(1, "h")
    table = {"trip": [f"t{i}" for i in range(200)], "start": pa.array(start).cast(pa.timestamp("us", "UTC"))}
    table |= {"miles": miles, "seats": random.integers(1, 9, 200).astype(float)}
    pq.write_table(pa.table(table | {"long": miles + random.normal(0, 8, 200) > 25}), folder / "trips.parquet")
    with running(folder / ".assay") as address:
        script = Path(__file__).with_name("log_for_adoption.py")
        done = subprocess.run([python, script, address], capture_output=True, text=True, check=False, cwd=folder)
        assert done.returncode == 0, done.stderr[-2000:]
    return folder, ast.literal_eval(done.stdout.strip().splitlines()[-1])


Registered = tuple[Path, dict[str, list[float]]]


def test_they_are_blessed_published_and_say_what_the_client_says(registered: Registered) -> None:
    folder, said = registered
    for name, wanted in said.items():
        command = ["adopt", f"models:/{name}@champion", "--takes", "shop:Trip", "--label", "long", "--json"]
        done = assay(folder, *command, "--holdout", "trips.parquet", "--policy", "shop:policy")
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        assert (shown["model"], shown["source"], shown["blessed"]) == (name, f"models:/{name}/1", True)
        with store.use(store.find_home(folder / ".assay")) as opened:
            loaded = load_version(opened, name)
            assert (loaded.version.version, loaded.version.bundle) == (2, shown["bundle"])
            row = {"trip": "t", "start": "2099-02-01T00:00:00Z"}
            rows = [row | {"miles": miles, "seats": seats} for miles, seats in ((1, 1), (24, 2), (49, 3))]
            answers = [one["probability"] for one in loaded.predict(rows)]
        assert answers == pytest.approx(wanted, abs=1e-6)
    refused = assay(folder, "adopt", "models:/pickled/1", "--takes", "shop:Trip")
    assert refused.returncode == 2
    assert "a pickle, which can run any code when it is loaded" in refused.stderr


def test_what_was_adopted_is_scored_and_compared_and_its_declaration_stays(registered: Registered) -> None:
    folder, said = registered
    if "linear" not in said:  # once is enough
        return
    declared = folder / "adopted_lgb.py"
    declared.write_text(declared.read_text().replace("['auc']", "['auc', 'log_loss']"))
    command = ["adopt", "models:/lgb/1", "--takes", "shop:Trip", "--name", "lgb", "--holdout", "trips.parquet"]
    done = assay(folder, *command, "--policy", "shop:strict")
    assert done.returncode == 1, done.stderr
    assert "lies outside 0.999 to 1" in done.stdout
    assert "lgb/2" in done.stdout  # the incumbent, compared with it on the same rows
    assert "['auc', 'log_loss']" in declared.read_text()
    scored = assay(folder, "score", "lgb", "trips.parquet", "--out", "scores")
    assert scored.returncode == 0, scored.stderr
    for arguments, words in (
        (["models:/wrapped/1", "--takes", "shop:Trip"], "pickled state of its library"),
        (["models:/xgb/1", "--takes", "shop:Other"], "wants features that Other does not have\n  seats"),
        (["models:/none@champion", "--takes", "shop:Trip"], "none"),
        (["lgb", "--takes", "shop:Trip"], "names no version in the registry"),
        (["models:/lgb@champion", "--takes", "shop:Trip"], "lgb/2 has a bundle already"),
        (["models:/lgb/1", "--takes", "shop:Trip", "--holdout", "trips.parquet"], "belong together"),
    ):
        refused = assay(folder, "adopt", *arguments)
        assert refused.returncode == 2, refused.stderr
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
