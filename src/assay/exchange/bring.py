"""Brings what another tracker holds into this store.

Ids stay what they are. What is there already and has not changed at the source is left alone; a run is marked at the
end of its coming, so that a killed import goes on where it was. What was taken away at the source stays here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Table, select

from assay.errors import NotFound, Unavailable, first_few, near_miss
from assay.exchange import keep
from assay.exchange.records import (
    FROM,
    SENT,
    WHOLE,
    OutOfReach,
    Source,
    SourceExperiment,
    SourceFile,
    SourceModel,
    SourceRegistered,
    SourceRun,
    mark,
)
from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import (
    experiment_tags,
    logged_model_artifacts,
    logged_model_tags,
    registered_model_tags,
    run_artifacts,
    tags,
)
from assay.track.points import add_points
from assay.track.values import LONGEST_ARTIFACT_NAME

_PIECE = 1 << 20


@dataclass
class Summary:
    """What came, what was there, and what was left out and why."""

    source: str
    #: Experiments that were looked at.
    experiments: int = 0
    #: Runs that came, that changed since they came, and that are as they were.
    runs: int = 0
    runs_changed: int = 0
    runs_unchanged: int = 0
    points: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0
    #: Logged models and registered models that came or changed.
    logged_models: int = 0
    registered_models: int = 0
    #: Experiments whose tags or state came or changed.
    experiments_changed: int = 0
    #: Why, and of what.
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    left_out_counts: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def changed(self) -> bool:
        """Whether anything of this store is other than before."""
        return bool(
            self.runs or self.runs_changed or self.logged_models or self.registered_models or self.experiments_changed
        )

    def leave_out(self, why: str, what: str) -> None:
        """Remember what did not come."""
        self.left_out.setdefault(why, []).append(what)


Told = Callable[[str, Summary], None]


def bring(store: Store, source: Source, *, only: Sequence[str] = (), told: Told = lambda _, __: None) -> Summary:
    """Bring experiments (those named `only`, or all), runs, logged and registered models.

    `told` hears of each experiment and run as it begins. Raises `NotFound` for an experiment that the source lacks,
    `Unavailable` when the source or this store goes away: the same call goes on then.
    """
    summary = Summary(source.name)
    for experiment in _chosen(source, only):
        told(experiment.name, summary)
        _Coming(store, source, summary, told).experiment(experiment)
    with store.database.begin() as connection:
        keep.link_parents(connection)
    coming = _Coming(store, source, summary, told)
    for model in source.registered():
        if not only or coming.concerns(model):
            coming.registered(model)
    summary.left_out_counts = source.left_out()
    return summary


def _chosen(source: Source, only: Sequence[str]) -> list[SourceExperiment]:
    found = list(source.experiments())
    names = {one.name for one in found}
    missing = [name for name in only if name not in names]
    if missing:
        hints = [f"{name!r}" + (f": {near}" if (near := near_miss(name, names)) else "") for name in missing]
        raise NotFound(f"{source.name} has no such experiment", *first_few(hints, len(hints)), do="Name others.")
    return [one for one in found if not only or one.name in only]


class _Coming:
    """One experiment, or the registry, on its way."""

    def __init__(self, store: Store, source: Source, summary: Summary, told: Told) -> None:
        self._store = store
        self._source = source
        self._summary = summary
        self._told = told

    def experiment(self, one: SourceExperiment) -> None:
        """Bring an experiment with all that is in it."""
        with self._store.database.read() as connection:
            known = keep.find_experiment(connection, one.name)
            said = keep.said_of(connection, experiment_tags, "experiment_id", known[0]) if known else {}
        self._summary.experiments += 1
        if known and known[1] and not said:
            self._summary.leave_out("an experiment of that name was deleted here", one.name)
            return
        number = known[0] if known else 0
        if not known or self._moved(one, number, said):
            with self._store.database.begin() as connection:
                number = keep.keep_experiment(connection, one, self._said(mark(one)))
            self._summary.experiments_changed += 1
        for run in self._source.runs(one):
            self._run(number, run, f"{one.name}/{run.name or run.id}")
        for model in self._source.models(one):
            self._model(number, model)

    def _moved(self, one: SourceExperiment, number: int, said: dict[str, str]) -> bool:
        if said:
            return said.get(WHOLE) != mark(one)
        with self._store.database.read() as connection:  # an experiment of this store: only tags come
            asked = select(experiment_tags.c.name, experiment_tags.c.value).filter_by(experiment_id=number)
            here: dict[str, str] = {row.name: row.value for row in connection.execute(asked)}
        return any(here.get(name) != value for name, value in one.tags.items())

    def _said(self, whole: str) -> dict[str, str]:
        return {FROM: self._source.name, WHOLE: whole}

    def _run(self, number: int, run: SourceRun, shown: str) -> None:
        summary, database = self._summary, self._store.database
        with database.read() as connection:
            said = keep.said_of(connection, tags, "run_id", run.id)
            there = bool(keep.known_runs(connection, [run.id]))
            ours = run.tags.get(SENT)
            if ours and keep.known_runs(connection, [ours]):
                summary.leave_out("runs that were sent there from here", shown)
                return
        if there and FROM not in said:
            summary.leave_out("a run of that id was made here", run.id)
            return
        self._told(shown, summary)
        files = self._files(run, shown)
        whole = mark(run, files)
        if said.get(WHOLE) == whole:
            summary.runs_unchanged += 1
            return
        self._bring_run(number, run, files, new=WHOLE not in said)
        with database.begin() as connection:
            keep.finish(connection, number, run, whole)
        if WHOLE in said:
            summary.runs_changed += 1
        else:
            summary.runs += 1

    def _bring_run(self, number: int, run: SourceRun, files: list[SourceFile], *, new: bool) -> None:
        database = self._store.database
        with database.begin() as connection:
            keep.begin(connection, number, run, self._source.name)
            before = keep.count_points(connection, run.id)
        for points in self._source.points(run):
            with database.begin() as connection:
                add_points(connection, run.id, points)
        with database.read() as connection:
            self._summary.points += keep.count_points(connection, run.id) - before
        self._bring_files(run_artifacts, "run_id", run.id, files, new=new)

    def _files(self, of: SourceRun | SourceModel, shown: str) -> list[SourceFile]:
        try:
            files = self._source.files(of)
        except OutOfReach as error:
            self._summary.leave_out(str(error), shown)
            return []
        fitting = [file for file in files if len(file.name) <= LONGEST_ARTIFACT_NAME]
        for file in files:
            if file not in fitting:
                self._summary.leave_out(f"names of over {LONGEST_ARTIFACT_NAME} characters", file.name[:80])
        return fitting

    def _bring_files(self, table: Table, key: str, of: str, files: list[SourceFile], *, new: bool) -> None:
        """Bring files one by one; of a run that was on its way when the import was killed, only those that lack."""
        with self._store.database.read() as connection:
            asked = select(table.c.name, table.c.digest, table.c.size_bytes).where(table.c[key] == of)
            here = {name: (digest, size) for name, digest, size in connection.execute(asked)}
        for file in files:
            if new and not file.mark and here.get(file.name, ("", -1))[1] == file.size_bytes:
                continue
            kept = self._fetch(file)
            if kept is None or here.get(file.name) == kept:
                continue
            row = {key: of, "name": file.name, "digest": kept[0], "size_bytes": kept[1]}
            with self._store.database.begin() as connection:
                upsert(connection, table, [row])
            self._summary.artifacts += 1
            self._summary.artifact_bytes += kept[1]

    def _fetch(self, file: SourceFile) -> tuple[str, int] | None:
        with TemporaryDirectory(prefix="assay-import-", dir=_scratch(self._store)) as folder:
            try:
                stored = self._store.artifacts.put_stream(pieces(self._source.fetch(file, Path(folder))))
            except OutOfReach as error:
                self._summary.leave_out(str(error), file.name)
                return None
        return stored.digest, stored.size

    def _model(self, number: int, model: SourceModel) -> None:
        with self._store.database.read() as connection:
            said = keep.said_of(connection, logged_model_tags, "model_id", model.id)
        files = self._files(model, f"logged model {model.id}")
        whole = mark(repr(model), files)  # NaN has no JSON
        if said.get(WHOLE) == whole:
            return
        with self._store.database.begin() as connection:
            keep.keep_model(connection, number, model, {FROM: self._source.name})
        self._bring_files(logged_model_artifacts, "model_id", model.id, files, new=WHOLE not in said)
        with self._store.database.begin() as connection:
            keep.keep_model(connection, number, model, self._said(whole))
        self._summary.logged_models += 1

    def concerns(self, model: SourceRegistered) -> bool:
        """Whether a version of a registered model comes of a run that is here."""
        ids = [version.run_id for version in model.versions if version.run_id]
        with self._store.database.read() as connection:
            return any(keep.known_runs(connection, some) for some in batches(ids, 500))

    def registered(self, model: SourceRegistered) -> None:
        """Bring a registered model, unless one of that name was made here."""
        with self._store.database.read() as connection:
            said = keep.said_of(connection, registered_model_tags, "model", model.name)
            there = keep.knows_model(connection, model.name)
        if there and not said:
            self._summary.leave_out("a registered model of that name was made here", model.name)
        elif said.get(WHOLE) != mark(model):
            with self._store.database.begin() as connection:
                keep.keep_registered(connection, model, self._said(mark(model)))
            self._summary.registered_models += 1


def pieces(path: Path) -> Iterator[bytes]:
    """A file, piece by piece. Raises `OutOfReach` when it can't be read."""
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise OutOfReach(f"files that can't be read: {error.strerror}") from None


def batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Portions of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))


def _scratch(store: Store) -> Path:
    """A folder on the disk of the home, for files on their way."""
    folder = store.home.path / "tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"can't make {folder}: {error.strerror}", do="Mend its rights.") from None
    return folder
