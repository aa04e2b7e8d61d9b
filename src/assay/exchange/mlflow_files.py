"""A file store of MLflow (`mlruns`) as a source; it is only read."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from assay.errors import BadInput, NotFound
from assay.exchange import mlflow_values as values
from assay.exchange.artifact_folders import list_folder, local_folder
from assay.exchange.records import (
    OutOfReach,
    SourceDataset,
    SourceExperiment,
    SourceFile,
    SourceLink,
    SourceModel,
    SourceRegistered,
    SourceRun,
    SourceVersion,
    mark,
)
from assay.track.points import Point

_META = "meta.yaml"
_TRASH = ".trash"
_REGISTRY = "models"
_OURS = frozenset({"tags", "datasets", "traces", "models"})
#: What an input is.
_DATASET, _MODEL = "DATASET", "MODEL"
_POINTS = 20_000


class MlflowFiles:
    """One folder of MLflow's."""

    def __init__(self, folder: Path, proxied: Path | None) -> None:
        """`proxied` is the folder in which a server keeps the artifacts that it hands out itself.

        Raises `NotFound` when there is no such folder, `BadInput` when it is none of MLflow's.
        """
        if not folder.is_dir():
            raise NotFound(f"there is no folder {folder}", do="Name the folder mlruns, a server or a database.")
        self._folder = folder.resolve()
        self._proxied = proxied
        self._unread: dict[str, int] = {}
        if not any(self._experiment_folders()) and not (self._folder / _REGISTRY).is_dir():
            raise BadInput(
                f"{folder} is not a file store of MLflow", "it has no */meta.yaml", do="Name the folder mlruns."
            )

    @property
    def name(self) -> str:
        """The folder as a URI."""
        return self._folder.as_uri()

    def experiments(self) -> Iterator[SourceExperiment]:
        """All of them, deleted ones too."""
        for folder in self._experiment_folders():
            meta = _yaml(folder / _META)
            if {"experiment_id", "name"} <= set(meta):
                yield values.experiment(meta, _texts(folder / "tags"))

    def _experiment_folders(self) -> Iterator[Path]:
        for above in (self._folder, self._folder / _TRASH):
            for path in sorted(above.glob(f"*/{_META}")):
                yield path.parent

    def _of(self, experiment: SourceExperiment) -> Path:
        alive = self._folder / experiment.key
        return alive if alive.is_dir() else self._folder / _TRASH / experiment.key

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        """The runs of one, the oldest first, deleted ones too."""
        folder = self._of(experiment)
        metas = [(path.parent, _yaml(path)) for path in folder.glob(f"*/{_META}") if path.parent.name not in _OURS]
        found = [(place, meta) for place, meta in metas if "run_id" in meta or "run_uuid" in meta]
        for place, meta in sorted(found, key=lambda one: one[1].get("start_time") or 0):
            yield self._run(folder, place, meta)

    def _run(self, experiment: Path, folder: Path, meta: dict[str, Any]) -> SourceRun:
        metrics = _files_below(folder / "metrics")
        uses = [_yaml(path) for path in sorted((folder / "inputs").glob(f"*/{_META}"))]
        made = [_yaml(path) for path in sorted((folder / "outputs").glob(f"*/{_META}"))]
        links = [SourceLink(str(use["source_id"]), "input") for use in uses if use.get("source_type") == _MODEL]
        links += [SourceLink(str(one["source_id"]), "output", int(one.get("step") or 0)) for one in made]
        return values.run(
            meta | {"artifact_uri": meta.get("artifact_uri") or str(folder / "artifacts")},
            params=_texts(folder / "params"),
            tags=_texts(folder / "tags"),
            metrics=metrics,
            points_mark=mark([(name, path.stat().st_size) for name, path in sorted(metrics.items())], str(folder)),
            datasets=[d for use in uses if use.get("source_type") == _DATASET for d in _dataset(experiment, use)],
            links=links,
        )

    def points(self, run: SourceRun) -> Iterator[Sequence[Point]]:
        """Every point of a run, metric by metric; a line that can't be read is counted and left out."""
        [folder] = [path.parent for path in self._folder.glob(f"*/{run.id}/{_META}")] or [
            path.parent for path in self._folder.glob(f"{_TRASH}/*/{run.id}/{_META}")
        ]
        for name, path in _files_below(folder / "metrics").items():
            some: list[Point] = []
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    some += self._point(name, line)
                    if len(some) >= _POINTS:
                        yield some
                        some = []
            yield some

    def _point(self, name: str, line: str) -> list[Point]:
        parts = line.split()
        try:
            return [values.point(name, parts[1], parts[2] if len(parts) > 2 else 0, parts[0])] if parts else []
        except (ValueError, IndexError):
            self._unread["lines of metrics that can't be read"] = (
                self._unread.get("lines of metrics that can't be read", 0) + 1
            )
            return []

    def files(self, of: SourceRun | SourceModel) -> list[SourceFile]:
        """The files of a run or a model: where it says, or below this folder when that was moved. Raises `OutOfReach`."""
        try:
            said = local_folder(of.artifact_uri, self._proxied)
        except OutOfReach:
            said = None
        if said is not None and said.is_dir():
            return list_folder(said)
        below = f"*/{of.id}/artifacts" if isinstance(of, SourceRun) else f"*/models/{of.id}/artifacts"
        for folder in (*self._folder.glob(below), *self._folder.glob(f"{_TRASH}/{below}")):
            if any(folder.iterdir()) or said is not None:
                return list_folder(folder)
        return list_folder(local_folder(of.artifact_uri, self._proxied))

    def fetch(self, file: SourceFile, folder: Path) -> Path:
        """Where the file is."""
        del folder
        return Path(file.where)

    def models(self, experiment: SourceExperiment) -> Iterator[SourceModel]:
        """The logged models of an experiment."""
        for path in sorted((self._of(experiment) / "models").glob(f"*/{_META}")):
            folder = path.parent
            metrics = [
                _model_metric(name, line)
                for name, file in _files_below(folder / "metrics").items()
                for line in file.read_text(encoding="utf-8").splitlines()
            ]
            tags, params = _texts(folder / "tags"), _texts(folder / "params")
            yield values.model(_yaml(path), params=params, tags=tags, metrics=[m for m in metrics if m])

    def registered(self) -> Iterator[SourceRegistered]:
        """The registered models, by name."""
        for path in sorted((self._folder / _REGISTRY).glob(f"*/{_META}")):
            folder = path.parent
            yield values.registered(
                _yaml(path),
                tags=_texts(folder / "tags"),
                aliases=_texts(folder / "aliases"),
                versions=list(_versions(folder)),
            )

    def close(self) -> None:
        """Nothing is held."""

    def left_out(self) -> dict[str, int]:
        """Traces, which have no place here, and what could not be read."""
        traces = sum(1 for _ in self._folder.glob("*/traces/*/trace_info.yaml"))
        return self._unread | ({"traces": traces} if traces else {})


def open_folder(text: str, proxied: Path | None) -> MlflowFiles:
    """The file store at a path or a file: URI."""
    return MlflowFiles(local_folder(text, None), proxied)


def _versions(folder: Path) -> Iterable[SourceVersion]:
    for path in folder.glob(f"version-*/{_META}"):
        yield values.version(_yaml(path), _texts(path.parent / "tags"))


def _dataset(experiment: Path, use: dict[str, Any]) -> list[SourceDataset]:
    path = experiment / "datasets" / str(use["source_id"]) / _META
    if not path.is_file():
        return []
    tags = cast("dict[str, Any]", use.get("tags") or {})
    return [values.dataset(_yaml(path), {name: str(value) for name, value in tags.items()})]


def _model_metric(name: str, line: str) -> dict[str, Any] | None:
    parts = line.split()
    if len(parts) not in (4, 6):
        return None
    at, value, step, run_id = parts[:4]
    dataset = {"dataset_name": parts[4], "dataset_digest": parts[5]} if len(parts) == 6 else {}
    return {"key": name, "value": value, "timestamp": at, "step": step, "run_id": run_id} | dataset


def _files_below(folder: Path) -> dict[str, Path]:
    """Files by their relative path, which is the name of what is in them."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _texts(folder: Path) -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in _files_below(folder).items()}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ModuleNotFoundError:
        raise BadInput(
            "PyYAML, which is needed for the file store of MLflow, is not installed",
            do='Run: pip install "assay[exchange]"',
        ) from None
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path} can't be read", str(error).splitlines()[0], do="Repair or remove it.") from None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
