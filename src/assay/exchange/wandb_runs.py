"""Runs that Weights & Biases kept in a folder, offline or not, as a source."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from assay.errors import BadInput, NotFound
from assay.exchange.artifact_folders import list_folder
from assay.exchange.records import (
    SourceExperiment,
    SourceFile,
    SourceModel,
    SourceRegistered,
    SourceRun,
    mark,
)
from assay.exchange.wandb_log import Message, inner, integer, message, real, records, text, texts
from assay.exchange.wandb_names import AT, STEP, is_theirs
from assay.exchange.wandb_ours import Ours, as_it_was, ours_of
from assay.track.points import Point
from assay.track.runs import NOTE

#: Fields of a record: what it is of.
_HISTORY, _SUMMARY, _CONFIG, _ARTIFACT, _RUN, _EXIT, _ENVIRONMENT = 2, 3, 5, 8, 17, 18, 26
_DEFAULT_PROJECT = "uncategorized"
_POINTS = 20_000


@dataclass
class _Told:
    """What the logs of one run tell of it, beside its points."""

    logs: list[Path] = field(default_factory=list[Path])
    run: Message = field(default_factory=dict[int, list[int | bytes]])
    environment: Message = field(default_factory=dict[int, list[int | bytes]])
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    summary: dict[str, Any] = field(default_factory=dict[str, Any])
    exit_code: int | None = None
    runtime_s: int = 0
    steps: int = -1
    last_s: float = 0.0
    metrics: set[str] = field(default_factory=set[str])
    left_out: Counter[str] = field(default_factory=Counter[str])

    @property
    def project(self) -> str:
        """Its project."""
        return self.ours.experiment if self.ours else text(self.run, 3) or _DEFAULT_PROJECT

    @property
    def ours(self) -> Ours | None:
        """What a mirror of Assay wrote of the run."""
        return ours_of(self.config)

    @property
    def started_s(self) -> float:
        """When it began."""
        began = inner(self.run, 17)
        return integer(began[0], 1) + integer(began[0], 2) / 1e9 if began else 0.0

    @property
    def ended_s(self) -> float | None:
        """When it ended, if it did."""
        return None if self.exit_code is None else max(self.last_s, self.started_s + self.runtime_s)


class WandbFolder:
    """A folder `wandb` with its runs."""

    def __init__(self, folder: Path) -> None:
        """Raises `NotFound` when there is no run in it."""
        self._folder = folder
        self._runs = _read(folder)
        if not self._runs:
            raise NotFound(
                f"there is no run of Weights & Biases in {folder}",
                "looked for run-*.wandb in it and in the folders one and two below",
                do="Name the folder wandb of your project.",
            )

    @property
    def name(self) -> str:
        """The folder as a URI."""
        return "wandb+" + self._folder.resolve().as_uri()

    def experiments(self) -> Iterator[SourceExperiment]:
        """One a project."""
        for project in sorted({told.project for told in self._runs.values()}):
            began = [_us(told.started_s) for told in self._runs.values() if told.project == project]
            yield SourceExperiment(project, project, min(began), min(began))

    def runs(self, experiment: SourceExperiment) -> Iterator[SourceRun]:
        """The runs of a project, the oldest first."""
        of = [(run_id, told) for run_id, told in self._runs.items() if told.project == experiment.key]
        for run_id, told in sorted(of, key=lambda one: one[1].started_s):
            run = _run(run_id, told)
            yield as_it_was(run, told.ours, told.config) if told.ours else run

    def points(self, run: SourceRun) -> Iterator[Sequence[Point]]:
        """Every number that was logged, and those that only the summary has."""
        some: list[Point] = []
        told = self._runs[run.id]
        for log in told.logs:
            for record in _messages(log):
                for history in inner(record, _HISTORY):
                    some += _points(history)
                if len(some) >= _POINTS:
                    yield some
                    some = []
        yield some
        at_us = _us(told.ended_s or told.last_s or told.started_s)
        alone = {name: value for name, value in _numbers(told.summary).items() if name not in told.metrics}
        yield [Point(name, value, max(told.steps, 0), at_us) for name, value in alone.items()]

    def files(self, of: SourceRun | SourceModel) -> list[SourceFile]:
        """What the run kept in `files`; links that `wandb.save` made are followed."""
        found = {
            file.name: file for log in self._runs[of.id].logs for file in list_folder(log.parent / "files", links=True)
        }
        ours = self._runs[of.id].ours
        before = ours.files if ours else {}
        return [replace(found[name], name=before.get(name, name)) for name in sorted(found)]

    def fetch(self, file: SourceFile, folder: Path) -> Path:
        """Where the file is."""
        del folder
        return Path(file.where)

    def models(self, experiment: SourceExperiment) -> Sequence[SourceModel]:
        """None: they are artifacts there."""
        del experiment
        return ()

    def registered(self) -> Sequence[SourceRegistered]:
        """None in a folder."""
        return ()

    def close(self) -> None:
        """Nothing is held."""

    def left_out(self) -> dict[str, int]:
        """What was logged and is no number."""
        return dict(sum((told.left_out for told in self._runs.values()), Counter[str]()))


def _read(folder: Path) -> dict[str, _Told]:
    logs = {path.resolve() for below in ("", "*/", "*/*/") for path in folder.glob(f"{below}run-*.wandb")}
    found: dict[str, _Told] = {}
    for path in sorted(logs):
        run_id = path.stem.removeprefix("run-")
        _hear(found.setdefault(run_id, _Told()), path)
    return {told.ours.run_id if told.ours else run_id: told for run_id, told in found.items()}


def _messages(path: Path) -> Iterator[Message]:
    try:
        for record in records(path):
            yield message(record)
    except (ValueError, OSError) as error:
        raise BadInput(f"{path} can't be read", str(error), do="Repair or remove it.") from None


def _hear(told: _Told, path: Path) -> None:
    told.logs.append(path)
    told.exit_code = None  # the run goes on in this log
    for record in _messages(path):
        for history in inner(record, _HISTORY):
            _hear_history(told, history)
        for said in inner(record, _CONFIG):
            _change(told.config, said)
        for said in inner(record, _SUMMARY):
            _change(told.summary, said)
        for said in inner(record, _RUN):
            told.run |= said
            for config in inner(said, 4):
                _change(told.config, config)
            for summary in inner(said, 5):
                _change(told.summary, summary)
        for said in inner(record, _ENVIRONMENT):
            told.environment |= said
        for said in inner(record, _EXIT):
            told.exit_code, told.runtime_s = integer(said, 1), integer(said, 2)
        told.left_out["artifacts of Weights & Biases"] += len(record.get(_ARTIFACT, []))


def _hear_history(told: _Told, history: Message) -> None:
    values = _values(history)
    numbers = _numbers(values)
    told.metrics |= set(numbers)
    told.steps = max(told.steps, _step(history, values))
    told.last_s = max(told.last_s, float(values.get("_timestamp") or 0))
    told.left_out["logged values that are no numbers (texts, pictures, tables)"] += sum(
        name not in numbers and not is_theirs(name) for name in _flat(values)
    )


def _points(history: Message) -> list[Point]:
    values = _values(history)
    step, at_us = _step(history, values), _at_us(values)
    return [Point(name, value, step, at_us) for name, value in _numbers(values).items()]


def _at_us(values: dict[str, Any]) -> int:
    return int(values[AT]) if AT in values else _us(float(values.get("_timestamp") or 0))


def _us(seconds: float) -> int:
    """Microseconds of seconds: one rounding for points and runs, so that no run ends before its last point.

    >>> _us(1700000000.123456)
    1700000000123456
    """
    return round(seconds * 1e6)


def _step(history: Message, values: dict[str, Any]) -> int:
    steps = inner(history, 2)
    if STEP in values:
        return int(values[STEP])
    return int(values["_step"]) if "_step" in values else integer(steps[0], 1) if steps else 0


def _change(kept: dict[str, Any], said: Message) -> None:
    """Bring updates and removals of a configuration or a summary into what is kept."""
    for item in inner(said, 1):
        kept[_key(item)] = _value(item)
    for item in inner(said, 2):
        kept.pop(_key(item), None)


def _values(of: Message) -> dict[str, Any]:
    return {_key(item): _value(item) for item in inner(of, 1)}


def _key(item: Message) -> str:
    return text(item, 1) or ".".join(texts(item, 2))


def _value(item: Message) -> Any:
    """The value of an item: JSON, or one of the typed fields of newer versions."""
    if 4 in item:
        return bool(item[4][-1])
    if 5 in item:
        coded = cast("int", item[5][-1])
        return (coded >> 1) ^ -(coded & 1)
    if 6 in item:
        return real(item[6][-1])
    if 7 in item:
        return text(item, 7)
    try:
        return json.loads(text(item, 8) or text(item, 16) or "null")
    except ValueError:
        return text(item, 16)


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Values within values by names with dots; pictures and the like stay whole.

    >>> _flat({"a": {"b": 1}, "c": {"_type": "image-file"}})
    {'a.b': 1, 'c': {'_type': 'image-file'}}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value and "_type" not in value:
            found |= _flat(cast("dict[str, Any]", value), f"{above}{name}.")
        else:
            found[above + name] = value
    return found


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    flat = _flat(values)
    found = {name: _number(value) for name, value in flat.items() if not is_theirs(name.partition(".")[0])}
    found = {name: value for name, value in found.items() if not is_theirs(name)}
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> float | None:
    if isinstance(value, (int, float)):
        return float(value)
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else None


def _run(run_id: str, told: _Told) -> SourceRun:
    status = "running" if told.exit_code is None else "failed" if told.exit_code else "finished"
    git = [*inner(told.run, 21), *inner(told.environment, 9)]
    command = " ".join([text(told.environment, 6), *texts(told.environment, 5)]).strip()
    numbers = set(_numbers(told.summary))
    return SourceRun(
        id=run_id,
        name=text(told.run, 8) or run_id,
        status=status,
        user=text(told.environment, 13) or None,
        started_us=_us(told.started_s),
        ended_us=None if told.ended_s is None else _us(told.ended_s),
        deleted=False,
        deleted_us=None,
        artifact_uri="",
        params={name: _text(value) for name, value in _flat(told.config).items() if not name.startswith("_")},
        tags=_tags(told),
        metrics=tuple(sorted(told.metrics | numbers)),
        points_mark=mark([(str(log), log.stat().st_size) for log in told.logs]),
        code_version=next((commit for one in git if (commit := text(one, 2))), None),
        command=command or None,
    )


def _tags(told: _Told) -> dict[str, str]:
    found = {
        NOTE: text(told.run, 9),
        "wandb.tags": ", ".join(texts(told.run, 10)),
        "wandb.entity": text(told.run, 2),
        "wandb.group": text(told.run, 6),
        "wandb.job_type": text(told.run, 7),
        "wandb.sweep": text(told.run, 12),
        "wandb.host": text(told.run, 13) or text(told.environment, 12),
    }
    flat = _flat(told.summary)
    numbers = _numbers(told.summary)
    found |= {f"wandb.summary.{n}": _text(v) for n, v in flat.items() if n not in numbers and not n.startswith("_")}
    return {name: value for name, value in found.items() if value}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
