"""Predictions from Python, by library: a published model beside the library alone and beside MLflow's pyfunc."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from measure import HERE, Row

COLUMNS = 12
TRAINED, MANY = 20_000, 200_000
LIBRARIES = {"sklearn": "scikit-learn", "lightgbm": "LightGBM", "xgboost": "XGBoost", "onnx": "ONNX"}
#: The environment of the tests that has MLflow; it has no ONNX Runtime.
MLFLOW = HERE.parent / ".venv" / "mlflow3" / "bin" / "python"
PROJECT = """
import sys
from typing import Annotated

import numpy as np

import assay

sys.path.insert(0, {peers!r})


class Row(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
{fields}


class Says(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]


def features(d):
    return {{name: d[name] for name in {names!r}}}


def fit(x, y):
    from predicting_peer import fitted

    made, _ = fitted("sklearn" if LIBRARY == "onnx" else LIBRARY, x.values, y)
    if LIBRARY == "onnx":
        from onnx_linear import linear

        return linear(made)
    return made


LIBRARY = {library!r}
model = assay.Model("speed", takes=Row, gives=Says, label="y", features=features, fit=fit, metrics=["auc"])
"""


def measure() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        random = np.random.default_rng(1)
        x, many = random.normal(size=(TRAINED, COLUMNS)), random.normal(size=(MANY, COLUMNS))
        y = (x[:, 0] + random.normal(size=TRAINED) > 0).astype(float)
        np.savez(arrays, x=x, y=y, many=many)
        for library, title in LIBRARIES.items():
            project = Path(folder) / library
            project.mkdir()
            ours = _asked([sys.executable, __file__, str(project), library, str(arrays)])
            beside = {f"{title} alone": _peer(sys.executable, "alone", library, arrays)}
            if library != "onnx" and MLFLOW.exists():
                beside["MLflow 3.17.2, pyfunc"] = _peer(MLFLOW, "mlflow", library, arrays)
            rows += [
                _row(f"one row from Python, {title}", ours[0], name, theirs[0], "us") for name, theirs in beside.items()
            ]
            claim = f"{MANY:,} rows from Python, {title}"
            rows += [_row(claim, ours[1], name, theirs[1], "s") for name, theirs in beside.items()]
    return rows


def _row(claim: str, ours: float, name: str, theirs: float, unit: str) -> Row:
    form = "{:,.0f} us" if unit == "us" else "{:.3f} s"
    return Row(claim, form.format(ours), name, form.format(theirs), theirs / ours)


def _peer(python: str | Path, way: str, library: str, arrays: Path) -> tuple[float, float]:
    return _asked([str(python), str(HERE / "peers" / "predicting_peer.py"), way, library, str(arrays)])


def _asked(command: list[str]) -> tuple[float, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} does not run\n{done.stderr[-2000:]}")
    one, many = map(float, done.stdout.split()[-2:])
    return one, many


def publish(project: Path, library: str, x: np.ndarray, y: np.ndarray):
    """A published model of a library in a folder of its own."""
    import importlib

    import assay
    from assay.store import find_home, use

    names = [f"x{i}" for i in range(x.shape[1])]
    fields = "\n".join(f"    {name}: float" for name in names)
    text = PROJECT.format(fields=fields, names=names, library=library, peers=str(HERE / "peers"))
    (project / f"speed_{library}.py").write_text(text)
    sys.path.insert(0, str(project))
    with use(find_home(project / ".assay")):
        module = importlib.import_module(f"speed_{library}")
        past = table(x).append_column("y", pa.array(y))
        candidate = assay.train(module.model, past.slice(0, TRAINED * 3 // 4))
        assert assay.bless(
            candidate, past.slice(TRAINED * 3 // 4), assay.Policy("auc", margin=1, within=(0, 1))
        ).blessed
        assay.publish(candidate)
        return assay.load_model("speed")


def table(x: np.ndarray) -> pa.Table:
    """Rows of the contract: key, time and numbers."""
    at = np.datetime64("2013-01-01", "us") + np.arange(len(x)) * np.timedelta64(60_000_000, "us")
    columns = {"key": pa.array([f"k{i}" for i in range(len(x))]), "at": pa.array(at).cast(pa.timestamp("us", "UTC"))}
    return pa.table(columns | {f"x{i}": x[:, i] for i in range(x.shape[1])})


def ours(project: Path, library: str, arrays: Path) -> None:
    """Print microseconds of one row, a dict, and seconds of a table."""
    held = np.load(arrays)
    model = publish(project, library, held["x"], held["y"])
    many, row = table(held["many"]), table(held["x"][:1]).to_pylist()[0]
    model.predict(row), model.predict(many)
    print(min(_seconds(lambda: model.predict(row)) for _ in range(500)) * 1e6,
          min(_seconds(lambda: model.predict(many)) for _ in range(5)))  # fmt: skip


def _seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    ours(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
