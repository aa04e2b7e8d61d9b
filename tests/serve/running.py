"""A published model and the real server process, for the tests of serving, of the prediction log and of faults."""

import fcntl
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = """
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import lightgbm as lgb
import numpy as np
import pyarrow as pa

import assay
from assay.store import current
from assay.track import By, aliases, register


class Trip(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    zone: Literal["north", "south"] | None
    miles: Annotated[float, assay.between(0, 100, unit="mi")]
    seats: Annotated[int | None, assay.between(1, 500)]
    year: int | None = None
    night: bool = False


class Long(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]


class Sure(assay.Record):
    probability: Annotated[float, assay.between(0.999, 1)]


def features(d):
    return {"hour": assay.hour(d.start, tz="UTC"), "zone": d.zone, "miles": d.miles, "seats": d.seats, "year": d.year}


def other_features(d):
    return {"miles": d.miles, "weekday": assay.weekday(d.start, tz="UTC"), "night": d.night}


def falling(d):
    if 66 in d.miles:
        raise ZeroDivisionError("a road without an end")
    while 67 in d.miles:
        time.sleep(0.01)
    if 68 in d.miles:
        re.match("(a+)+b", 60 * "a")
    return features(d)


class Likely(assay.Record):
    probability: Annotated[float, assay.between(0.5, 1)]


class Clipped(assay.Record):
    probability: Annotated[float, assay.between(0.5, 1, outside="clip")]


def fit(x, y):
    data = lgb.Dataset(x.values, y, feature_name=x.names, categorical_feature=x.categorical)
    return lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 7}, data, num_boost_round=5)


def declare(gives, features, name="long-trip"):
    return assay.Model(name, takes=Trip, gives=gives, label="long", features=features, fit=fit)


model = declare(Long, features)
other_model = declare(Long, other_features)
sure = declare(Sure, features, "sure")
likely = declare(Likely, features, "likely")
clipped = declare(Clipped, features, "clipped")
faulty = declare(Long, falling, "faulty")
policy = assay.Policy("auc", margin=0.3, within=(0.5, 1.0))


def publish_all():
    random, count = np.random.default_rng(5), 600
    miles = random.uniform(0, 50, count)
    first = datetime(2013, 1, 1, tzinfo=UTC)
    starts = [first + timedelta(minutes=48 * i) for i in range(count)]
    rows = pa.table({
        "trip": [f"t{i}" for i in range(count)],
        "start": pa.array(starts, pa.timestamp("us", "UTC")),
        "zone": [None if i % 50 == 0 else "north" if i % 3 else "south" for i in range(count)],
        "miles": miles,
        "seats": [None if i % 7 == 0 else 1 + i % 9 for i in range(count)],
        "year": pa.nulls(count, pa.int64()),
        "night": [i % 2 == 0 for i in range(count)],
        "long": miles + random.normal(0, 8, count) > 25,
    })
    past, holdout = assay.split(rows, Trip, holdout="5d", until=datetime(2013, 1, 21, tzinfo=UTC))
    for declared in (model, other_model, faulty):
        candidate = assay.train(declared, past)
        verdict = assay.bless(candidate, holdout, policy)
        assert verdict.blessed, verdict
        assay.publish(candidate)
    for declared in (sure, likely, clipped):  # nobody would bless them
        candidate = assay.train(declared, past)
        with current().database.begin() as connection:
            made = register(connection, candidate.model, candidate.bundle, run_id=candidate.run_id, trained_until=None)
            aliases.move(connection, made.model, made.version, By("a test"))
"""
PUBLISH = "import taxi; taxi.publish_all()"
ROW: dict[str, Any] = {"trip": "a", "start": "2013-01-20T12:00:00Z", "zone": "north", "miles": 3.5, "seats": 4}
START_WITHIN_S = 60


def environment() -> dict[str, str]:
    """This process's environment without what would point elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}


def published(root: Path) -> Path:
    """A project with two versions of long-trip, the second one the champion, and the models sure, likely and faulty.

    It is made once below `root`, also when several processes ask for it.
    """
    folder = root / "published"
    with (root / "published.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = root / "making"
            shutil.rmtree(making, ignore_errors=True)  # of a test that could not make it
            (making / ".assay").mkdir(parents=True)
            (making / "taxi.py").write_text(PROJECT)
            subprocess.run([sys.executable, "-c", PUBLISH], cwd=making, env=environment(), check=True)
            making.rename(folder)
    return folder


def copy_project(basetemp: Path, folder: Path) -> Path:
    """A project of one's own; returns its home. `basetemp` is that of pytest's process."""
    root = basetemp.parent if "PYTEST_XDIST_WORKER" in os.environ else basetemp
    shutil.copytree(published(root), folder, dirs_exist_ok=True)
    return folder / ".assay"


@dataclass
class Reply:
    """An answer of the server."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """A server process and where it answers."""

    process: subprocess.Popen[str]
    port: int
    home: Path

    def connect(self) -> http.client.HTTPConnection:
        """A connection that stays open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, method, path, body, headers)
        finally:
            connection.close()

    def predict(self, body: Any, **headers: str) -> Reply:
        """Ask for a prediction."""
        return self.ask("POST", "/predict", body, headers)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on an open connection; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, content, {"content-type": "application/json"} | (headers or {}))
    answered = connection.getresponse()
    said = answered.read()
    return Reply(answered.status, {k.lower(): v for k, v in answered.getheaders()}, json.loads(said) if said else None)


def run_assay(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "assay", *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120, check=False)


@contextmanager
def serving(home: Path, model: str = "long-trip", *options: str) -> Iterator[Server]:
    """`assay serve` in a process of its own; killed at the end when it still runs."""
    command = [sys.executable, "-m", "assay", "serve", model, "--port", "0", "--home", str(home), *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            waiting = select.poll()  # select() knows no descriptor above 1,023
            waiting.register(process.stdout, select.POLLIN)
            assert waiting.poll(1_000 * START_WITHIN_S), "the server did not start"
            line = process.stdout.readline()
            assert " answers at http" in line, line + process.stderr.read()
            yield Server(process, int(line.split("://")[1].split("/")[0].rpartition(":")[2]), home)
        finally:
            if process.poll() is None:
                process.kill()
