"""An MLflow server as a source, by its REST interface."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from assay.errors import BadInput, Unavailable
from assay.exchange import mlflow_values as values
from assay.exchange.http import API, HttpServer, Malformed, ServerRefused, malformed, pages, understood
from assay.exchange.records import (
    OutOfReach,
    SourceExperiment,
    SourceFile,
    SourceLink,
    SourceModel,
    SourceRegistered,
    SourceRun,
    mark,
)
from assay.track.points import Point

_PAGE = 1000
_RUNS = 200
_POINTS = 20_000
#: So often a file is asked for that breaks off.
TRIES = 3
_SHOWN = 300
_BUNDLE = "assay-bundle:"
_BUNDLES = "bundles of published versions: `assay import assay` brings them"
_STORE = (
    "store of Assay, whose ledger, verdicts, check reports, profiles and pipeline steps MLflow's protocol does not carry: "
    "read it with `assay import assay`"
)
#: What servers of before MLflow 3 answer when asked for logged models.
_UNKNOWN = frozenset({404, 405, 501})


class MlflowServer:
    """Everything that a server tells of itself, page by page."""

    def __init__(self, url: str) -> None:
        """Raises `Unavailable` when nothing listens there and `BadInput` when it is no MLflow server."""
        self._server = HttpServer(url)
        self._bundles = 0
        self._server.post(f"{API}/experiments/search", {"max_results": 1}, again=True)

    @property
    def name(self) -> str:
        """The URL, without a password."""
        return self._server.name

    def experiments(self) -> Iterator[SourceExperiment]:
        """All of them, deleted ones too."""
        body = {"view_type": "ALL", "max_results": _PAGE, "order_by": ["creation_time ASC"]}
        for one in self._searched("experiments/search", "experiments", body):
            with self._understood("experiments/search"):
                found = values.experiment(one, values.pairs(one.get("tags", [])))
            yield found

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        """The runs of one, the oldest first, deleted ones too."""
        body = {"experiment_ids": [experiment.key], "run_view_type": "ALL", "max_results": _RUNS}
        for one in self._searched("runs/search", "runs", body | {"order_by": ["attributes.start_time ASC"]}):
            with self._understood("runs/search"):
                found = _run(one)
            yield found

    def points(self, run: SourceRun) -> Iterator[Sequence[Point]]:
        """Every point of a run, metric by metric."""
        for metric in run.metrics:
            asked = {"run_id": run.id, "metric_key": metric, "max_results": _POINTS}
            for page in self._pages(lambda token, a=asked: self._get("metrics/get-history", **a, page_token=token)):
                with self._understood("metrics/get-history"):
                    rows = page.get("metrics", [])
                    found = [values.point(metric, p["value"], p.get("step"), p["timestamp"]) for p in rows]
                yield found

    def files(self, of: SourceRun | SourceModel) -> list[SourceFile]:
        """The files of a run or a model. Raises `OutOfReach` when the server can't list them."""
        found: list[SourceFile] = []
        folders: list[str | None] = [None]
        try:
            with self._understood("its lists of files"):
                while folders:
                    above = folders.pop()
                    for file in self._listed(of, above):
                        path = _below(above, file["path"])
                        if file.get("is_dir"):
                            folders.append(path)
                        else:
                            found.append(SourceFile(path, int(file.get("file_size") or 0), "", _where(of, file)))
        except ServerRefused as error:
            raise OutOfReach(f"the server can't list its files: {' '.join(error.values)}") from None
        return sorted(found, key=lambda file: file.name)

    def _listed(self, of: SourceRun | SourceModel, folder: str | None) -> Iterator[dict[str, Any]]:
        if isinstance(of, SourceRun):
            asked = {"run_id": of.id, "path": folder}
            for page in self._pages(lambda token: self._get("artifacts/list", **asked, page_token=token)):
                yield from page.get("files", [])
        else:
            path = f"logged-models/{quote(of.id)}/artifacts/directories"
            for page in self._pages(lambda t: self._get(path, artifact_directory_path=folder, page_token=t)):
                yield from page.get("files", [])

    def fetch(self, file: SourceFile, folder: Path) -> Path:
        """A copy of a file, in a few tries. Raises `OutOfReach` when the server is there and does not give it."""
        for tried in range(1, TRIES + 1):
            path = folder / uuid4().hex
            try:
                self._download(file, path)
            except (ServerRefused, BadInput) as error:
                raise OutOfReach(f"the server does not give it: {' '.join(error.values)[:_SHOWN]}") from None
            except Unavailable as error:
                path.unlink(missing_ok=True)
                if tried == TRIES:
                    self._server.post(f"{API}/experiments/search", {"max_results": 1}, again=True)
                    why = " ".join(error.values)[:_SHOWN]
                    raise OutOfReach(f"the server broke off {TRIES} times: {why}") from None
            else:
                return path
        raise AssertionError

    def _download(self, file: SourceFile, path: Path) -> None:
        kind, _, of = file.where.partition(" ")
        if kind == "run":
            self._server.download("/get-artifact", path, file.size_bytes, run_id=of, path=file.name)
        else:
            place = f"/ajax-api/2.0/mlflow/logged-models/{quote(of)}/artifacts/files"
            self._server.download(place, path, file.size_bytes, artifact_file_path=file.name)

    def models(self, experiment: SourceExperiment) -> Iterator[SourceModel]:
        """The logged models of an experiment; servers before MLflow 3 have none."""
        body = {"experiment_ids": [experiment.key], "max_results": 50}
        try:
            for one in self._searched("logged-models/search", "models", body):
                with self._understood("logged-models/search"):
                    found = _model(one)
                yield found
        except Malformed:
            raise
        except (ServerRefused, BadInput) as error:
            if isinstance(error, ServerRefused) and error.status not in _UNKNOWN:
                raise

    def registered(self) -> Iterator[SourceRegistered]:
        """The registered models, by name."""
        for page in self._pages(lambda t: self._get("registered-models/search", max_results=100, page_token=t)):
            with self._understood("registered-models/search"):
                names = [str(one["name"]) for one in page.get("registered_models", [])]
            for name in names:
                with self._understood("registered-models/get"):
                    whole = self._get("registered-models/get", name=name)["registered_model"]
                    aliases = {alias["alias"]: alias["version"] for alias in whole.get("aliases", [])}
                    tags = values.pairs(whole.get("tags", []))
                    versions = [values.version(row, values.pairs(row.get("tags", []))) for row in self._versions(name)]
                    found = values.registered(whole, tags=tags, aliases=aliases, versions=versions)
                self._bundles += sum(one.source.startswith(_BUNDLE) for one in versions)
                yield found

    def _versions(self, model: str) -> Iterator[dict[str, Any]]:
        asked = "name = '" + model.replace("'", "''") + "'"
        pages = self._pages(lambda t: self._get("model-versions/search", filter=asked, max_results=_PAGE, page_token=t))
        for page in pages:
            yield from page.get("model_versions", [])

    def close(self) -> None:
        """Nothing is held."""

    def left_out(self) -> dict[str, int]:
        """What a server of Assay has that MLflow's protocol does not carry; a server has no count of its traces."""
        found = {_BUNDLES: self._bundles, _STORE: int(self._is_assay())}
        return {what: count for what, count in found.items() if count}

    def _is_assay(self) -> bool:
        try:
            return "assay" in self._server.get("/server-info")
        except (ServerRefused, BadInput):
            return False  # older servers have no such page

    def _get(self, path: str, /, **query: Any) -> dict[str, Any]:
        return self._server.get(f"{API}/{path}", **query)

    def _searched(self, path: str, key: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        def page(token: str | None) -> dict[str, Any]:
            return self._server.post(f"{API}/{path}", body | ({"page_token": token} if token else {}), again=True)

        for found in self._pages(page):
            rows = found.get(key, [])
            if not isinstance(rows, list):
                raise self._malformed(path, f"{key} is not a list")
            yield from rows

    def _pages(self, ask: Callable[[str | None], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        return pages(self.name, ask)

    def _understood(self, what: str) -> AbstractContextManager[None]:
        return understood(self.name, what)

    def _malformed(self, what: str, why: str) -> Malformed:
        return malformed(self.name, what, why)


def _below(above: str | None, path: object) -> str:
    """A path of a list of a folder, which must be below it: a list that leads upwards or back would never end."""
    if not isinstance(path, str) or not path or (above and not path.startswith(f"{above.rstrip('/')}/")):
        raise ValueError(f"the list of {above or 'the root'} has {str(path)[:_SHOWN]!r}")
    return path


def _model(found: dict[str, Any]) -> SourceModel:
    data = found.get("data", {})
    tags, params = values.pairs(found["info"].get("tags", [])), values.pairs(data.get("params", []))
    return values.model(found["info"], params=params, tags=tags, metrics=data.get("metrics", []))


def _run(found: dict[str, Any]) -> SourceRun:
    data, inputs, outputs = found.get("data", {}), found.get("inputs", {}), found.get("outputs", {})
    newest = sorted(
        (m["key"], str(m["value"]), str(m.get("step", 0)), str(m["timestamp"])) for m in data.get("metrics", [])
    )
    links = [SourceLink(one["model_id"], "input") for one in inputs.get("model_inputs", [])]
    links += [
        SourceLink(one["model_id"], "output", int(one.get("step", 0))) for one in outputs.get("model_outputs", [])
    ]
    return values.run(
        found["info"],
        params=values.pairs(data.get("params", [])),
        tags=values.pairs(data.get("tags", [])),
        metrics=[metric for metric, *_ in newest],
        points_mark=mark(newest),
        datasets=[
            values.dataset(d["dataset"], values.pairs(d.get("tags", []))) for d in inputs.get("dataset_inputs", [])
        ],
        links=links,
    )


def _where(of: SourceRun | SourceModel, _: object) -> str:
    return f"{'run' if isinstance(of, SourceRun) else 'model'} {of.id}"
