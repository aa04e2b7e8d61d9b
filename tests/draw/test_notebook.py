"""Results show themselves in a real Jupyter kernel: each cell ends in a result, and gives HTML and text."""

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import pytest

#: A model stands in a file, so that it can be published.
PROJECT = """
from typing import Annotated
import assay


class Ride(assay.Record):
    ride: assay.Key[str]
    at: assay.EventTime
    miles: Annotated[float, assay.between(0, 50)]


class Slow(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]


def features(d):
    return {"miles": d.miles}


def fit(x, y):
    from sklearn.linear_model import LogisticRegression
    return LogisticRegression().fit(x.values, y)


model = assay.Model("ride", takes=Ride, gives=Slow, label="slow", features=features, fit=fit)
"""
BEGIN = """
import assay, numpy as np, pyarrow as pa
from datetime import UTC, datetime, timedelta
from assay.drift import table_drift
from assay.profiles import profile
from assay.quality import quality
from rides import Ride, model

dice, size, first = np.random.default_rng(1), 2400, datetime(2024, 1, 1, tzinfo=UTC)
miles = dice.uniform(0, 40, size)
rows = pa.table({
    "ride": [f"r{i}" for i in range(size)],
    "at": pa.array([first + timedelta(hours=i) for i in range(size)], pa.timestamp("us", "UTC")),
    "miles": miles, "slow": miles + dice.normal(0, 4, size) > 20, "minutes": miles * 3.0,
    "plan": dice.choice(["<b>month</b>", "year"], size),
})
"""
#: What a cell ends in, and words that its HTML and its text must hold.
CELLS = {
    "report": ('assay.check(rows, assay.Checks(assay.col("miles").between(0, 30), assay.rows(min=5)))', "miles"),
    "quality": ('quality(rows, "slow")', "almost equivalent"),
    "split": ('past, holdout = split = assay.split(rows, Ride, holdout="14d")\nsplit', "holdout"),
    "profile": ("profile(rows)", "2,400 rows"),
    "drift": ('table_drift(rows, "at", every="7d")[0]', "windows"),
    "verdict": ('candidate = assay.train(model, past)\nassay.bless(candidate, holdout, assay.Policy("auc", margin=0.05))', "auc"),
    "run": ('with assay.start_run("tries") as run:\n    assay.log_param("rate", 0.1)\n    assay.log_metric("auc", 0.75)\nrun', "0.75"),
    "runs": ("from assay.store import current\nfrom assay.track import find_runs\nfind_runs(current())[0]", "run of"),
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each cell of a notebook gave, by kind of content."""
    for library in ("nbclient", "ipykernel", "sklearn"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"MISSING: {library}. Run: make parts")
    import nbformat
    from nbclient import NotebookClient

    folder = tmp_path_factory.mktemp("notebook")
    (folder / ".assay").mkdir()
    (folder / "rides.py").write_text(PROJECT)
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(text) for text in (BEGIN, *(cell for cell, _ in CELLS.values()))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    client = NotebookClient(made, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env=kept | {"JUPYTER_PLATFORM_DIRS": "1"})
    assert made.cells[0].outputs == []
    if keep := os.environ.get("KEEP_NOTEBOOK"):
        _page(Path(keep), made.cells)
    last = {name: cell.outputs[-1] for name, cell in zip(CELLS, made.cells[1:], strict=True)}
    return {name: dict(one.get("data", {})) for name, one in last.items()}


def _page(path: Path, cells: list[Any]) -> None:
    """The outputs one below the other, as a notebook shows them, to be looked at in a browser."""
    parts = [
        f"<pre>{cell.source}</pre>{out.data.get('text/html', '')}"
        for cell in cells
        for out in cell.outputs
        if "data" in out
    ]
    path.write_text(
        f"<!doctype html><meta charset=utf-8><body style='font-family:sans-serif;width:960px'>{'<hr>'.join(parts)}"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_shows_its_result(cell: str, shown: dict[str, dict[str, Any]]) -> None:
    words = CELLS[cell][1]
    found = shown[cell]
    assert words in re.sub(r"\s+", " ", found["text/html"])
    assert found["text/html"].startswith("<div class='assay'>")
    assert "<b>month" not in found["text/html"]
    assert not re.search(r"<(script|iframe|img|link)", found["text/html"])
    if cell != "run":  # that is still being written, and only named
        assert "object at" not in found["text/plain"]
