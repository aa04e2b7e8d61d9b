"""Runs of pipelines: begun, killed, resumed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from assay.errors import AssayError, BadInput
from assay.pipelines.journal import Journal, StepEvent
from assay.pipelines.pipeline import Pipeline, find_pipeline
from assay.pipelines.step import active
from assay.store import Store
from assay.store.schema import tags
from assay.track import find_runs, start_run
from assay.track.find import RunRow, get_run

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
    """
    run_id = f"{pipeline.name}@{asof:%Y-%m-%dT%H:%MZ}"
    if again:
        taken = sum(row.id.split("#")[0] == run_id for row in find_runs(store, name=pipeline.name, limit=10_000))
        run_id = f"{run_id}#{taken + 1}" if taken else run_id
    known = find_runs(store, run_id=run_id)
    if known and known[0].status == "finished":
        return Outcome(run_id, None, already=True)
    return _go(store, pipeline, run_id, asof, parameters or (known[0].params if known else {}), watch)


def resume(store: Store, run_id: str, *, watch: Watch = lambda _: None) -> Outcome:
    """Go on with a run at its first unfinished step. Raises `NotFound` or `BadInput` for what can't be resumed."""
    row: RunRow = get_run(store, run_id)
    with store.database.read() as connection:
        reference = connection.execute(select(tags.c.value).filter_by(run_id=run_id, name=REFERENCE)).scalar()
    if reference is None or row.asof is None:
        raise BadInput(
            f"{run_id} is a {row.kind} run, only runs of pipelines can be resumed", do="See them: assay runs"
        )
    if row.status == "finished":
        return Outcome(run_id, None, already=True)
    return _go(store, find_pipeline(reference, store.home.project), run_id, row.asof, row.params, watch)


def _go(
    store: Store, pipeline: Pipeline, run_id: str, asof: datetime, parameters: dict[str, Any], watch: Watch
) -> Outcome:
    with start_run(store, pipeline.name, kind="pipeline", run_id=run_id, asof=asof) as tracked:
        tracked.set_tags({REFERENCE: pipeline.reference})
        tracked.log_params(parameters)
        token = active.set(Journal(store, run_id, watch))
        try:
            return Outcome(run_id, pipeline.call(asof, parameters))
        except AssayError:
            raise
        except Exception:
            log.exception("run %s failed", run_id)
            raise
        finally:
            active.reset(token)
