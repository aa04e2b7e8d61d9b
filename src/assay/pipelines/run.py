"""Runs of pipelines: begun, killed, resumed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import select

from assay.errors import AssayError, BadInput
from assay.pipelines.alone import alone
from assay.pipelines.journal import Journal, StepEvent
from assay.pipelines.pipeline import Pipeline, find_pipeline
from assay.pipelines.step import active
from assay.store import Store
from assay.store.schema import tags
from assay.times import aware
from assay.track import begin_run, find_runs
from assay.track.find import RunRow, get_run
from assay.track.runs import plain_params

log = logging.getLogger(__name__)
REFERENCE = "assay.pipeline"
Watch = Callable[[StepEvent], None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run_id: str
    #: What the pipeline returned; None when the run was finished before.
    result: Any
    #: True when the run was finished before and nothing was done.
    already: bool = False


def run(
    store: Store,
    pipeline: Pipeline,
    asof: datetime,
    parameters: dict[str, Any] | None = None,
    *,
    again: bool = False,
    watch: Watch = lambda _: None,
) -> Outcome:
    """Run a pipeline for a moment. A run of that moment that was killed or failed goes on; a finished one is left.

    With `again` a new run of the same moment is begun. What the pipeline raises ends the run as failed.
    Raises `BadInput` for parameters it does not take, or that are not those with which an unfinished run was begun.
    """
    asof = aware(asof)
    run_id = f"{pipeline.name}@{_short(asof)}"
    known = _find(store, run_id)
    if again and known:
        run_id = next(one for one in (f"{run_id}#{n}" for n in count(2)) if _find(store, one) is None)
        known = None
    if known:
        _same(store, known, pipeline, parameters)
        if known.status == "finished":
            return Outcome(run_id, None, already=True)
    return _go(store, pipeline, run_id, asof, known.params if known else parameters or {}, watch)


def resume(store: Store, run_id: str, *, watch: Watch = lambda _: None) -> Outcome:
    """Go on with a run at its first unfinished step. Raises `NotFound` or `BadInput` for what can't be resumed."""
    row: RunRow = get_run(store, run_id)
    reference = _reference(store, run_id)
    if reference is None or row.asof is None:
        raise BadInput(
            f"{run_id} is a {row.kind} run, only runs of pipelines can be resumed", do="See them: assay runs"
        )
    if row.status == "finished":
        return Outcome(run_id, None, already=True)
    return _go(store, find_pipeline(reference, store.home.project), run_id, row.asof, row.params, watch)


def _find(store: Store, run_id: str) -> RunRow | None:
    return next(iter(find_runs(store, run_id=run_id)), None)


def _reference(store: Store, run_id: str) -> str | None:
    with store.database.read() as connection:
        return connection.execute(select(tags.c.value).filter_by(run_id=run_id, name=REFERENCE)).scalar()


def _same(store: Store, known: RunRow, pipeline: Pipeline, parameters: dict[str, Any] | None) -> None:
    """Refuse to mix steps of two pipelines, or of two sets of parameters, in one run."""
    reference = _reference(store, known.id)
    if reference not in (None, pipeline.reference):
        raise BadInput(
            f"{known.id} is a run of {reference}, not of {pipeline.reference}",
            do="Begin a new run with --again, or give the function another name.",
        )
    if known.status != "finished" and parameters and plain_params(parameters) != known.params:
        raise BadInput(
            f"{known.id} was begun with other parameters",
            f"then {known.params}",
            f"now {parameters}",
            do=f"Go on with it: assay resume {known.id}; or begin a new run with --again.",
        )


def _short(asof: datetime) -> str:
    """A moment to the minute, or as much more of it as it has."""
    parts = "microseconds" if asof.microsecond else "seconds" if asof.second else "minutes"
    return f"{asof.replace(tzinfo=None).isoformat(timespec=parts)}Z"


def _go(
    store: Store, pipeline: Pipeline, run_id: str, asof: datetime, parameters: dict[str, Any], watch: Watch
) -> Outcome:
    pipeline.arguments(asof, parameters)  # before anything is kept of a run that can't be
    with (
        alone(store.home, run_id),
        begin_run(store, pipeline.name, kind="pipeline", run_id=run_id, asof=asof) as tracked,
    ):
        tracked.set_tags({REFERENCE: pipeline.reference})
        tracked.log_params(parameters)
        token = active.set(Journal(store, run_id, watch))
        try:
            return Outcome(run_id, pipeline.call(asof, parameters))
        except AssayError:
            raise
        except KeyboardInterrupt:
            log.warning("stopped; it goes on with: assay resume %s", run_id)
            raise
        except Exception:
            log.exception("run %s failed", run_id)
            raise
        finally:
            active.reset(token)
