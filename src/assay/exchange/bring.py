"""Brings what another tracker holds into this store.

Ids stay what they are. What is there already and has not changed at the source is left alone; a run is marked at the
end of its coming, and only when all of it is here, so that an import that was killed, or that could not have every
file, goes on where it was. What was taken away at the source stays here. What was made here, or came from another
source, is never overwritten.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Table

from assay.errors import NotFound, first_few, near_miss
from assay.exchange import imported_rows
from assay.exchange.bring_files import bring_contents, bring_files, list_files
from assay.exchange.records import (
    FROM,
    SENT,
    WHOLE,
    OutOfReach,
    SourceExperiment,
    SourceFile,
    SourceModel,
    SourceRegistered,
    SourceRun,
    Tracker,
    mark,
)
from assay.exchange.summary import Summary
from assay.store import Store
from assay.store.schema import (
    experiment_tags,
    logged_model_artifacts,
    logged_model_tags,
    registered_model_tags,
    run_artifacts,
    tags,
)

Told = Callable[[str, Summary], None]


def bring(
    store: Store,
    source: Tracker,
    *,
    only: Sequence[str] = (),
    prefix: str = "",
    told: Told = lambda _, __: None,
) -> Summary:
    """Bring experiments (those named `only`, or all), runs, logged and registered models.

    Registered models are brought under their names with `prefix` before them. `told` hears of each experiment and run
    as it begins. What could not come whole, or would overwrite something, is in the summary, and the rest is brought:
    the same call goes on then. Raises `NotFound` for an experiment that the source lacks, `Unavailable` when the
    source or this store goes away: the same call goes on then too.
    """
    summary = Summary(source=source.name)
    try:
        coming = _Coming(store, source, summary, told)
        for experiment in _chosen(source, only):
            told(experiment.name, summary)
            coming.experiment(experiment)
        coming.link_parents()
        for model in source.registered():
            if not only or coming.concerns(model):
                coming.registered(model, prefix + model.name)
        summary.left_out_counts = source.left_out()
    finally:
        source.close()
    return summary


def _chosen(source: Tracker, only: Sequence[str]) -> list[SourceExperiment]:
    found = list(source.experiments())
    names = {one.name for one in found}
    missing = [name for name in only if name not in names]
    if missing:
        hints = [f"{name!r}" + (f": {near}" if (near := near_miss(name, names)) else "") for name in missing]
        raise NotFound(f"{source.name} has no such experiment", *first_few(hints, len(hints)), do="Choose others.")
    return [one for one in found if not only or one.name in only]


class _Coming:
    """Experiments and the registry on their way."""

    def __init__(self, store: Store, source: Tracker, summary: Summary, told: Told) -> None:
        self._store = store
        self._database = store.database
        self._source = source
        self._summary = summary
        self._told = told
        self._parents: dict[str, str] = {}

    def link_parents(self) -> None:
        """Give runs their parents, once these are here too."""
        self._database.write(imported_rows.link_parents)
        for some in imported_rows.batches(list(self._parents.items()), 500):
            self._database.write(lambda c, pairs=some: imported_rows.link(c, pairs))

    def experiment(self, one: SourceExperiment) -> None:
        """Bring an experiment with all that is in it."""
        self._summary.experiments += 1
        try:
            number = self._experiment(one)
        except OutOfReach as error:
            self._summary.leave_unfinished(one.name, str(error))
            return
        if number is None:
            return
        for run in self._source.runs(one):
            shown = f"{one.name}/{run.name or run.id}"
            try:
                self._run(number, run, shown)
            except OutOfReach as error:
                self._summary.leave_unfinished(shown, str(error))
        for model in self._source.models(one):
            try:
                self._model(number, model)
            except OutOfReach as error:
                self._summary.leave_unfinished(f"logged model {model.id}", str(error))

    def _experiment(self, one: SourceExperiment) -> int | None:
        """The number of the experiment here; None for one that was deleted here."""
        with self._database.read() as connection:
            known = imported_rows.find_experiment(connection, one.name)
            said = imported_rows.said_of(connection, experiment_tags, "experiment_id", known[0]) if known else {}
        if known and known[1] and not said:
            self._summary.leave_out("an experiment of that name was deleted here", one.name)
            return None
        if known and said == self._said(mark(one)):
            return known[0]
        number, changed, kept = self._database.write(
            lambda c: imported_rows.keep_experiment(c, one, self._said(mark(one)))
        )
        self._summary.experiments_changed += changed
        for name in kept:
            self._summary.leave_out("tags that the experiment has another value of here", f"{one.name}: {name}")
        return number

    def _said(self, whole: str) -> dict[str, str]:
        return {FROM: self._source.name, WHOLE: whole}

    def _run(self, number: int, run: SourceRun, shown: str) -> None:
        if run.problem:
            raise OutOfReach(run.problem)
        with self._database.read() as connection:
            said = imported_rows.said_of(connection, tags, "run_id", run.id)
            why = imported_rows.why_not(connection, run.id, number, self._source.name)
            ours = run.tags.get(SENT)
            sent = ours and imported_rows.known_runs(connection, [ours])
        if sent:
            self._summary.leave_out("runs that were sent there from here", shown)
        elif why:
            self._summary.refuse(why, run.id)
        else:
            self._bring_changes(number, run, shown, said)

    def _bring_changes(self, number: int, run: SourceRun, shown: str, said: dict[str, str]) -> None:
        summary = self._summary
        if run.parent:
            self._parents[run.id] = run.parent
        self._told(shown, summary)
        files = list_files(self._source, run, shown, summary)
        whole = mark(run, files)
        if said.get(WHOLE) == whole and shown not in summary.unfinished:
            summary.runs_unchanged += 1
            return
        before = self._begun(number, run)
        if before is None:
            return
        missing = self._bring_run(run, files, before, new=WHOLE not in said)
        for name, why in missing.items():
            summary.leave_unfinished(shown, f"{name}: {why}")
        unfinished = shown in summary.unfinished
        late = self._database.write(lambda c: imported_rows.finish(c, number, run, None if unfinished else whole))
        for name in late:
            summary.leave_out("names that are longer than Assay keeps", f"{shown}: {name[:80]}")
        if unfinished:
            return
        if WHOLE in said:
            summary.runs_changed += 1
        else:
            summary.runs += 1

    def _begun(self, number: int, run: SourceRun) -> int | None:
        """Begin to bring a run: how many of its points are here; None, said why, when it is somebody else's by now."""

        def begin(connection: Connection) -> tuple[str, int]:
            why = imported_rows.begin(connection, number, run, self._source.name)
            return why, imported_rows.count_points(connection, run.id)

        why, here = self._database.write(begin)
        if why:
            self._summary.refuse(why, run.id)
        return None if why else here

    def _bring_run(self, run: SourceRun, files: list[SourceFile], before: int, *, new: bool) -> dict[str, str]:
        """Bring the points and files of a run: of files that could not be had, the reasons."""
        for points in self._source.points(run):
            fitting = imported_rows.storable_points(points)
            self._database.write(lambda c, some=fitting: imported_rows.keep_points(c, run.id, some))
        with self._database.read() as connection:
            self._summary.points += imported_rows.count_points(connection, run.id) - before
        lost = bring_contents(self._store, self._source, run.contents)
        return lost | self._bring_files(run_artifacts, ("run_id", run.id), files, new=new)

    def _bring_files(self, table: Table, key: tuple[str, str], files: list[SourceFile], *, new: bool) -> dict[str, str]:
        came, missing = bring_files(self._store, self._source, table, key, files, new=new)
        self._summary.artifacts += len(came)
        self._summary.artifact_bytes += sum(came)
        return missing

    def _model(self, number: int, model: SourceModel) -> None:
        shown = f"logged model {model.id}"
        with self._database.read() as connection:
            said = imported_rows.said_of(connection, logged_model_tags, "model_id", model.id)
            there = imported_rows.knows_logged(connection, model.id)
        if there and FROM not in said:
            self._summary.refuse(imported_rows.OURS_LOGGED, model.id)
            return
        files = list_files(self._source, model, shown, self._summary)
        whole = mark(repr(model), files)  # NaN has no JSON
        if said.get(WHOLE) == whole and shown not in self._summary.unfinished:
            return
        come = {FROM: self._source.name}
        if not self._database.write(lambda c: imported_rows.keep_model(c, number, model, come)):
            self._summary.refuse(imported_rows.OURS_LOGGED, model.id)
            return
        missing = self._bring_files(logged_model_artifacts, ("model_id", model.id), files, new=WHOLE not in said)
        for name, why in missing.items():
            self._summary.leave_unfinished(shown, f"{name}: {why}")
        if shown not in self._summary.unfinished:
            self._database.write(lambda c: imported_rows.keep_model(c, number, model, self._said(whole)))
            self._summary.logged_models += 1

    def concerns(self, model: SourceRegistered) -> bool:
        """Whether a version of a registered model comes of a run that is here."""
        ids = [version.run_id for version in model.versions if version.run_id]
        with self._database.read() as connection:
            return any(imported_rows.known_runs(connection, some) for some in imported_rows.batches(ids, 500))

    def registered(self, model: SourceRegistered, name: str) -> None:
        """Bring a registered model under a name, unless one of that name was made here or came from another source."""
        with self._database.read() as connection:
            said = imported_rows.said_of(connection, registered_model_tags, "model", name)
            why = imported_rows.why_not_registered(connection, name, self._source.name, mark(model))
        if why:
            self._summary.refuse(why, name)
            return
        if said.get(WHOLE) == mark(model):
            return
        missing: dict[str, str] = {}
        for version in model.versions:
            missing |= bring_contents(self._store, self._source, version.contents)
        whole = self._said(mark(model)) if not missing else {FROM: self._source.name}
        refused = self._database.write(lambda c: imported_rows.keep_registered(c, model, name, whole, mark(model)))
        for why, what in refused:
            self._summary.refuse(why, what)
        for file, why in missing.items():
            self._summary.leave_unfinished(f"registered model {name}", f"{file}: {why}")
        self._summary.registered_models += not missing and (name not in {what for _, what in refused})
