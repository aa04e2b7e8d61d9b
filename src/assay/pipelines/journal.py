"""The journal: one row for each finished step of a run, keyed by its name and how often it came before."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select

from assay.pipelines import results
from assay.store import Store, leases
from assay.store.database import retried, upsert
from assay.store.schema import journal
from assay.times import now
from assay.track.runs import reason

Event = Literal["started", "finished", "replayed", "failed"]


@dataclass(frozen=True)
class StepEvent:
    """Something that happened to a step."""

    step: str
    occurrence: int
    event: Event
    seconds: float = 0.0


@dataclass
class Journal:
    """The steps of one run."""

    store: Store
    run_id: str
    watch: Callable[[StepEvent], None] = lambda _: None
    _seen: Counter[str] = field(default_factory=Counter[str])

    def perform(self, step: str, work: Callable[[], Any]) -> Any:
        """The result of a step: from the journal when it is finished, else by doing `work`.

        Either way it is what the journal gives back, so that a resumed run sees what the first one saw.
        """
        self._seen[step] += 1
        occurrence = self._seen[step]
        kept = self._finished(step, occurrence)
        if kept is not None:
            value = results.decode(kept.result, self.store.artifacts)
            self.watch(StepEvent(step, occurrence, "replayed"))
            return value
        started = now()
        self.watch(StepEvent(step, occurrence, "started"))
        try:
            result = results.encode(work(), self.store.artifacts, step)
            value = results.decode(result, self.store.artifacts)
        except Exception as error:
            self._record(step, occurrence, "failed", started, error=reason(error))
            self.watch(StepEvent(step, occurrence, "failed", _seconds(started)))
            raise
        self._record(step, occurrence, "finished", started, result=result)
        self.watch(StepEvent(step, occurrence, "finished", _seconds(started)))
        return value

    def _finished(self, step: str, occurrence: int) -> Any:
        key = {"run_id": self.run_id, "step": step, "occurrence": occurrence, "status": "finished"}
        with self.store.database.read() as connection:
            leases.confirm(connection)  # before work is begun that another process may be doing
            return connection.execute(select(journal.c.result).filter_by(**key)).first()

    @retried
    def _record(
        self,
        step: str,
        occurrence: int,
        status: str,
        started: datetime,
        *,
        result: Any = None,
        error: str | None = None,
    ) -> None:
        row = {"run_id": self.run_id, "step": step, "occurrence": occurrence, "status": status}
        row |= {"result": result, "error": error, "started_at": started, "ended_at": now()}
        with self.store.database.begin() as connection:
            leases.confirm(connection)
            upsert(connection, journal, [row])


def _seconds(started: datetime) -> float:
    return (now() - started).total_seconds()
