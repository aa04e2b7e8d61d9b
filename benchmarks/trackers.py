"""The three servers that MLflow's client is measured at: ours, MLflow's own, FastTrackML. Each is started, watched, filled and stopped alike."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import HERE, VENVS, peer

PYTHON = HERE.parent / ".venv" / "mlflow3" / "bin" / "python"
#: Beyond those that the clients made before.
FIRST_SERIES = 10_000_000


class Server:
    """One of them, with a database of its own in a folder of its own."""

    name = ""
    fills = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.process: subprocess.Popen[Any] | None = None

    def command(self, port: int) -> list[Any]:
        raise NotImplementedError

    def start(self) -> str:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self.command(port), stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        _wait(address := f"http://127.0.0.1:{port}")
        return address

    def stop(self) -> None:
        assert self.process
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def cold(self, times: int = 3) -> float:
        """Seconds to the first answer, of a server whose database is there."""
        self.start()
        self.stop()
        took: list[float] = []
        for _ in range(times):
            started = time.perf_counter()
            self.start()
            took.append(time.perf_counter() - started)
            self.stop()
        return statistics.median(took)

    @contextmanager
    def running(self) -> Iterator[str]:
        try:
            address = self.start()
            self._calm_down()
            yield address
        finally:
            self.stop()

    def _calm_down(self) -> None:
        """Wait until nothing of it starts any more, or for a minute."""
        until, before = time.monotonic() + 60, -1.0
        while time.monotonic() < until and self.cpu() - before > 0.1:
            before = self.cpu()
            time.sleep(1)

    def memory(self) -> float:
        """MiB of the server and all that it began; pages that several share are counted once."""
        found = (folder / "smaps_rollup" for folder in self._processes())
        lines = (line for path in found for line in _read(path).splitlines() if line.startswith("Pss:"))
        return sum(int(line.split()[1]) for line in lines) / 1024

    def cpu(self) -> float:
        """Seconds that the server and all that it began have been at work."""
        stats = (_read(folder / "stat").rpartition(")")[2].split() for folder in self._processes())
        return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) / os.sysconf("SC_CLK_TCK")

    def _processes(self) -> Iterator[Path]:
        assert self.process
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.getsid(int(folder.name)) == self.process.pid:
                    yield folder
            except OSError:
                continue

    def fill(self, count: int, first: int = 0) -> None:
        """Put runs straight into the database, as they stand after clients logged them."""
        fill = HERE / "peers" / self.fills
        subprocess.run([sys.executable, fill, self.folder / "m.db", str(count), str(first)], check=True)


class Ours(Server):
    name = "Assay"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.home = folder / ".assay"

    def command(self, port: int) -> list[Any]:
        return [sys.executable, "-m", "assay", "up", "--port", str(port), "--home", self.home]

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


class Mlflow(Server):
    name = "MLflow's own server, SQLite"
    fills = "fill_mlflow.py"

    def command(self, port: int) -> list[Any]:
        command = [PYTHON, "-m", "mlflow", "server", "--port", str(port)]
        return [
            *command,
            "--backend-store-uri",
            f"sqlite:///{self.folder}/m.db",
            "--artifacts-destination",
            self.folder,
        ]


class FastTrackMl(Server):
    name = "FastTrackML 0.6.0, SQLite"
    fills = "fill_fasttrackml.py"

    def command(self, port: int) -> list[Any]:
        command = [VENVS / "fasttrackml" / "bin" / "fml", "server", "--log-level", "error"]
        return [*command, "--listen-address", f"127.0.0.1:{port}", "--database-uri", f"sqlite://{self.folder}/m.db"]


def servers(folder: Path) -> list[Server]:
    """Ours first, and those of the others that are installed; what is not is said aloud."""
    found: list[Server] = [Ours(folder / "ours")]
    if peer("fasttrackml"):
        found.append(FastTrackMl(folder / "fasttrackml"))
    found.append(Mlflow(folder / "mlflow"))
    return found


def _wait(address: str) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.01)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended
        return ""
