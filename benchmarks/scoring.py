"""A table scored from Parquet to Parquet: `assay score` and Spark, beside a plain script and MLflow's spark_udf."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from measure import HERE, Row
from predicting import COLUMNS, MLFLOW, TRAINED, publish, table

ROWS = 1_000_000
#: What MLflow's environment borrows from that of the tests: Spark.
BORROWED = ("pyspark", "py4j")


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        random = np.random.default_rng(1)
        rows, ten = folder / "rows.parquet", folder / "ten"
        pq.write_table(table(random.normal(size=(ROWS, COLUMNS))), rows, row_group_size=250_000)
        ten.mkdir()
        for number in range(10):
            shutil.copy(rows, ten / f"{number}.parquet")
        trees, ours, _ = _ours("lightgbm", "score", folder, rows)
        _, on_spark, _ = _ours("lightgbm", "spark", folder, rows)
        _, cheap, memory = _ours("sklearn", "score", folder, rows)
        _, cheap_ten, memory_ten = _ours("sklearn", "score", folder, ten)
        claim = "1 M rows scored, Parquet to Parquet, LightGBM"
        found = [_row(claim, ours, "plain script", _peer(sys.executable, "plain", rows, folder, trees))]
        if MLFLOW.exists():
            udf = _peer(str(MLFLOW), "spark_udf", rows, folder, trees, _borrowed(folder))
            found += [
                _row(claim, ours, "MLflow 3.17.2, spark_udf on two cores", udf),
                _row("the same on Spark, two cores", on_spark, "MLflow 3.17.2, spark_udf on two cores", udf),
            ]
        return [
            *found,
            Row("1 M rows scored, logistic regression", f"{cheap:.2f} s, {ROWS / cheap:,.0f} rows/s"),
            Row(
                "memory of 10 M rows scored, logistic regression",
                f"{cheap_ten:.2f} s, {memory_ten:,.0f} MiB",
                "1 M rows",
                f"{cheap:.2f} s, {memory:,.0f} MiB",
                memory / memory_ten,
            ),
        ]


def _row(claim: str, ours: float, name: str, theirs: float) -> Row:
    return Row(claim, f"{ours:.2f} s", name, f"{theirs:.2f} s", theirs / ours)


def _borrowed(folder: Path) -> dict[str, str]:
    import importlib.util

    lent = folder / "lent"
    lent.mkdir()
    for name in BORROWED:
        found = importlib.util.find_spec(name)
        assert found, f"{name} is not installed: make parts"
        (lent / name).symlink_to(Path(str(found.origin)).parent)
    return {"PYTHONPATH": str(lent), "PYSPARK_PYTHON": str(MLFLOW)}


def _peer(python: str, way: str, rows: Path, folder: Path, trees: str, more: dict[str, str] | None = None) -> float:
    command = [python, str(HERE / "peers" / "scoring_peer.py"), way, str(rows), str(folder), trees]
    return float(_run(command, more)[-1])


def _ours(library: str, way: str, folder: Path, rows: Path) -> tuple[str, float, float]:
    trees, took, memory = _run([sys.executable, __file__, library, way, str(folder), str(rows)])[-3:]
    return trees, float(took), float(memory)


def _run(command: list[str], more: dict[str, str] | None = None) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (more or {}))
    if done.returncode:
        raise RuntimeError(f"{command} does not run\n{done.stderr[-3000:]}")
    return done.stdout.split()


def main() -> None:
    """Print the file of the trees, seconds, and the most memory in MiB."""
    from assay.scoring import score, score_spark
    from assay.store import find_home, use

    library, way, folder, rows = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]
    project = Path(tempfile.mkdtemp(dir=folder))
    random = np.random.default_rng(2)
    x = random.normal(size=(TRAINED, COLUMNS))
    model = publish(project, library, x, (x[:, 0] + random.normal(size=TRAINED) > 0).astype(float))
    trees = project / "trees.txt"
    took: list[float] = []
    with use(find_home(project / ".assay")) as opened:
        if library == "lightgbm":
            from assay.model.bundle import ESTIMATOR
            from assay.store.artifacts import unpack

            text = unpack(opened.artifacts.get(model.version.bundle))[ESTIMATOR].decode()
            for i in range(COLUMNS):
                text = text.replace(f"Column_{i} ", f"x{i} ").replace(f"Column_{i}\n", f"x{i}\n")
            trees.write_text(text)
        spark = _spark() if way == "spark" else None
        for turn in range(3):
            started = time.perf_counter()
            if spark is None:
                score(opened, model, rows, folder / f"{project.name}-{turn}")
            else:
                scored = score_spark(opened, model, spark.read.parquet(rows)).select(
                    "key", "at", "probability", "error"
                )
                scored.write.mode("overwrite").parquet(str(folder / f"{project.name}-{turn}"))
            took.append(time.perf_counter() - started)
    print(trees, min(took[1:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _spark():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    made = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    made.sparkContext.setLogLevel("ERROR")
    return made


if __name__ == "__main__":
    main()
