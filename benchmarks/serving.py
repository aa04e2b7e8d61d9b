"""Requests a second of one row on one worker: contract, features, LightGBM and the full log, on the flights project."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

from measure import HERE, Row, peer

PORT = 8497
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[BODY]==]
"""
# The same server with the log switched off: what the log costs.
WITHOUT_LOG = (
    "import sys; from assay.predictions import PredictionLog; PredictionLog.append_rows = lambda *_: True; "
    "sys.argv = ['assay', 'serve', 'flight-delay', '--port', '{port}']; from assay.cli import main; main()"
)


def measure() -> list[Row]:
    if not shutil.which("wrk"):
        print("MISSING: wrk (apt-get install wrk); serving is not measured", flush=True)
        return []
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        body, booster = _project(project)
        logged = [sys.executable, "-m", "assay", "serve", "flight-delay", "--port", str(PORT)]
        silent = [sys.executable, "-c", WITHOUT_LOG.format(port=PORT)]
        runs: dict[str, list[tuple[float, str, str]]] = {"ours": [], "silent": [], "litserve": [], "bare": []}
        other = peer("litserve")
        for _ in range(3):
            with _server(logged, project, "/ready"):
                runs["ours"].append(_load("/predict", body, project))
            with _server(silent, project, "/ready"):
                runs["silent"].append(_load("/predict", body, project))
            with _server([sys.executable, str(HERE / "peers" / "bare_asgi.py"), str(PORT)], project, "/"):
                runs["bare"].append(_load("/predict", body, project))
            if other:
                command = [str(other), str(HERE / "peers" / "litserve_server.py"), str(booster), str(PORT)]
                with _server(command, project, "/health"):
                    runs["litserve"].append(_load("/predict", json.dumps({"x": [0.0] * 14}), project))
    best = {name: max(found) for name, found in runs.items() if found}
    rate, p50, p99 = best["ours"]
    ours = f"{rate:,.0f}/s, p50 {p50}, p99 {p99}"
    rows = [
        Row(
            "one row a request, full log",
            ours,
            "the same, log switched off",
            _shown(best["silent"]),
            best["silent"][0] / rate,
        )
    ]
    words = {
        "litserve": "LitServe 0.2.19, same trees, no contract, features or log",
        "bare": "the HTTP server alone, answering nothing: the ceiling",
    }
    rows += [
        Row("one row a request, full log", ours, said, _shown(best[name]), rate / best[name][0])
        for name, said in words.items()
        if name in best
    ]
    return rows


def _shown(found: tuple[float, str, str]) -> str:
    return f"{found[0]:,.0f}/s, p50 {found[1]}, p99 {found[2]}"


def _project(project: Path) -> tuple[str, Path]:
    """The flights project with a champion; returns one row as JSON, and the champion's trees as a file."""
    from assay import store
    from assay.cli.flights_data import build
    from assay.contract.decode import to_json
    from assay.model import open_bundle
    from assay.model.bundle import ESTIMATOR
    from assay.store.artifacts import unpack
    from assay.tables import read
    from assay.track import champion

    shutil.copy(HERE.parent / "examples" / "flights" / "flights.py", project)
    build(project / "data")
    asof = ["--asof", "2013-09-23T06:00-04:00", "--publish"]
    subprocess.run(
        [sys.executable, "-m", "assay", "run", "flights:weekly", *asof], cwd=project, check=True, capture_output=True
    )
    with store.use(store.find_home(project / ".assay")) as opened:
        version = champion(opened, "flight-delay")
        takes = open_bundle(opened, version.bundle).model.takes
        row = (
            read("data/flights", takes, until="2013-09-25", last="1d")
            .drop_columns(["late"])
            .slice(300, 1)
            .to_pylist()[0]
        )
        trees = project / "trees.txt"
        trees.write_bytes(unpack(opened.artifacts.get(version.bundle))[ESTIMATOR])
    return to_json(row).decode(), trees


@contextmanager
def _server(command: list[str], project: Path, ready: str):
    output = project / "server.out"
    with output.open("w") as out:  # a session of its own: LitServe starts processes that outlive it
        process = subprocess.Popen(command, cwd=project, stdout=out, stderr=out, start_new_session=True)
    try:
        _wait_until_ready(process, ready, output)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(process: "subprocess.Popen[bytes]", ready: str, output: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}{ready}", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args} does not answer: {output.read_text()}")


def _load(path: str, body: str, project: Path) -> tuple[float, str, str]:
    script = project / "wrk.lua"
    script.write_text(SCRIPT.replace("BODY", body))
    command = ["wrk", "-t1", "-c16", "--latency", "-s", script, f"http://127.0.0.1:{PORT}{path}"]
    subprocess.run([*command, "-d1s"], check=True, capture_output=True)
    said = subprocess.run([*command, "-d5s"], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    found = {
        name: re.search(pattern, said)
        for name, pattern in (("rate", r"Requests/sec:\s+([\d.]+)"), ("p50", r"50%\s+(\S+)"), ("p99", r"99%\s+(\S+)"))
    }
    rate, p50, p99 = (match.group(1) if match else "?" for match in found.values())
    return float(rate), p50, p99
