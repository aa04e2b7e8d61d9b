"""Runs of pipelines: begun, killed, resumed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import select

from assay import context
from assay.errors import AssayError, BadInput
from assay.pipelines.journal import Journal, StepEvent
from assay.pipelines.lease import leased
from assay.pipelines.past import ALONE, is_past, run_name, scope_of
from assay.pipelines.pipeline import Pipeline, find_pipeline
from assay.pipelines.step import active
from assay.store import Store
from assay.store.schema import tags
from assay.times import aware
from assay.track import begin_run, find_runs
from assay.track.find import RunRow, get_run
from assay.track.outbox import outbox
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

    @property
    def what_if(self) -> str:
        """The what-if that it was a run of; empty for a run that could move production."""
        return scope_of(self.run_id).name


def run(
    store: Store,
    pipeline: Pipeline,
    asof: datetime,
    parameters: dict[str, Any] | None = None,
    *,
    again: bool = False,
    publish: bool = False,
    replay: str = "",
    watch: Watch = lambda _: None,
) -> Outcome:
    """Run a pipeline for a moment. A run of that moment that was killed or failed goes on; a finished one is left.

    A run of the past is a what-if: production stays as it is, unless `publish`. So is each run of a replay, which all
    have the mark `replay` (`replay_name`). With `again` a new run of the same moment is begun. What the pipeline raises
    ends the run as failed.
    Raises `BadInput` for parameters it does not take, or that are not those with which an unfinished run was begun.
    """
    asof = aware(asof)
    mark = "" if publish else replay or (ALONE if is_past(pipeline.schedule, pipeline.tz, asof) else "")
    run_id = run_name(pipeline.name, asof, mark)
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
            f"{run_id} is a {row.kind} run, only runs of pipelines can be resumed", do="List them: assay runs"
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
            do="Start a new run with --again, or give the function another name.",
        )
    if known.status != "finished" and parameters and plain_params(parameters) != known.params:
        raise BadInput(
            f"{known.id} was started with other parameters",
            f"then {known.params}",
            f"now {parameters}",
            do=f"Continue it: assay resume {known.id}; or start a new run with --again.",
        )


def _go(
    store: Store, pipeline: Pipeline, run_id: str, asof: datetime, parameters: dict[str, Any], watch: Watch
) -> Outcome:
    pipeline.arguments(asof, parameters)  # before anything is kept of a run that can't be
    with leased(store, run_id):
        known = _find(store, run_id)
        if known and known.status == "finished":  # by the process that held the lease until now
            return Outcome(run_id, None, already=True)
        return _work(store, pipeline, run_id, asof, parameters, watch)


def _work(
    store: Store, pipeline: Pipeline, run_id: str, asof: datetime, parameters: dict[str, Any], watch: Watch
) -> Outcome:
    with (
        context.working_in(scope_of(run_id)),
        begin_run(store, pipeline.name, kind="pipeline", run_id=run_id, asof=asof) as tracked,
    ):
        tracked.set_tags({REFERENCE: pipeline.reference})
        tracked.log_params(parameters)
        outbox(store).flush(wait_s=1.0)  # another machine that takes the run over must know what it is of
        token = active.set(Journal(store, run_id, watch))
        try:
            return Outcome(run_id, pipeline.call(asof, parameters))
        except AssayError:
            raise
        except KeyboardInterrupt:
            log.warning("stopped; continue it with: assay resume %s", run_id)
            raise
        except Exception:
            log.exception("run %s failed", run_id)
            raise
        finally:
            active.reset(token)
