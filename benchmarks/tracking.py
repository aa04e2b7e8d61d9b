"""MLflow's unmodified client at our server, at FastTrackML and at MLflow's own, and our own client beside MLflow's straight on SQLite."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import HERE, Row
from trackers import PYTHON, Server, servers

CLIENT = HERE / "peers" / "tracking_client.py"
SECONDS = 5.0
RUNS, MANY = 3_000, 100_000
UNITS = {
    "log_metric": ("calls/s", "ms a call"),
    "log_batch": ("metrics/s in batches of 1,000", "ms a batch"),
    "runs": ("runs/s, 10 metrics, 10 parameters", "ms a run"),
}
DIRECT = """
import mlflow, sys, time
client = mlflow.MlflowClient(sys.argv[1]); run = client.create_run("0").info.run_id
client.log_metric(run, "loss", 1.0); count, start = 0, time.perf_counter()
while time.perf_counter() - start < 5: client.log_metric(run, "loss", 0.5, step=count); count += 1
print(count / (time.perf_counter() - start))
"""
OWN = """
import sys, time
from assay import store; from assay.track import begin_run
run = begin_run(store.current(), "bench"); count = int(sys.argv[1]); run.log_metric("loss", 1.0, -1)
start = time.perf_counter()
for step in range(count): run.log_metric("loss", 0.5, step)
took = time.perf_counter() - start
start = time.perf_counter(); run.finish()
print(run.id, took, time.perf_counter() - start)
"""


def measure() -> list[Row]:
    if not PYTHON.exists():
        print("MISSING: MLflow is not installed: make parts", flush=True)
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*_served(folder), *_own(folder)]


def _served(folder: Path) -> list[Row]:
    each = servers(folder)
    cold = [one.cold(1 if one.fills == "fill_mlflow.py" else 3) for one in each]
    rows = _compared("server: cold start to its first answer", "s", cold, each, digits=2)
    rows += _logged(each)
    for one in each:
        one.fill(RUNS)
    rows += _searched(each, RUNS)
    ours_and_fast = [one for one in each if one.fills != "fill_mlflow.py"]  # MLflow's own takes minutes to search these
    for one in ours_and_fast:
        one.fill(MANY - RUNS, RUNS)
    return rows + _searched(ours_and_fast, MANY)


def _logged(each: list[Server]) -> list[Row]:
    rates: dict[str, list[float]] = {what: [] for what in UNITS}
    costs: dict[str, list[float]] = {what: [] for what in UNITS}
    memory: list[float] = []
    for one in each:
        with one.running() as address:
            for what in UNITS:
                _asked(address, what, 0.5)
                before = one.cpu()
                done = _asked(address, what, SECONDS)
                rates[what].append(done["rate"])
                costs[what].append((one.cpu() - before) / done["calls"] * 1000)
            memory.append(one.memory())
    rows: list[Row] = []
    for what, (unit, each_one) in UNITS.items():
        rows += _compared(f"MLflow's client: {what}", unit, rates[what], each, more_is_better=True)
        rows += _compared(f"server CPU: {what}", each_one, costs[what], each, digits=2)
    return rows + _compared("server: memory (PSS) after this load", "MiB", memory, each)


def _searched(each: list[Server], count: int) -> list[Row]:
    took: list[float] = []
    costs: list[float] = []
    for one in each:
        with one.running() as address:
            _asked(address, "search", 0)
            before = one.cpu()
            done = _asked(address, "search", 0)
            took.append(done["search_s"] * 1000)
            costs.append((one.cpu() - before) / done["calls"] * 1000)
    what = f"search of {count:,} runs, first 100"
    return [
        *_compared(f"MLflow's client: {what}", "ms", took, each),
        *_compared(f"server CPU: {what}", "ms", costs, each, digits=1),
    ]


def _compared(
    what: str, unit: str, values: list[float], each: list[Server], *, digits: int = 0, more_is_better: bool = False
) -> list[Row]:
    """Ours, the first, beside each of the others."""
    ours, *others = values
    shown = f"{ours:,.{digits}f} {unit}"
    if not others:
        return [Row(what, shown)]
    return [
        Row(what, shown, one.name, f"{value:,.{digits}f}", ours / value if more_is_better else value / max(ours, 1e-9))
        for one, value in zip(each[1:], others, strict=True)
    ]


def _asked(address: str, what: str, seconds: float) -> dict[str, Any]:
    command = [PYTHON, CLIENT, address, what, str(seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def _own(folder: Path) -> list[Row]:
    environment = os.environ | {"ASSAY_HOME": str(folder / "own" / ".assay")}

    def begin(count: int) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", OWN, str(count)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def ended(process: "subprocess.Popen[str]") -> tuple[str, float, float]:
        run_id, took, drained = process.communicate()[0].split()
        return run_id, float(took), float(drained)

    one = [ended(begin(300_000)) for _ in range(3)]
    rate = statistics.median(300_000 / took for _, took, _ in one)
    direct = subprocess.run(
        [PYTHON, "-c", DIRECT, f"sqlite:///{folder}/direct.db"], check=True, capture_output=True, text=True
    )
    theirs = float(direct.stdout.split()[-1])
    started = time.perf_counter()
    several = [ended(process) for process in [begin(100_000) for _ in range(8)]]
    took = time.perf_counter() - started
    kept = _points(folder / "own" / ".assay", [run_id for run_id, _, _ in several])
    assert kept == 8 * 100_001, kept
    return [
        Row("own client: log_metric, durable on kill -9", f"{rate:,.0f} calls/s", "MLflow straight on SQLite", f"{theirs:,.0f}", rate / theirs),
        Row("8 processes, 100,000 points each, nothing lost", f"{took:.1f} s until all are in the database, {800_000 / took:,.0f}/s"),
    ]  # fmt: skip


def _points(home: Path, run_ids: list[str]) -> int:
    from sqlalchemy import func, select

    from assay import store
    from assay.store.schema import metric_points, metric_series
    from assay.track.outbox import deliver

    with store.use(store.find_home(home)) as opened:
        deliver(opened)
        asked = (
            select(func.count())
            .select_from(metric_points)
            .join(metric_series, metric_points.c.series_id == metric_series.c.id)
        )
        with opened.database.read() as connection:
            return connection.execute(asked.where(metric_series.c.run_id.in_(run_ids))).scalar_one()
