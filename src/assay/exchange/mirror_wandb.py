"""Writes runs of this store as offline runs of Weights & Biases, by its own client, for `wandb sync`.

A run is one folder, which is written beside and then put in its place; a run that changed is written anew under the
same id. What Weights & Biases has no field for is in the configuration under `RUN`, where the import finds it.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import func, select

from assay.errors import AssayError, BadInput
from assay.exchange.mirror import said_of_run
from assay.exchange.records import FROM, SENT, SENT_WHOLE, WHOLE, mark
from assay.exchange.summary import Mirrored
from assay.exchange.wandb_names import AT, RUN, STEP, THEIRS, is_theirs
from assay.store import Store
from assay.store.schema import datasets, metric_points, metric_series, run_artifacts, run_datasets
from assay.track.experiments import find_experiments, get_experiment
from assay.track.find import RunRow, search
from assay.track.outbox import deliver_if_possible
from assay.track.points import microseconds
from assay.track.runs import NOTE

_MARKER = "assay.json"
_RUNS, _ROWS = 200, 10_000
_EXIT = {"failed": 1, "killed": 255}
_OURS = frozenset({FROM, WHOLE, SENT, SENT_WHOLE, NOTE})


class WandbMirror:
    """A folder in which runs of this store are, or will be, as the client of Weights & Biases writes them offline."""

    def __init__(self, store: Store, folder: Path, *, only: Sequence[str] = ()) -> None:
        """`only` names experiments; all when empty. Raises `BadInput` when the client is not installed."""
        try:
            client: Any = import_module("wandb")
        except ImportError:
            raise BadInput(
                "the client of Weights & Biases is not installed", do='Run: pip install "assay[wandb]"'
            ) from None
        self._wandb = client
        self._store = store
        self._folder = folder
        self._only = only

    def once(self, told: Callable[[str], None] = lambda _: None) -> Mirrored:
        """Write the runs that are not there yet, or changed since; what could not be written whole is named.

        Raises `NotFound` for an experiment that is not here, `BadInput` when the folder can't be written.
        """
        deliver_if_possible(self._store)
        done = Mirrored(server=str(self._folder))
        chosen = [get_experiment(self._store, name) for name in self._only] or find_experiments(self._store)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            there = _there(self._folder)
            for experiment in chosen:
                for row in _rows(self._store, experiment.id):
                    told(f"{experiment.name}/{row.name}")
                    self._run(row, there.get(row.id, {}), done)
        except OSError as error:
            raise BadInput(f"{self._folder} can't be written: {error.strerror}", do="Name another folder.") from None
        return done

    def _run(self, row: RunRow, there: dict[Path, str], done: Mirrored) -> None:
        shown = f"{row.experiment}/{row.name}"
        if row.tags.get(FROM) == "wandb+" + self._folder.resolve().as_uri():
            done.leave_out("runs that came from there", shown)
            return
        files = _files(self._store, row.id)
        whole = mark(said_of_run(row), sorted(files.items()))
        same = [folder for folder, said in there.items() if said == whole]
        if same:
            _remove(set(there) - {same[0]})
            done.runs_unchanged += 1
            return
        with TemporaryDirectory(prefix=".assay-", dir=self._folder) as beside:
            reasons = self._write(row, files, Path(beside), done)
            if not reasons:
                [made] = Path(beside, "wandb").glob("offline-run-*")
                (made / _MARKER).write_text(json.dumps({"run_id": row.id, "whole": whole}))
                made.rename(_free(self._folder / made.name))
                _remove(there)
        if reasons:
            done.unfinished[shown] = reasons
        else:
            done.runs += not there
            done.runs_changed += bool(there)

    def _write(self, row: RunRow, files: dict[str, tuple[str, int]], beside: Path, done: Mirrored) -> list[str]:
        """Write a run below a folder; why it is not whole."""
        try:
            run = self._begin(row, files, beside)
        except self._wandb.errors.Error as error:
            return [f"the client of Weights & Biases refuses it: {error}"]
        reasons: list[str] = []
        try:
            done.points += _log(self._store, row, run, lambda name: done.leave_out(THEIRS, f"{row.name}: {name}"))
            for name, (digest, size) in files.items():
                try:
                    path = Path(run.dir, _renamed(name))
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._store.artifacts.fetch(digest, path)
                except (OSError, AssayError) as error:
                    reasons.append(f"{name}: {getattr(error, 'strerror', None) or getattr(error, 'what', error)}")
                    continue
                run.save(str(path), base_path=run.dir, policy="now", glob=False)
                done.artifacts += 1
                done.artifact_bytes += size
        finally:
            run.finish(exit_code=_EXIT.get(row.status, 0))
        return reasons

    def _begin(self, row: RunRow, files: dict[str, tuple[str, int]], beside: Path) -> Any:
        settings = self._wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            silent=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        return self._wandb.init(
            config={**row.params, RUN: _facts(self._store, row, files)},
            dir=str(beside),
            group=row.parent_id,
            id=_id(row.id),
            mode="offline",
            name=row.name,
            notes=row.tags.get(NOTE),
            project=re.sub(r"[/\\#?%:]", "-", row.experiment)[:128],
            reinit="create_new",
            resume=None,
            settings=settings,
        )


def _facts(store: Store, row: RunRow, files: dict[str, tuple[str, int]]) -> dict[str, Any]:
    """What of a run has no field of its own there."""
    return {
        "run_id": row.id,
        "experiment": row.experiment,
        "status": row.status,
        "started_us": microseconds(row.started_at),
        "ended_us": microseconds(row.ended_at) if row.ended_at else None,
        "user": row.user,
        "parent_id": row.parent_id,
        "tags": {name: value for name, value in row.tags.items() if name not in _OURS},
        "datasets": _datasets(store, row.id),
        "files": {_renamed(name): name for name in files if _renamed(name) != name},
    }


def _datasets(store: Store, run_id: str) -> list[dict[str, Any]]:
    d, used = datasets.c, run_datasets.c
    asked = (
        select(d.name, d.digest, d.source_type, d.source, d["schema"], d.profile, used.context, used.tags)
        .join_from(run_datasets, datasets, used.dataset_id == d.id)
        .where(used.run_id == run_id)
    )
    with store.database.read() as connection:
        return [dict(found) for found in connection.execute(asked).mappings()]


def _log(store: Store, row: RunRow, run: Any, leave_out: Callable[[str], None]) -> int:
    """Log every point, those of one step and time together; how many there were."""
    for name in row.metrics:
        if is_theirs(name):
            leave_out(name)
    plain = _one_row_a_step(store, row.id)
    if not plain:
        run.define_metric("*", step_metric=STEP, step_sync=False)  # or its client writes steps of its own
    count = 0
    for number, (step, at_us, values) in enumerate(_rows_of_points(store, row.id)):
        logged: dict[str, Any] = {**values, "_timestamp": at_us / 1e6}
        if round(at_us / 1e6 * 1e6) != at_us:
            logged[AT] = at_us
        if not plain:
            logged[STEP] = step
        run.log(logged, step=step if plain else number)
        count += len(values)
    return count


def _one_row_a_step(store: Store, run_id: str) -> bool:
    """Whether the points of each step have one time and one value a metric, so that steps can be theirs."""
    p, s = metric_points.c, metric_series.c
    mine = (
        select(p.series_id, p.step, p.at_us)
        .join_from(metric_series, metric_points, p.series_id == s.id)
        .where(s.run_id == run_id)
    )
    points = mine.subquery()
    rows = select(points.c.step, points.c.at_us).distinct().subquery()
    cells = select(points.c.series_id, points.c.step).distinct().subquery()
    with store.database.read() as connection:
        count, steps, least = connection.execute(
            select(func.count(), func.count(points.c.step.distinct()), func.min(points.c.step)).select_from(points)
        ).one()
        at = connection.execute(select(func.count()).select_from(rows)).scalar_one()
        named = connection.execute(select(func.count()).select_from(cells)).scalar_one()
    return count == 0 or (at == steps and named == count and least >= 0)


def _rows_of_points(store: Store, run_id: str) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Points by step and time: the values of one row, of which no metric has two."""
    p, s = metric_points.c, metric_series.c
    asked = (
        select(s.name, p.value, p.is_nan, p.step, p.at_us)
        .join_from(metric_series, metric_points, p.series_id == s.id)
        .where(s.run_id == run_id)
        .order_by(p.step, p.at_us)
    )
    key: tuple[int, int] | None = None
    values: dict[str, float] = {}
    with store.database.read() as connection:
        for name, value, is_nan, step, at_us in connection.execution_options(yield_per=_ROWS).execute(asked):
            if is_theirs(name):
                continue
            if key is not None and (key != (step, at_us) or name in values):
                yield *key, values
                values = {}
            key = (step, at_us)
            values[name] = float("nan") if is_nan else value
    if key is not None and values:
        yield *key, values


def _rows(store: Store, experiment: int) -> Iterator[RunRow]:
    token: str | None = None
    while True:
        order = ["attributes.start_time ASC"]
        page = search(store, experiment_ids=[experiment], order_by=order, limit=_RUNS, token=token)
        yield from page.runs
        token = page.token
        if token is None:
            return


def _files(store: Store, run_id: str) -> dict[str, tuple[str, int]]:
    asked = select(run_artifacts.c.name, run_artifacts.c.digest, run_artifacts.c.size_bytes)
    with store.database.read() as connection:
        found = connection.execute(asked.where(run_artifacts.c.run_id == run_id))
        return {name: (digest, size) for name, digest, size in found}


def _there(folder: Path) -> dict[str, dict[Path, str]]:
    """By run, its folders that a mirror wrote, and what the run was then; remains of one that was killed are removed."""
    found: dict[str, dict[Path, str]] = {}
    for path in folder.glob(".assay-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in sorted(folder.glob(f"offline-run-*/{_MARKER}")):
        with suppress(ValueError, KeyError, TypeError):
            said = json.loads(path.read_text())
            found.setdefault(str(said["run_id"]), {})[path.parent] = str(said["whole"])
    return found


def _remove(folders: Any) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def _free(path: Path) -> Path:
    number = 0
    while path.with_name(f"{path.name}{f'.{number}' if number else ''}").exists():
        number += 1
    return path.with_name(f"{path.name}{f'.{number}' if number else ''}")


def _id(run_id: str) -> str:
    """The id of a run there, where not every text can be one.

    >>> _id("0a1b")
    '0a1b'
    """
    return run_id if re.fullmatch("[A-Za-z0-9_-]{1,64}", run_id) else sha256(run_id.encode()).hexdigest()[:32]


def _renamed(name: str) -> str:
    """The name of a file there, where some are taken.

    >>> _renamed("config.yaml"), _renamed("a/config.yaml")
    ('assay/config.yaml', 'a/config.yaml')
    """
    return f"assay/{name}" if name.startswith("assay/") or name in _TAKEN else name


_TAKEN = frozenset(
    {"config.yaml", "diff.patch", "output.log", "requirements.txt", "wandb-metadata.json", "wandb-summary.json"}
)
