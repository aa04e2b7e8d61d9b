"""MLflow's unmodified client at our server and at MLflow's own, and our own client beside MLflow's straight on SQLite."""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import HERE, Row

PYTHON = HERE.parent / ".venv" / "mlflow3" / "bin" / "python"
CLIENT = HERE / "peers" / "tracking_client.py"
SECONDS = 5.0
RUNS = 10_000
MANY = 100_000
#: Beyond those that the clients made before.
FIRST_SERIES = 10_000_000
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
        return _measure(Path(name))


def _measure(folder: Path) -> list[Row]:
    ours, theirs = _Ours(folder), _Theirs(folder)
    cold = [one.cold() for one in (ours, theirs)]
    with ours.running() as at_ours, theirs.running() as at_theirs:
        found = {name: (_asked(at_ours, name), _asked(at_theirs, name)) for name in ("log_metric", "log_batch", "runs")}
        memory = [one.memory() for one in (ours, theirs)]
    ours.fill(RUNS)
    theirs.fill(RUNS)
    with ours.running() as at_ours, theirs.running() as at_theirs:
        search = [_asked(address, "search") for address in (at_ours, at_theirs)]
        server = _server_time(at_ours)
    ours.fill(MANY - RUNS, first=RUNS)
    with ours.running() as at_ours:
        larger = _asked(at_ours, "search")
        larger_server = _server_time(at_ours)
    told = "MLflow's own server, SQLite"
    units = {
        "log_metric": "calls/s",
        "log_batch": "metrics/s in batches of 1,000",
        "runs": "runs/s, 10 metrics, 10 parameters",
    }
    rows = [
        Row(f"MLflow's client: {name}", f"{a:,.0f} {units[name]}", told, f"{b:,.0f}", a / b)
        for name, (a, b) in found.items()
    ]
    rows += [
        Row(
            f"MLflow's client: search of {RUNS:,} runs, first 100",
            f"{search[0] * 1000:.0f} ms, of it {server * 1000:.0f} ms server",
            told,
            f"{search[1] * 1000:.0f} ms",
            search[1] / search[0],
        ),
        Row(f"the same of {MANY:,} runs", f"{larger * 1000:.0f} ms, of it {larger_server * 1000:.0f} ms server"),
        Row("server: cold start to its first answer", f"{cold[0]:.2f} s", told, f"{cold[1]:.1f} s", cold[1] / cold[0]),
        Row(
            "server: memory (PSS) after this load",
            f"{memory[0]:.0f} MiB",
            told,
            f"{memory[1]:.0f} MiB",
            memory[1] / memory[0],
        ),
    ]
    return rows + _own(folder)


class _Ours:
    def __init__(self, folder: Path) -> None:
        self.home = folder / "ours" / ".assay"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        command = [sys.executable, "-m", "assay", "up", "--port", "0", "--home", str(self.home)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout
        return self.process.stdout.readline().split()[-1]

    def cold(self) -> float:
        times: list[float] = []
        for _ in range(3):
            started = time.perf_counter()
            _wait(self.start())
            times.append(time.perf_counter() - started)
            _stop(self.process)
        return statistics.median(times)

    @contextmanager
    def running(self) -> Iterator[str]:
        yield self.start()
        _stop(self.process)

    def memory(self) -> float:
        return _pss(self.process)

    def fill(self, count: int, first: int = 0) -> None:
        """Runs as they stand after their clients logged them, written in bulk."""
        from sqlalchemy import insert

        from assay import store
        from assay.store.schema import metric_points, metric_series, params, runs, tags
        from assay.times import now
        from assay.track.experiments import experiment_id

        with store.use(store.find_home(self.home)) as opened:
            with opened.database.begin() as connection:
                number = experiment_id(connection, "many")
            for start in range(first, first + count, 2000):
                rows: dict[Any, list[dict[str, Any]]] = {
                    runs: [],
                    params: [],
                    tags: [],
                    metric_series: [],
                    metric_points: [],
                }
                for i in range(start, min(start + 2000, first + count)):
                    run = f"{i:032x}"
                    row = {
                        "id": run,
                        "experiment_id": number,
                        "name": f"run-{i}",
                        "kind": "tracked",
                        "status": "finished",
                    }
                    rows[runs].append(row | {"started_at": now(), "user": "me"})
                    kept = [("lr", ("0.1", "0.01", "0.3")[i % 3]), *((f"p{k}", str(i % (k + 2))) for k in range(9))]
                    rows[params] += [{"run_id": run, "name": k, "value": v, "text": v} for k, v in kept]
                    rows[tags].append({"run_id": run, "name": "mlflow.user", "value": "me"})
                    values = [("auc", (i * 7919 % 1000) / 1000), *((f"m{k}", i / (k + 1)) for k in range(9))]
                    for k, (name, value) in enumerate(values):
                        series = {"id": FIRST_SERIES + i * 10 + k, "run_id": run, "name": name}
                        point = {"step": 0, "at_us": 1000, "value": value, "is_nan": False}
                        rows[metric_series].append(series | point)
                        rows[metric_points].append({"series_id": series["id"]} | point)
                with opened.database.begin() as connection:
                    for table, some in rows.items():
                        connection.execute(insert(table), some)


class _Theirs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "theirs"
        self.folder.mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        command = [PYTHON, "-m", "mlflow", "server", "--port", str(port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/m.db", "--artifacts-destination", self.folder]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)
        _wait(address := f"http://127.0.0.1:{port}")
        return address

    def cold(self) -> float:
        self.start()  # makes its database
        _stop(self.process)
        started = time.perf_counter()
        self.start()
        took = time.perf_counter() - started
        _stop(self.process)
        return took

    @contextmanager
    def running(self) -> Iterator[str]:
        yield self.start()
        _stop(self.process)

    def memory(self) -> float:
        return _pss(self.process)

    def fill(self, count: int) -> None:
        fill = HERE / "peers" / "fill_mlflow.py"
        subprocess.run([sys.executable, fill, self.folder / "m.db", str(count)], check=True)


def _wait(address: str) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.01)


def _stop(process: "subprocess.Popen[str] | subprocess.Popen[bytes] | None") -> None:
    assert process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


def _pss(process: "subprocess.Popen[str] | subprocess.Popen[bytes] | None") -> float:
    """MiB of a process and all that it began; pages that several share are counted once."""
    assert process
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == process.pid:
                text = (folder / "smaps_rollup").read_text()
                total += int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
        except (OSError, StopIteration):
            continue
    return total / 1024


def _asked(address: str, what: str) -> float:
    command = [PYTHON, CLIENT, address, what, str(SECONDS)]
    done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return done["search_s" if what == "search" else what]


def _server_time(address: str) -> float:
    """The time of the same search without a client around it."""
    asked = urllib.request.urlopen(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=many")
    number = json.loads(asked.read())["experiment"]["experiment_id"]
    body = {
        "experiment_ids": [number],
        "filter": "metrics.auc > 0.8 and params.lr = '0.1'",
        "order_by": ["metrics.auc DESC"],
        "max_results": 100,
    }
    times: list[float] = []
    for _ in range(9):
        request = urllib.request.Request(
            f"{address}/api/2.0/mlflow/runs/search", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        started = time.perf_counter()
        with urllib.request.urlopen(request) as answer:
            answer.read()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


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
