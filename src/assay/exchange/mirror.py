"""Sends runs of this store on to an MLflow server.

A run there keeps the id that it has here as a tag, so that it is found again and updated instead of doubled;
another tag tells what was sent when all of it was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import select

from assay.errors import BadInput, Corrupt, Unavailable
from assay.exchange.artifact_folders import PROXIED
from assay.exchange.http import API, HttpServer, ServerRefused, pages, understood
from assay.exchange.imported_rows import batches
from assay.exchange.mlflow_values import CONTEXT, pairs, point
from assay.exchange.records import FROM, SENT, SENT_WHOLE, WHOLE, mark
from assay.exchange.summary import Mirrored
from assay.store import Store
from assay.store.schema import datasets, run_artifacts, run_datasets
from assay.track.experiments import Experiment, find_experiments, get_experiment
from assay.track.find import RunRow, search
from assay.track.outbox import deliver_if_possible
from assay.track.points import Point, history, microseconds

_RUNS = 200
_POINTS = 20_000
#: MLflow takes so many of each at once.
_METRICS, _PARAMS, _TAGS = 1000, 100, 100
#: MLflow's digests of data sets have so many characters at most; ours have 64.
_DIGEST = 36
_OURS = frozenset({FROM, WHOLE, SENT, SENT_WHOLE})
_PARENT = "mlflow.parentRunId"
#: So often a file is sent that the server breaks off.
TRIES = 3
#: A run that could not be sent whole, and has not changed, is sent again after so long.
AGAIN_AFTER_S = 60
_GONE = "RESOURCE_DOES_NOT_EXIST"
_REFUSED = 400


Told = Callable[[str], None]
#: Files of a run: name to digest and size.
_Files = dict[str, tuple[str, int]]
#: Data sets of a run, as MLflow has them.
_Used = list[dict[str, Any]]


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
        self._server = HttpServer(uri)
        self._only = only
        #: By run, the digests of the files that this object sent.
        self._sent: dict[str, set[tuple[str, str]]] = {}
        #: Runs that could not be sent whole: what they were, when that was, and why.
        self._failed: dict[str, tuple[str, float, list[str]]] = {}

    def once(self, told: Told = lambda _: None) -> Mirrored:
        """Send what was not sent yet, or changed since; `told` hears of each run as it is looked at.

        Runs that were deleted, and those that came from this very server, are not sent. Raises `NotFound` for an
        experiment that is not here, `BadInput` when there is no MLflow server, `Unavailable` when it goes away: the
        same call goes on then.
        """
        deliver_if_possible(self._store)
        done = Mirrored(server=self._server.name)
        chosen = [get_experiment(self._store, name) for name in self._only] or find_experiments(self._store)
        for experiment in chosen:
            _Sending(self._store, self._server, done, self._sent, self._failed).experiment(experiment, told)
        return done


class _Sending:
    """One experiment on its way."""

    def __init__(
        self,
        store: Store,
        server: HttpServer,
        done: Mirrored,
        sent: dict[str, set[tuple[str, str]]],
        failed: dict[str, tuple[str, float, list[str]]],
    ) -> None:
        self._store = store
        self._server = server
        self._done = done
        self._sent = sent
        self._failed = failed

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
        files, used = self._files(row.id), self._datasets(row.id)
        whole = mark(said_of_run(row), sorted(files.items()), used)
        shown = f"{row.experiment}/{row.name}"
        known = there.get(row.id)
        before, at, reasons = self._failed.get(row.id, ("", 0.0, []))
        if known and known.deleted:
            self._done.leave_out("runs that were deleted there", row.name)
        elif known and known.tags.get(SENT_WHOLE) == whole:
            self._done.runs_unchanged += 1
        elif before == whole and monotonic() < at + AGAIN_AFTER_S:
            self._done.unfinished[shown] = reasons
        else:
            reasons = self._whole(row, files, used, experiment, there, whole)
            if reasons:
                self._done.unfinished[shown] = reasons
                self._failed[row.id] = (whole, monotonic(), reasons)
            else:
                self._done.runs += known is None
                self._done.runs_changed += known is not None

    def _whole(
        self, row: RunRow, files: _Files, used: _Used, experiment: str, there: dict[str, _There], whole: str
    ) -> list[str]:
        """Send a run, and mark it there when all of it was sent; otherwise why it was not."""
        try:
            known = there.get(row.id)
            run = there[row.id] = known or self._create(row, experiment, there)
            missing = self._send(row, files, used, run, new=known is None)
            if not missing:
                self._call("runs/set-tag", run_id=run.id, key=SENT_WHOLE, value=whole)
        except ServerRefused as error:
            if error.status in (401, 403):
                raise
            return [f"{error.what}: {' '.join(error.values)}"]
        return [f"{name}: {why}" for name, why in missing.items()]

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

    def _datasets(self, run_id: str) -> _Used:
        d, used = datasets.c, run_datasets.c
        asked = select(d.name, d.digest, d.source_type, d.source, d["schema"], d.profile, used.context, used.tags)
        asked = asked.join_from(run_datasets, datasets, used.dataset_id == d.id).where(used.run_id == run_id)
        with self._store.database.read() as connection:
            rows = connection.execute(asked.order_by(d.name, d.digest, used.context)).mappings().all()
        return [_used(dict(row)) for row in rows]

    def _experiment_there(self, name: str) -> str:
        try:
            said = self._server.get(f"{API}/experiments/get-by-name", experiment_name=name)
        except ServerRefused as error:
            if error.code != _GONE:
                raise
            said = {"experiment": self._server.post(f"{API}/experiments/create", {"name": name})}
        with understood(self._server.name, "the name of an experiment"):
            found, number = said["experiment"], str(said["experiment"]["experiment_id"])
            deleted = found.get("lifecycle_stage") == "deleted"
        if deleted:
            raise BadInput(
                f"experiment {name!r} was deleted at {self._server.name}", do="Restore it there, or choose others."
            )
        return number

    def _runs_there(self, experiment: str) -> Iterator[_There]:
        body: dict[str, Any] = {"experiment_ids": [experiment], "run_view_type": "ALL", "max_results": _RUNS}
        body["filter"] = f"tags.`{SENT}` LIKE '%'"
        for page in pages(self._server.name, lambda token: self._call("runs/search", **body, page_token=token or "")):
            with understood(self._server.name, "runs/search"):
                found = [_there(one) for one in page.get("runs", [])]
            yield from (run for run in found if SENT in run.tags)

    def _create(self, row: RunRow, experiment: str, there: dict[str, _There]) -> _There:
        tags = {SENT: row.id}
        if row.user:
            tags["mlflow.user"] = row.user
        if row.parent_id in there:
            tags[_PARENT] = there[row.parent_id].id
        times = {"start_time": microseconds(row.started_at) // 1000}
        body = {"experiment_id": experiment, "run_name": row.name, "user_id": row.user or "", "tags": _listed(tags)}
        said = self._server.post(f"{API}/runs/create", body | times)
        with understood(self._server.name, "runs/create"):
            return _there(said["run"])

    def _send(self, row: RunRow, files: _Files, used: _Used, there: _There, *, new: bool) -> dict[str, str]:
        """Send all of a run: of files that could not be sent, the reasons."""
        self._send_params(row, there)
        for name in row.metrics:
            self._send_points(row, name, there, new=new)
        self._send_datasets(row, used, there)
        missing = self._send_files(row, files, there)
        tags = {name: value for name, value in row.tags.items() if name not in _OURS and name != _PARENT}
        changed = {name: value for name, value in tags.items() if there.tags.get(name) != value}
        for some in batches(_listed(changed), _TAGS):
            self._log(there, "tags", some)
        body: dict[str, Any] = {"run_id": there.id, "status": row.status.upper(), "run_name": row.name}
        if row.ended_at:
            body["end_time"] = microseconds(row.ended_at) // 1000
        self._call("runs/update", **body)
        return missing

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

    def _send_datasets(self, row: RunRow, used: _Used, there: _There) -> None:
        for one in used:  # what is there already stays as it is
            try:
                self._call("runs/log-inputs", run_id=there.id, datasets=[one])
            except ServerRefused as error:
                if error.status != _REFUSED:
                    raise
                name = f"{row.name}: {one['dataset']['name'][:80]}: {' '.join(error.values)}"
                self._done.leave_out("data sets that MLflow refuses", name)

    def _points_there(self, run_id: str, name: str) -> Iterator[Point]:
        asked = {"run_id": run_id, "metric_key": name, "max_results": _POINTS}
        path = f"{API}/metrics/get-history"
        for page in pages(self._server.name, lambda token: self._server.get(path, **asked, page_token=token)):
            with understood(self._server.name, "metrics/get-history"):
                rows = page.get("metrics", [])
                found = [point(name, p["value"], p.get("step"), p["timestamp"]) for p in rows]
            yield from found

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

    def _send_files(self, row: RunRow, files: _Files, there: _There) -> dict[str, str]:
        root = urlsplit(there.artifact_uri)
        if files and root.scheme != PROXIED:
            why = (
                f"files: the server keeps them at {root.scheme or 'a path'}, and hands none through (--serve-artifacts)"
            )
            self._done.leave_out(why, row.name)
            return {}
        sent = self._sent.setdefault(row.id, set())
        missing: dict[str, str] = {}
        for name, (digest, size) in files.items():
            if (name, digest) in sent:
                continue
            why = self._upload(f"/api/2.0/mlflow-artifacts/artifacts{unquote(root.path)}/{name}", digest, size)
            if why:
                missing[name] = why
                continue
            sent.add((name, digest))
            self._done.artifacts += 1
            self._done.artifact_bytes += size
        return missing

    def _upload(self, place: str, digest: str, size: int) -> str:
        """Put a file there, in a few tries; why not, when the server is there and this file can't be sent."""
        for tried in range(1, TRIES + 1):
            try:
                self._server.upload(place, held_back(self._store.artifacts.read(digest)), size)
            except (ServerRefused, BadInput) as error:
                return f"the server does not take it: {' '.join(error.values) or error.what}"
            except Corrupt as error:
                return error.what
            except Unavailable as error:
                if tried == TRIES:
                    self._server.post(f"{API}/experiments/search", {"max_results": 1}, again=True)
                    return f"the server broke off {TRIES} times: {' '.join(error.values)}"
            else:
                return ""
        raise AssertionError

    def _call(self, path: str, **body: Any) -> dict[str, Any]:
        return self._server.post(f"{API}/{path}", body, again=True)


def held_back(content: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces, the last of which comes only when all of them were checked: damaged content never arrives whole."""
    before = b""
    for piece in content:
        if before:
            yield before
        before = piece
    yield before


def said_of_run(row: RunRow) -> object:
    """What of a run can change, without what imports and mirrors noted."""
    tags = {name: value for name, value in row.tags.items() if name not in _OURS}
    points = [(one.name, repr(one.value), one.step, one.at_us) for one in row.points]
    return [row.name, row.status, str(row.ended_at), row.params, tags, points]


def _used(row: Mapping[Any, Any]) -> dict[str, Any]:
    names = ("name", "digest", "source_type", "source", "schema", "profile")
    tags = {**(row["tags"] or {})} | ({CONTEXT: row["context"]} if row["context"] else {})
    dataset = {name: row[name] for name in names if row[name] is not None}
    return {"dataset": dataset | {"digest": row["digest"][:_DIGEST]}, "tags": _listed(tags)}


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
