"""An MLflow server as a source, by its REST interface."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from assay.errors import BadInput
from assay.exchange import mlflow_values as values
from assay.exchange.http import API, Server, ServerRefused
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
#: What servers of before MLflow 3 answer when asked for logged models.
_UNKNOWN = frozenset({404, 405, 501})


class MlflowServer:
    """Everything that a server tells of itself, page by page."""

    def __init__(self, url: str) -> None:
        """Raises `Unavailable` when nothing listens there and `BadInput` when it is no MLflow server."""
        self._server = Server(url)
        self._server.post(f"{API}/experiments/search", {"max_results": 1}, again=True)

    @property
    def name(self) -> str:
        """The URL, without a password."""
        return self._server.name

    def experiments(self) -> Iterator[SourceExperiment]:
        """All of them, deleted ones too."""
        body = {"view_type": "ALL", "max_results": _PAGE, "order_by": ["creation_time ASC"]}
        for one in self._searched("experiments/search", "experiments", body):
            yield values.experiment(one, values.pairs(one.get("tags", [])))

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        """The runs of one, the oldest first, deleted ones too."""
        body = {"experiment_ids": [experiment.key], "run_view_type": "ALL", "max_results": _RUNS}
        for one in self._searched("runs/search", "runs", body | {"order_by": ["attributes.start_time ASC"]}):
            yield _run(one)

    def points(self, run: SourceRun) -> Iterator[Sequence[Point]]:
        """Every point of a run, metric by metric."""
        for metric in run.metrics:
            asked = {"run_id": run.id, "metric_key": metric, "max_results": _POINTS}
            for page in self._pages(lambda token, a=asked: self._get("metrics/get-history", **a, page_token=token)):
                yield [values.point(metric, p["value"], p.get("step"), p["timestamp"]) for p in page.get("metrics", [])]

    def files(self, of: SourceRun | SourceModel) -> list[SourceFile]:
        """The files of a run or a model. Raises `OutOfReach` when the server can't list them."""
        found: list[SourceFile] = []
        folders: list[str | None] = [None]
        try:
            while folders:
                for file in self._listed(of, folders.pop()):
                    if file.get("is_dir"):
                        folders.append(file["path"])
                    else:
                        found.append(SourceFile(file["path"], int(file.get("file_size") or 0), "", _where(of, file)))
        except ServerRefused as error:
            raise OutOfReach(f"the server can't list its files: {error.values[0]}") from None
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
        """A copy of a file. Raises `OutOfReach` when the server does not give it."""
        path = folder / uuid4().hex
        kind, _, of = file.where.partition(" ")
        try:
            if kind == "run":
                self._server.download("/get-artifact", path, run_id=of, path=file.name)
            else:
                place = f"/ajax-api/2.0/mlflow/logged-models/{quote(of)}/artifacts/files"
                self._server.download(place, path, artifact_file_path=file.name)
        except (ServerRefused, BadInput) as error:
            raise OutOfReach(f"the server does not give {file.name}: {' '.join(error.values)}") from None
        return path

    def models(self, experiment: SourceExperiment) -> Iterator[SourceModel]:
        """The logged models of an experiment; servers before MLflow 3 have none."""
        body = {"experiment_ids": [experiment.key], "max_results": 50}
        try:
            for one in self._searched("logged-models/search", "models", body):
                data = one.get("data", {})
                tags, params = values.pairs(one["info"].get("tags", [])), values.pairs(data.get("params", []))
                yield values.model(one["info"], params=params, tags=tags, metrics=data.get("metrics", []))
        except (ServerRefused, BadInput) as error:
            if isinstance(error, ServerRefused) and error.status not in _UNKNOWN:
                raise

    def registered(self) -> Iterator[SourceRegistered]:
        """The registered models, by name."""
        for page in self._pages(lambda t: self._get("registered-models/search", max_results=100, page_token=t)):
            for one in page.get("registered_models", []):
                whole = self._get("registered-models/get", name=one["name"])["registered_model"]
                aliases = {alias["alias"]: alias["version"] for alias in whole.get("aliases", [])}
                versions = [
                    values.version(row, values.pairs(row.get("tags", []))) for row in self._versions(one["name"])
                ]
                yield values.registered(
                    whole, tags=values.pairs(whole.get("tags", [])), aliases=aliases, versions=versions
                )

    def _versions(self, model: str) -> Iterator[dict[str, Any]]:
        asked = "name = '" + model.replace("'", "''") + "'"
        pages = self._pages(lambda t: self._get("model-versions/search", filter=asked, max_results=_PAGE, page_token=t))
        for page in pages:
            yield from page.get("model_versions", [])

    def left_out(self) -> dict[str, int]:
        """Not counted: a server has no count of its traces."""
        return {}

    def _get(self, path: str, /, **query: Any) -> dict[str, Any]:
        return self._server.get(f"{API}/{path}", **query)

    def _searched(self, path: str, key: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        def page(token: str | None) -> dict[str, Any]:
            return self._server.post(f"{API}/{path}", body | ({"page_token": token} if token else {}), again=True)

        for found in self._pages(page):
            yield from found.get(key, [])

    def _pages(self, ask: Any) -> Iterable[dict[str, Any]]:
        token: str | None = None
        while True:
            page = ask(token)
            yield page
            token = page.get("next_page_token") or None
            if not token:
                return


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
