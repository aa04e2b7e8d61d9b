"""The run at hand: `with assay.start_run(): assay.log_metric("loss", 0.1)`.

It belongs to the thread, or the task, that began it; a run begun inside of another is its child.
"""

import atexit
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.errors import BadInput
from assay.store import current
from assay.track.begin import begin_run
from assay.track.experiments import DEFAULT
from assay.track.runs import Run, innermost
from assay.track.system import watch


def start_run(
    experiment: str = DEFAULT,
    *,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    system_metrics: bool = True,
) -> Run:
    """Begin a run and make it the active one until its `with` block, its `finish` or the process ends.

    With `system_metrics`, processor, memory, disk, network and graphics cards are measured each ten seconds.
    Raises `BadInput` for names and parameters that can't be kept, never for a database that is away.
    """
    store, outer = current(), innermost()
    parent = outer.id if outer and outer.store is store else None
    run = begin_run(store, experiment, name=name, kind="tracked", parent=parent)
    try:
        run.log_params(params or {})
        run.set_tags(tags or {})
    except BadInput as error:
        run.finish_as(error)
        raise
    if system_metrics:
        run.closing.append(watch(run))
    _unfinished[run.id] = run
    run.closing.append(lambda: _forget(run.id))
    return run.activate()


def active_run() -> Run:
    """The run that was begun last in this thread and has not ended, be it of a pipeline, a training or `start_run`.

    Raises `BadInput` when there is none.
    """
    run = innermost()
    if run is None:
        raise BadInput(
            "no run is active in this thread",
            do="Log inside of `with assay.start_run(...) as run:`; in another thread, call the methods of that `run`.",
        )
    return run


def log_metric(name: str, value: float, step: int = 0) -> None:
    """Append one point to a metric of the active run: `Run.log_metric`."""
    active_run().log_metric(name, value, step)


def log_metrics(values: Mapping[str, float], *, step: int = 0) -> None:
    """Append one point to each metric named: `Run.log_metrics`."""
    active_run().log_metrics(values, step=step)


def log_param(name: str, value: Any) -> None:
    """Keep one parameter of the active run: `Run.log_param`."""
    active_run().log_param(name, value)


def log_params(values: Mapping[str, Any]) -> None:
    """Keep parameters of the active run: `Run.log_params`."""
    active_run().log_params(values)


def set_tag(name: str, value: str) -> None:
    """Keep one tag of the active run: `Run.set_tag`."""
    active_run().set_tag(name, value)


def set_tags(values: Mapping[str, str]) -> None:
    """Keep tags of the active run: `Run.set_tags`."""
    active_run().set_tags(values)


def note(text: str) -> None:
    """What people should know of the active run, in Markdown: `Run.note`."""
    active_run().note(text)


def log_artifact(name: str, content: bytes | Path) -> str:
    """Keep a file of the active run; returns its digest: `Run.log_artifact`."""
    return active_run().log_artifact(name, content)


def log_folder(path: str | Path, name: str = "") -> int:
    """Keep every file of a folder with the active run; returns how many: `Run.log_folder`."""
    return active_run().log_folder(path, name)


def log_text(name: str, text: str) -> str:
    """Keep a text as a file of the active run: `Run.log_text`."""
    return active_run().log_text(name, text)


def log_dict(name: str, value: Any) -> str:
    """Keep what JSON can hold as a file of the active run: `Run.log_dict`."""
    return active_run().log_dict(name, value)


def log_table(name: str, frame: Any) -> str:
    """Keep a frame as Parquet with the active run: `Run.log_table`."""
    return active_run().log_table(name, frame)


def log_figure(name: str, figure: Any) -> str:
    """Keep a figure of matplotlib or plotly with the active run: `Run.log_figure`."""
    return active_run().log_figure(name, figure)


def log_dataset(name: str, table: Any, context: str = "training", source: str = "") -> str:
    """Keep what data the active run used; returns its digest: `Run.log_dataset`."""
    return active_run().log_dataset(name, table, context, source)


_unfinished: dict[str, Run] = {}


def _forget(run_id: str) -> None:
    _unfinished.pop(run_id, None)


def _finish_all() -> None:
    """End what a script left open, as failed when it ended by an error that nobody caught."""
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    for run in reversed(list(_unfinished.values())):
        run.finish_as(error)


atexit.register(_finish_all)
os.register_at_fork(after_in_child=_unfinished.clear)  # they are the parent's to end
