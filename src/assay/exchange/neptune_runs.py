"""What Neptune's exporter left in folders, as a source: a project is an experiment."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from assay.errors import NotFound
from assay.exchange.artifact_folders import file_seen, list_folder
from assay.exchange.neptune_parquet import (
    Attributes,
    FileRow,
    read_attributes,
    read_points,
    read_series,
    step_text,
)
from assay.exchange.records import (
    OutOfReach,
    SourceExperiment,
    SourceFile,
    SourceModel,
    SourceRegistered,
    SourceRun,
    SourceVersion,
    mark,
)
from assay.track.points import Point, microseconds
from assay.track.runs import NOTE

_PART = re.compile(r"(.+)_part_([0-9]{1,6})\.parquet")
#: Folders of an export, and where the files of each are.
_SCOPES = (
    ("data", "files", ""),
    ("model_data", "model_files", "models"),
    ("model_data", "model_files", "model_versions"),
)
_PARENT = "mlflow.parentRunId"
#: The series of one run may take so much of the disk while they are on their way.
MOST_SERIES_BYTES = 16 << 30
#: Characters of series that wait in memory.
_WAITING = 1 << 24
_STAGES = {"staging": "Staging", "production": "Production", "archived": "Archived"}


@dataclass(frozen=True)
class _Exported:
    """The parts of one run, and the folder that its files are below."""

    prefix: str
    parts: dict[int, Path]
    files: Path
    scope: str


class NeptuneExport:
    """The folders of an export."""

    def __init__(self, folder: Path, files: Path | None = None) -> None:
        """`folder` has `data` and `files` in it, or is the data itself. Raises `NotFound` when no run is in it."""
        self._folder = folder
        self._runs = list(_find(folder, files))
        self._attributes: dict[str, tuple[_Exported, Attributes]] = {}
        self._left_out: Counter[str] = Counter()
        self._spilled: tuple[str, TemporaryDirectory[str]] | None = None
        if not self._runs:
            raise NotFound(
                f"there is no run of Neptune's exporter in {folder}",
                "looked for data/PROJECT/RUN_part_0.parquet and PROJECT/RUN_part_0.parquet",
                do="Name the folder that has the --data-path of the export in it, or that path itself.",
            )

    @property
    def name(self) -> str:
        """The folder as a URI."""
        return "neptune+" + self._folder.resolve().as_uri()

    def experiments(self) -> Iterator[SourceExperiment]:
        """One a project and kind of thing: runs, models, versions of models."""
        for (folder, scope), runs in self._by_project().items():
            began = min(part.stat().st_mtime_ns // 1000 for run in runs for part in run.parts.values())
            name = _project(runs) + (f"/{scope}" if scope else "")
            yield SourceExperiment(f"{scope}:{folder}", name, began, began)

    def _by_project(self) -> dict[tuple[str, str], list[_Exported]]:
        found: dict[tuple[str, str], list[_Exported]] = {}
        for run in self._runs:
            found.setdefault((str(next(iter(run.parts.values())).parent), run.scope), []).append(run)
        return found

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        """The runs of a project; one that can't be read says why."""
        scope, _, folder = experiment.key.partition(":")
        for run in self._by_project()[folder, scope]:
            try:
                _check_parts(run)
                found = read_attributes(_parts(run))
            except OutOfReach as error:
                yield _unreadable(run, str(error))
                continue
            self._left_out.update({f"attributes of type {kind}": count for kind, count in found.unknown.items()})
            made = _run(run, found)
            self._attributes = {made.id: (run, found)}
            yield made

    def points(self, run: SourceRun) -> Iterator[Sequence[Point]]:
        """Every value of the series of numbers."""
        exported, found = self._attributes[run.id]
        return read_points(_parts(exported), found.points, run.started_us)

    def files(self, of: SourceRun | SourceModel) -> list[SourceFile]:
        """Files, and the series of texts and histograms as files of JSON lines."""
        exported, found = self._attributes[of.id]
        listed = [
            SourceFile(_file_name(path) + ".jsonl", -1, _parts_mark(exported), f"{of.id} {path}")
            for path in found.series
        ]
        for row in found.files:
            listed += _files(row, exported.files)
        return _apart(listed)

    def fetch(self, file: SourceFile, folder: Path) -> Path:
        """Where the file is; series are written into files of their own first, all of a run at once."""
        if file.size_bytes >= 0:
            return Path(file.where)
        run_id, _, path = file.where.partition(" ")
        if self._spilled is None or self._spilled[0] != run_id:
            self._clear()
            self._spilled = (run_id, self._spill(run_id, folder.parent))
        return Path(self._spilled[1].name, _digest(path))

    def _spill(self, run_id: str, folder: Path) -> "TemporaryDirectory[str]":
        spilled = TemporaryDirectory(prefix="assay-neptune-", dir=folder)
        lines: dict[str, list[str]] = {}
        size = waiting = 0
        for path, value in read_series(_parts(self._attributes[run_id][0])):
            line = json.dumps(value, ensure_ascii=False) + "\n"
            lines.setdefault(path, []).append(line)
            size, waiting = size + len(line), waiting + len(line)
            if size > MOST_SERIES_BYTES:
                spilled.cleanup()
                raise OutOfReach(f"its series have more than {MOST_SERIES_BYTES >> 30} GiB")
            if waiting > _WAITING:
                _write(Path(spilled.name), lines)
                lines, waiting = {}, 0
        _write(Path(spilled.name), lines)
        return spilled

    def _clear(self) -> None:
        if self._spilled:
            self._spilled[1].cleanup()
            self._spilled = None

    def models(self, experiment: SourceExperiment) -> Sequence[SourceModel]:
        """None: models of Neptune are registered ones."""
        del experiment
        return ()

    def registered(self) -> Iterator[SourceRegistered]:
        """The models, with their versions; what is in them came as runs."""
        for (_, scope), runs in self._by_project().items():
            if scope != "model_versions":
                continue
            versions: dict[str, list[SourceVersion]] = {}
            for run in runs:
                try:
                    _check_parts(run)
                    found = read_attributes(_parts(run))
                except OutOfReach:
                    continue  # named when the runs came
                model, _, number = found.run.rpartition("-")
                if model and re.fullmatch("[0-9]{1,9}", number):
                    versions.setdefault(model, []).append(_version(found, int(number)))
            for model, some in sorted(versions.items()):
                created = min(one.created_us for one in some)
                whole = tuple(sorted(some, key=lambda one: one.version))
                yield SourceRegistered(model, None, created, created, {}, {}, whole)

    def left_out(self) -> dict[str, int]:
        """Attributes of types that are not known."""
        return dict(self._left_out)

    def close(self) -> None:
        """Remove the series that were written into files."""
        self._clear()


def _write(folder: Path, lines: dict[str, list[str]]) -> None:
    for path, some in lines.items():
        with (folder / _digest(path)).open("a", encoding="utf-8", errors="surrogatepass") as file:
            file.writelines(some)


def _find(folder: Path, files: Path | None) -> Iterator[_Exported]:
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", do="Name the folder of the export.")
    whole = (folder / "data").is_dir() or (folder / "model_data").is_dir()
    for data, beside, scope in _SCOPES:
        at = folder / data if whole else folder
        yield from _in(at, files if files and not scope else at.parent / beside, scope)


def _in(data: Path, files: Path, scope: str) -> Iterator[_Exported]:
    for project in sorted(data.glob("*")):
        found: dict[str, dict[int, Path]] = {}
        for path in sorted((project / scope).glob("*_part_*.parquet*")):
            if named := _PART.fullmatch(path.name.removesuffix(".tmp")):
                number = -1 if path.name.endswith(".tmp") else int(named[2])
                found.setdefault(named[1], {})[number] = path
        for prefix, parts in found.items():
            yield _Exported(prefix, parts, files / project.name, scope)


def _parts(run: _Exported) -> list[Path]:
    return [run.parts[number] for number in sorted(run.parts) if number >= 0]


def _check_parts(run: _Exported) -> None:
    numbers = sorted(number for number in run.parts if number >= 0)
    if numbers != list(range(len(numbers))) or not numbers:
        lacks = next(number for number in range(len(numbers) + 1) if number not in numbers)
        raise OutOfReach(f"{run.prefix}_part_{lacks}.parquet is not there: the exporter had not finished this run")


def _parts_mark(run: _Exported) -> str:
    seen = [(part.name, part.stat().st_size, part.stat().st_mtime_ns) for part in _parts(run)]
    return mark(seen)


def _project(runs: list[_Exported]) -> str:
    """The name of a project, from the first of its runs that can be read; the folder's name otherwise."""
    for run in runs:
        try:
            found = read_attributes(_parts(run)[:1]) if 0 in run.parts else None
        except OutOfReach:
            continue
        if found:
            return found.project
    return next(iter(runs[0].parts.values())).parent.name


def _id(project: str, run: str, scope: str = "") -> str:
    """Ids of Neptune are unique in a project only."""
    return hashlib.sha256(f"neptune\0{scope}\0{project}\0{run}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _unreadable(run: _Exported, why: str) -> SourceRun:
    return SourceRun(
        _id(str(run.files.name), run.prefix), run.prefix, "running", None, 0, None, False, None, "", {}, {}, (), "",
        problem=why,
    )  # fmt: skip


def _run(run: _Exported, found: Attributes) -> SourceRun:
    sys = {name.removeprefix("sys/"): value for name, value in found.single.items() if name.startswith("sys/")}
    started = _moment(sys.get("creation_time")) or 0
    took = sys.get("running_time")
    ended = started + round(took * 1e6) if isinstance(took, float) and math.isfinite(took) else 0
    ended = max(ended, found.last_us or 0, started)
    status = "failed" if sys.get("failed") is True else "running" if sys.get("state") == "active" else "finished"
    deleted = sys.get("trashed") is True or sys.get("archived") is True
    parent = sys.get("forking/parent")
    return SourceRun(
        id=_id(found.project, found.run, run.scope),
        name=str(sys.get("custom_run_id") or found.run),
        status=status,
        user=str(sys["owner"]) if sys.get("owner") else None,
        started_us=started,
        ended_us=None if status == "running" else ended,
        deleted=deleted,
        deleted_us=ended if deleted else None,
        artifact_uri="",
        params={name: _plain(value) for name, value in found.single.items()},
        tags=_tags(run, found, sys, parent),
        metrics=tuple(sorted(found.points)),
        points_mark=_parts_mark(run),
        parent=_id(found.project, str(parent), run.scope) if parent else None,
    )


def _tags(run: _Exported, found: Attributes, sys: dict[str, Any], parent: Any) -> dict[str, str]:
    tags = {"neptune.project": found.project, "neptune.run_id": found.run}
    for name in ("name", "tags", "group_tags"):
        if value := sys.get(name):
            tags[f"neptune.{name}"] = ", ".join(value) if isinstance(value, list) else str(value)
    if sys.get("description"):
        tags[NOTE] = str(sys["description"])
    if parent:
        tags[_PARENT] = _id(found.project, str(parent), run.scope)
    return tags | {f"neptune.step_unit.{path}": f"1e-{digits}" for path, digits in found.points.items() if digits}


def _moment(text: Any) -> int | None:
    try:
        return microseconds(datetime.fromisoformat(text)) if isinstance(text, str) else None
    except (ValueError, TypeError):
        return None


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _version(found: Attributes, number: int) -> SourceVersion:
    created = _moment(found.single.get("sys/creation_time")) or 0
    run_id = _id(found.project, found.run, "model_versions")
    stage = _STAGES.get(str(found.single.get("sys/stage", "")).lower(), "None")
    owner = found.single.get("sys/owner")
    about = found.single.get("sys/name")
    return SourceVersion(
        number, run_id, f"runs:/{run_id}", None, None, str(owner) if owner else None, str(about) if about else None,
        stage, created, created, {"neptune.id": found.run},
    )  # fmt: skip


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()


def _file_name(path: str) -> str:
    r"""The name of an artifact for the path of an attribute, which may hold what no artifact's name does.

    >>> _file_name("//a/../b\\c"), _file_name("train/model")
    ('a/%2E%2E/b%5Cc', 'train/model')
    """
    parts = [part.replace("\\", "%5C").replace("\0", "%00") for part in path.split("/") if part]
    return "/".join(part.replace(".", "%2E") if part in (".", "..") else part for part in parts) or "%2F"


def _files(row: FileRow, root: Path) -> list[SourceFile]:
    name = _file_name(row.attribute)
    if row.kind == "file_series":
        name += f"/step_{step_text(row.step or 0)}{PurePosixPath(row.path).suffix}"
    elif row.kind == "artifact":
        name += "/files_list.json"
    inside = PurePosixPath(row.path)
    if inside.is_absolute() or ".." in inside.parts or "\0" in row.path or not inside.parts:
        return [SourceFile(name, 0, "", "", f"its path {row.path[:80]!r} leaves the folder of files")]
    path = root.joinpath(*inside.parts)
    if row.kind != "file_set" or not path.is_dir() or path.is_symlink():
        return [file_seen(path, name, root)]
    if not path.resolve().is_relative_to(root.resolve()):
        return [SourceFile(name, 0, "", "", f"its path {row.path[:80]!r} leaves the folder of files")]
    return [
        SourceFile(f"{name}/{one.name}", one.size_bytes, one.mark, one.where, one.problem) for one in list_folder(path)
    ]


def _apart(files: list[SourceFile]) -> list[SourceFile]:
    """Files by name; where two have the same, the later ones get the digest of where they are."""
    found: dict[str, SourceFile] = {}
    for file in files:
        name = file.name if file.name not in found else f"{file.name}.{_digest(file.where)[:8]}"
        found[name] = SourceFile(name, file.size_bytes, file.mark, file.where, file.problem)
    return [found[name] for name in sorted(found)]
