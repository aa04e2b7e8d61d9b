"""The programs whose power is cut: `programs.py NAME HOME MARKER`, each a small piece of real work.

Each says what it was promised, when the promise was made, as lines of JSON into MARKER, which lies outside of its home.
"""

import http.client
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa

import assay
from assay.errors import Unavailable
from assay.pipelines import run
from assay.predictions import PredictionLog, drain_predictions
from assay.predictions.bounds import compact_served
from assay.predictions.layout import Layout
from assay.predictions.write import TOPIC
from assay.store import Home, Store, current, use
from assay.store.drain import segments
from assay.store.schema import runs
from assay.store.shared import hand_on
from assay.store.tables import write_run
from assay.track import ledger
from assay.track.outbox import deliver, outbox
from assay.track.purge import purge

Say = Callable[[str, Any], None]
DAY = datetime(2013, 1, 20, 23, tzinfo=UTC)
MODEL = "long-trip"
#: Beside a home: where a team keeps its artifacts.
ELSEWHERE = "elsewhere"


class Trip(assay.Record):
    """A trip."""

    trip: assay.Key[str]
    start: assay.EventTime
    miles: Annotated[float, assay.between(0, 100)]


class Long(assay.Record):
    """Whether it is long."""

    probability: Annotated[float, assay.between(0, 1)]


def points(say: Say) -> None:
    """A run logs points, parameters, tags and files, ticks and flushes."""
    begun = assay.start_run("crash", params={"rate": 0.1}, system_metrics=False)
    spool = outbox(current())._spool
    for number in range(18):
        begun.log_metric("loss", number / 2, number)
        if number == 5:
            begun.set_tag("phase", "late")
            say("artifact", begun.log_artifact("model.txt", b"model " * 400))
        if number % 3 == 2:
            spool.tick()
            say("points", [begun.id, number + 1])
        if number % 6 == 5 and begun.flush():
            say("points", [begun.id, number + 1])
            say("param", [begun.id, "rate"])
    begun.finish()
    if begun.flush():
        say("ended", begun.id)


def served(say: Say) -> None:
    """A server logs rows of two days, ticks and rotates, while its drainer files them."""
    home = current().home
    layout = Layout(MODEL, Trip, Long, {"miles": "number"})
    with_ticks = PredictionLog(home, layout, 1)
    answered: list[str] = []
    for number in range(24):
        row = Trip(trip=f"t{number}", start=DAY + timedelta(minutes=10 * number), miles=float(number))
        features = {"miles": np.array([row.miles])}
        assert with_ticks.append(f"r{number}", DAY, DAY, [row], features, [(number / 100,)])
        answered.append(f"r{number}")
        if number % 4 == 3:
            with_ticks.tick()
            say("served", list(answered))
        if number % 12 == 11:
            with_ticks.rotate()
            drain_predictions(home)
            say("served", list(answered))
    with_ticks.close()


def drained(say: Say) -> None:
    """A drainer files what a server left; killed half way, the next one does."""
    if not drain_predictions(current().home).faults:
        say("served", [f"r{number}" for number in range(24)])


def before_drained() -> None:
    """A server has ended, and its last segment waits."""
    log = PredictionLog(current().home, Layout(MODEL, Trip, Long, {"miles": "number"}), 1)
    for number in range(24):
        row = Trip(trip=f"t{number}", start=DAY + timedelta(minutes=number), miles=float(number))
        assert log.append(f"r{number}", DAY, DAY, [row], {"miles": np.array([row.miles])}, [(0.5,)])
    log.close()


def steps(say: Say) -> None:
    """A pipeline whose steps are journalled, one of them with a result that is an artifact."""
    flow = _module("flow", FLOW)
    flow.say = say
    run(current(), flow.work, DAY)


def sealed(say: Say) -> None:
    """Lines of the ledger, one a transaction."""
    store = current()
    for number in range(16):
        try:
            with store.database.begin() as connection:
                body = {"number": number, "why": "x" * 40 * number}
                made = ledger.append(connection, MODEL, "verdict", "0" * 64, body)
        except Unavailable:
            continue
        say("ledger", made.hash)


def kept(say: Say) -> None:
    """Artifacts are kept, kept again, streamed, deleted, kept once more and fetched."""
    artifacts = current().artifacts
    for number in range(8):
        content = b"artifact %d " % number * (50 + 900 * (number % 3))
        digest = _again(lambda content=content: artifacts.put(content))
        say("artifact", digest)
        assert artifacts.put(content) == digest
        assert artifacts.put_stream([content[:100], content[100:]]).digest == digest
    gone = artifacts.put(b"gone")
    artifacts.delete(gone)
    assert artifacts.put(b"gone") == gone
    say("artifact", gone)
    artifacts.fetch(digest, current().home.path / "fetched" / "file.txt")
    say("file", "fetched/file.txt")


def _again(work: Callable[[], str]) -> str:
    """What a caller does that was told of a disk that failed once."""
    try:
        return work()
    except Unavailable:
        return work()


def put(say: Say) -> None:
    """One artifact; killed half way, it is kept by the next process."""
    say("artifact", current().artifacts.put(b"the only one " * 100))


def one(say: Say) -> None:
    """A run of one point; killed half way, it is brought in by the next process."""
    begun = assay.start_run("crash", system_metrics=False)
    begun.log_metric("loss", 0.0, 0)
    if begun.flush():
        say("points", [begun.id, 1])
    begun.finish()
    if begun.flush():
        say("ended", begun.id)


def purged(say: Say) -> None:
    """Purging what was deleted, with its files."""
    say("artifact", current().artifacts.put(b"shared"))
    purge(current(), older_than=timedelta(0))


def filed(say: Say) -> None:
    """Training writes the rows of a run, and writes them again after it was resumed."""
    tables = current().home.tables
    before: int | None = None
    for first in (0, 1, 3, 0):
        say("filed", [before, first])
        days = [DAY + timedelta(days=first + day) for day in range(2)]
        rows = pa.table({"at": pa.array(days, pa.timestamp("us", "UTC")), "first": [first] * 2})
        write_run(tables, "trained.crash", "run", "train", rows, day="at", at="at")
        say("filed", [first, None])
        before = first


def before_purged() -> None:
    """Runs of which half are deleted, and files, all of them old; one file is shared."""
    store = current()
    deleted: list[str] = []
    for number in range(4):
        with assay.start_run("crash", system_metrics=False) as begun:
            begun.log_metric("loss", 1.0, 0)
            begun.log_artifact("own.txt", b"own %d" % number)
            begun.log_artifact("shared.txt", b"shared")
        deleted += [begun.id] if number % 2 else []
    with store.database.begin() as connection:
        changed = runs.update().where(runs.c.id.in_(deleted)).values(deleted_at=datetime(2013, 1, 1, tzinfo=UTC))
        connection.execute(changed)
    store.artifacts.put(b"nobody's")
    for digest, _, _ in list(store.artifacts.digests()):
        os.utime(store.artifacts.path(digest), (0, 0))


FLOW = """
import assay

@assay.step
def small(number):
    return number * 10

@assay.step
def large(number):
    return b"%d" % number * 9000

@assay.pipeline()
def work(asof):
    for number in range(3):
        small(number)
        say("steps", ["small", number + 1])
        large(number)
        say("steps", ["large", number + 1])
"""
TRAINING = """
from datetime import UTC, datetime, timedelta
from typing import Annotated
import lightgbm as lgb, numpy as np, pyarrow as pa
import assay

class Ride(assay.Record):
    trip: assay.Key[str]
    start: assay.EventTime
    miles: Annotated[float, assay.between(0, 100)]

class Long(assay.Record):
    probability: Annotated[float, assay.between(0, 1)]

def features(d):
    return {"miles": d.miles}

def fit(x, y, *, rounds: int = 3):
    data = lgb.Dataset(x.values, y, feature_name=x.names)
    return lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, num_boost_round=rounds)

model = assay.Model("ride", takes=Ride, gives=Long, label="long", features=features, fit=fit)
policy = assay.Policy("auc", margin=0.3, within=(0.5, 1.0))

def blessed(rounds):
    random, count = np.random.default_rng(5), 120
    miles = random.uniform(0, 50, count)
    starts = [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(count)]
    rows = pa.table({"trip": [f"t{i}" for i in range(count)], "start": pa.array(starts, pa.timestamp("us", "UTC")),
                     "miles": miles, "long": miles + random.normal(0, 8, count) > 25})
    past, holdout = assay.split(rows, Ride, holdout="2d", until=datetime(2013, 1, 6, tzinfo=UTC))
    candidate = assay.train(model, past, rounds=rounds)
    assert assay.bless(candidate, holdout, policy).blessed
    return candidate
"""


def _module(name: str, text: str) -> Any:
    project = current().home.path.parent
    (project / f"{name}.py").write_text(text)
    sys.path.insert(0, str(project))
    return importlib.import_module(name)


def _publish(rounds: int) -> Any:
    return assay.publish(_module("rides", TRAINING).blessed(rounds))


def published(say: Say) -> None:
    """A model is trained, blessed and published, then the one before comes back."""
    from assay.blessing.publish import rollback

    made = _publish(4)
    say("version", [made.model, made.version])
    back = rollback(current(), made.model)
    say("champion", [back.model, back.version])


def before_published() -> None:
    """There is a champion already."""
    _publish(3)


def answers(say: Say) -> None:
    """`assay up` is sent what MLflow's client sends."""
    command = [sys.executable, "-m", "assay", "up", "--port", "0", "--home", str(current().home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(re.search(r":(\d+)", server.stdout.readline()[10:]).group(1))  # type: ignore[union-attr]
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def ask(path: str, **fields: Any) -> Any:
            connection.request(
                "POST", f"/api/2.0/mlflow/{path}", json.dumps(fields), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 200, body
            return body

        run_id = ask("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
        for number in range(5):
            ask("runs/log-metric", run_id=run_id, key="loss", value=number / 2, timestamp=1000 + number, step=number)
            say("points", [run_id, number + 1])
        ask("runs/log-parameter", run_id=run_id, key="rate", value="0.1")
        say("param", [run_id, "rate"])
        ask("runs/update", run_id=run_id, status="FINISHED", end_time=int(time.time() * 1000))
        say("ended", run_id)
        server.terminate()


def compacted(say: Say) -> None:
    """The files of days are merged while more rows come."""
    home = current().home
    say("filed_rows", [MODEL, _names(0, 12)])
    for first in (12, 16):
        _file(first)
        say("filed_rows", [MODEL, _names(0, first + 4)])
        compact_served(home)
        say("filed_rows", [MODEL, _names(0, first + 4)])


def before_compacted() -> None:
    """Files of two days, all of them old enough to be merged."""
    for first in (0, 4, 8):
        _file(first)


def merged(say: Say) -> None:
    """Files of two days are merged; killed half way, the next process does it."""
    say("filed_rows", [MODEL, _names(0, 12)])
    compact_served(current().home)
    say("filed_rows", [MODEL, _names(0, 12)])


def before_merged() -> None:
    """As before."""
    before_compacted()


def handed(say: Say) -> None:
    """Where the artifacts lie in a folder of the team, files of runs and of tables wait in the home and are handed on."""
    store = current()
    for number in range(3):
        with assay.start_run("crash", system_metrics=False) as begun:
            for content in (b"own %d" % number, b"of all", b"before" if number else b"after"):
                say("artifact", begun.log_artifact("file.txt", content * 300))
        deliver(store)
        if number:
            _file(4 * number)
            hand_on(store.home)
            say("filed_rows", [MODEL, _names(4, 4 * number + 4)])
    compact_served(store.home)
    say("filed_rows", [MODEL, _names(4, 12)])


def before_handed() -> None:
    """The folder of the team is there, and some content in it."""
    current().artifacts.put(b"before" * 300)


def _names(first: int, end: int) -> list[str]:
    return [f"r{number}" for number in range(first, end)]


def _file(first: int) -> None:
    """Rows as a server logs them, four in a segment, in the tables."""
    log = PredictionLog(current().home, Layout(MODEL, Trip, Long, {"miles": "number"}), 1)
    for number in range(first, first + 4):
        row = Trip(trip=f"t{number}", start=DAY + timedelta(hours=number % 2), miles=float(number))
        assert log.append(f"r{number}", DAY, DAY, [row], {"miles": np.array([row.miles])}, [(0.5,)])
    log.close()
    assert not drain_predictions(current().home).faults


def serves(say: Say) -> None:
    """`assay serve` answers and ends well; the next one is killed, and what it left is filed."""
    home, answered = current().home, list[str]()
    for end in (signal.SIGTERM, signal.SIGKILL):
        command = [sys.executable, "-m", "assay", "serve", "ride", "--port", "0", "--home", str(home.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = int(re.search(r"http://[^:]+:(\d+)", server.stdout.readline()).group(1))  # type: ignore[union-attr]
            connection = http.client.HTTPConnection("127.0.0.1", port)
            for _ in range(4):
                name = f"r{len(answered)}"
                row = {"trip": name, "start": "2013-01-20T23:00:00Z", "miles": float(len(answered))}
                headers = {"Content-Type": "application/json", "X-Request-Id": name}
                connection.request("POST", "/predict", json.dumps(row), headers)
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 200, body
                answered.append(name)
            connection.close()
            server.send_signal(end)
        if end == signal.SIGTERM:
            say("filed_rows", ["ride", list(answered)])
    while segments(home.spool, TOPIC):  # the drainer of the dead server may be at it
        drain_predictions(home)
        time.sleep(0.05)
    say("filed_rows", ["ride", answered])


def before_serves() -> None:
    """There is a champion."""
    _publish(3)


def opened(store: Store) -> None:
    """Make the database beforehand."""
    store.database.upgrade()


def main() -> None:
    """Run one of them, or with `before`, what is there when it begins."""
    name, home, marker = sys.argv[1:]
    file = os.open(marker, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(kind: str, value: Any) -> None:
        os.write(file, json.dumps([kind, value]).encode() + b"\n")

    if name.endswith("handed"):
        os.environ["ASSAY_ARTIFACTS"] = ELSEWHERE
    with use(Home(Path(home))) as store:
        if name.startswith("before_"):
            opened(store)
        chosen = globals().get(name)
        if name.startswith("before_"):
            if chosen:
                chosen()
        else:
            assert chosen
            chosen(say)


if __name__ == "__main__":
    main()
