"""Sends runs of this store on to an MLflow server.

A run there keeps the id that it has here as a tag, so that it is found again and brought up to date instead of doubled;
another tag tells what was sent when all of it was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite, isnan
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import select

from assay.errors import BadInput
from assay.exchange.bring import batches
from assay.exchange.http import API, Server, ServerRefused
from assay.exchange.mlflow_values import pairs, point
from assay.exchange.places import PROXIED
from assay.exchange.records import FROM, SENT, SENT_WHOLE, WHOLE, mark
from assay.store import Store
from assay.store.schema import run_artifacts
from assay.track.experiments import Experiment, find_experiments, get_experiment
from assay.track.find import RunRow, search
from assay.track.outbox import deliver_if_possible
from assay.track.points import Point, history, microseconds

_RUNS = 200
_POINTS = 20_000
#: MLflow takes so many of each at once.
_METRICS, _PARAMS, _TAGS = 1000, 100, 100
_OURS = frozenset({FROM, WHOLE, SENT, SENT_WHOLE})
_PARENT = "mlflow.parentRunId"
_GONE = "RESOURCE_DOES_NOT_EXIST"
_REFUSED = 400


@dataclass
class Mirrored:
    """What was sent, what was there, and what was left out and why."""

    server: str
    runs: int = 0
    runs_changed: int = 0
    runs_unchanged: int = 0
    points: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def changed(self) -> bool:
        """Whether anything was sent."""
        return bool(self.runs or self.runs_changed)

    def leave_out(self, why: str, what: str) -> None:
        """Remember what was not sent."""
        self.left_out.setdefault(why, []).append(what)


Told = Callable[[str], None]
#: Files of a run: name to digest and size.
_Files = dict[str, tuple[str, int]]


@dataclass(frozen=True)
class _There:
    """A run as the server has it."""

    id: str
    artifact_uri: str
    deleted: bool
    params: dict[str, str]
    tags: dict[str, str]
    metrics: frozenset[str]


class Mirror:
    """An MLflow server that runs of this store are sent to."""

    def __init__(self, store: Store, uri: str, *, only: Sequence[str] = ()) -> None:
        """`only` names experiments; all when empty. Raises `BadInput` for what is no address of a server."""
        self._store = store
        self._server = Server(uri)
        self._only = only
        #: By run, the digests of the files that this object sent.
        self._sent: dict[str, set[tuple[str, str]]] = {}

    def once(self, told: Told = lambda _: None) -> Mirrored:
        """Send what was not sent yet, or changed since; `told` hears of each run as it is looked at.

        Runs that were deleted, and those that came from this very server, are not sent. Raises `NotFound` for an
        experiment that is not here, `BadInput` when there is no MLflow server, `Unavailable` when it goes away: the
        same call goes on then.
        """
        deliver_if_possible(self._store)
        done = Mirrored(self._server.name)
        chosen = [get_experiment(self._store, name) for name in self._only] or find_experiments(self._store)
        for experiment in chosen:
            _Sending(self._store, self._server, done, self._sent).experiment(experiment, told)
        return done


class _Sending:
    """One experiment on its way."""

    def __init__(self, store: Store, server: Server, done: Mirrored, sent: dict[str, set[tuple[str, str]]]) -> None:
        self._store = store
        self._server = server
        self._done = done
        self._sent = sent

    def experiment(self, one: Experiment, told: Told) -> None:
        """Send every run, parents before their children."""
        rows = self._rows(one)
        if not rows:
            return
        number = self._experiment_there(one.name)
        there = {run.tags[SENT]: run for run in self._runs_there(number)}
        for row in rows:
            told(f"{one.name}/{row.name}")
            self._run(row, number, there)

    def _run(self, row: RunRow, experiment: str, there: dict[str, _There]) -> None:
        files = self._files(row.id)
        whole = mark(_said(row), sorted(files.items()))
        known = there.get(row.id)
        if known and known.deleted:
            self._done.leave_out("runs that were deleted there", row.name)
        elif known and known.tags.get(SENT_WHOLE) == whole:
            self._done.runs_unchanged += 1
        else:
            run = there[row.id] = known or self._create(row, experiment, there)
            self._send(row, files, run, new=known is None)
            self._call("runs/set-tag", run_id=run.id, key=SENT_WHOLE, value=whole)
            self._done.runs += known is None
            self._done.runs_changed += known is not None

    def _rows(self, experiment: Experiment) -> list[RunRow]:
        found: list[RunRow] = []
        token: str | None = None
        while True:
            ids, order = [experiment.id], ["attributes.start_time ASC"]
            page = search(self._store, experiment_ids=ids, order_by=order, limit=_RUNS, token=token)
            for row in page.runs:
                if row.tags.get(FROM) == self._server.name:
                    self._done.leave_out("runs that came from there", row.name)
                else:
                    found.append(row)
            token = page.token
            if token is None:
                return found

    def _files(self, run_id: str) -> _Files:
        asked = select(run_artifacts.c.name, run_artifacts.c.digest, run_artifacts.c.size_bytes)
        with self._store.database.read() as connection:
            found = connection.execute(asked.where(run_artifacts.c.run_id == run_id))
            return {name: (digest, size) for name, digest, size in found}

    def _experiment_there(self, name: str) -> str:
        try:
            found = self._server.get(f"{API}/experiments/get-by-name", experiment_name=name)["experiment"]
        except ServerRefused as error:
            if error.code != _GONE:
                raise
            return self._server.post(f"{API}/experiments/create", {"name": name})["experiment_id"]
        if found.get("lifecycle_stage") == "deleted":
            raise BadInput(
                f"experiment {name!r} was deleted at {self._server.name}", do="Restore it there, or name others."
            )
        return found["experiment_id"]

    def _runs_there(self, experiment: str) -> Iterator[_There]:
        body: dict[str, Any] = {"experiment_ids": [experiment], "run_view_type": "ALL", "max_results": _RUNS}
        body["filter"] = f"tags.`{SENT}` LIKE '%'"
        while True:
            page = self._call("runs/search", **body)
            yield from map(_there, page.get("runs", []))
            if not page.get("next_page_token"):
                return
            body["page_token"] = page["next_page_token"]

    def _create(self, row: RunRow, experiment: str, there: dict[str, _There]) -> _There:
        tags = {SENT: row.id}
        if row.user:
            tags["mlflow.user"] = row.user
        if row.parent_id in there:
            tags[_PARENT] = there[row.parent_id].id
        times = {"start_time": microseconds(row.started_at) // 1000}
        body = {"experiment_id": experiment, "run_name": row.name, "user_id": row.user or "", "tags": _listed(tags)}
        return _there(self._server.post(f"{API}/runs/create", body | times)["run"])

    def _send(self, row: RunRow, files: _Files, there: _There, *, new: bool) -> None:
        self._send_params(row, there)
        for name in row.metrics:
            self._send_points(row, name, there, new=new)
        self._send_files(row, files, there)
        tags = {name: value for name, value in row.tags.items() if name not in _OURS and name != _PARENT}
        changed = {name: value for name, value in tags.items() if there.tags.get(name) != value}
        for some in batches(_listed(changed), _TAGS):
            self._log(there, "tags", some)
        body: dict[str, Any] = {"run_id": there.id, "status": row.status.upper(), "run_name": row.name}
        if row.ended_at:
            body["end_time"] = microseconds(row.ended_at) // 1000
        self._call("runs/update", **body)

    def _send_params(self, row: RunRow, there: _There) -> None:
        texts = {name: str(value) for name, value in row.params.items()}
        for name, value in texts.items():
            if there.params.get(name, value) != value:
                self._done.leave_out("parameters that changed: MLflow lets none change", f"{row.name}: {name}")
        new = {name: value for name, value in texts.items() if name not in there.params}
        for some in batches(_listed(new), _PARAMS):
            self._log(there, "params", some)

    def _send_points(self, row: RunRow, name: str, there: _There, *, new: bool) -> None:
        sent = set() if new or name not in there.metrics else {_key(p) for p in self._points_there(there.id, name)}
        points = {key: point for point in history(self._store, row.id, name) if (key := _key(point)) not in sent}
        listed = [
            {"key": name, "value": _value(one.value), "timestamp": one.at_us // 1000, "step": one.step}
            for one in points.values()
        ]
        for some in batches(listed, _METRICS):
            self._done.points += self._log(there, "metrics", some)

    def _points_there(self, run_id: str, name: str) -> Iterator[Point]:
        token: str | None = None
        while True:
            asked = {"run_id": run_id, "metric_key": name, "max_results": _POINTS, "page_token": token}
            page = self._server.get(f"{API}/metrics/get-history", **asked)
            yield from (point(name, p["value"], p.get("step"), p["timestamp"]) for p in page.get("metrics", []))
            token = page.get("next_page_token") or None
            if token is None:
                return

    def _log(self, there: _There, what: str, rows: Sequence[dict[str, Any]]) -> int:
        """Log rows and give their number; of those that the server refuses, the others are logged."""
        try:
            self._call("runs/log-batch", **{"run_id": there.id, what: list(rows)})
        except ServerRefused as error:
            if error.status != _REFUSED:
                raise
            if len(rows) == 1:
                self._done.leave_out(f"{what} that MLflow refuses", f"{rows[0]['key'][:80]}: {error.values[0]}")
                return 0
            middle = len(rows) // 2
            return self._log(there, what, rows[:middle]) + self._log(there, what, rows[middle:])
        return len(rows)

    def _send_files(self, row: RunRow, files: _Files, there: _There) -> None:
        root = urlsplit(there.artifact_uri)
        if files and root.scheme != PROXIED:
            why = (
                f"files: the server keeps them at {root.scheme or 'a path'}, and hands none through (--serve-artifacts)"
            )
            self._done.leave_out(why, row.name)
            return
        sent = self._sent.setdefault(row.id, set())
        for name, (digest, size) in files.items():
            if (name, digest) in sent:
                continue
            place = f"/api/2.0/mlflow-artifacts/artifacts{unquote(root.path)}/{name}"
            self._server.upload(place, self._store.artifacts.read(digest), size)
            sent.add((name, digest))
            self._done.artifacts += 1
            self._done.artifact_bytes += size

    def _call(self, path: str, **body: Any) -> dict[str, Any]:
        return self._server.post(f"{API}/{path}", body, again=True)


def _said(row: RunRow) -> object:
    """What of a run can change, without what imports and mirrors noted."""
    tags = {name: value for name, value in row.tags.items() if name not in _OURS}
    points = [(one.name, repr(one.value), one.step, one.at_us) for one in row.points]
    return [row.name, row.status, str(row.ended_at), row.params, tags, points]


def _there(found: dict[str, Any]) -> _There:
    info, data = found["info"], found.get("data", {})
    return _There(
        id=info["run_id"],
        artifact_uri=info["artifact_uri"],
        deleted=info.get("lifecycle_stage") == "deleted",
        params=pairs(data.get("params", [])),
        tags=pairs(data.get("tags", [])),
        metrics=frozenset(metric["key"] for metric in data.get("metrics", [])),
    )


def _key(one: Point) -> tuple[int, int, float | None]:
    """What makes a point the same there, where times are milliseconds."""
    return (one.step, one.at_us // 1000, None if isnan(one.value) else one.value)


def _value(value: float) -> float | str:
    """A number as protobuf has it in JSON."""
    return value if isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]


def _listed(texts: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in texts.items()]
