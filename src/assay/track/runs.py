"""A run: what was tried, with what, and what came of it."""

import sys
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

from sqlalchemy import Table, delete, insert, select, update

from assay import context
from assay.errors import BadInput
from assay.store import Store
from assay.store.schema import metrics, params, run_artifacts, runs, tags
from assay.times import now
from assay.track.provenance import code_version, environment

Kind = Literal["pipeline", "training"]
Status = Literal["running", "finished", "failed"]


class Run:
    """One run that is being written; a `with` block finishes it, as failed with the reason when the block raises."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.id = run_id
        self._entered: Any = None

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Keep parameters; a name given again takes the new value. Raises `BadInput` for a value that is not JSON."""
        self._replace(params, values)

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Keep tags; a name given again takes the new value."""
        self._replace(tags, values)

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Append one point to each metric named; raises `BadInput` for a value that is not a finite number."""
        odd = [f"{name} = {value}" for name, value in values.items() if not isfinite(value)]
        if odd:
            raise BadInput(f"metrics of run {self.id} must be finite numbers", *odd, do="Leave the point out.")
        at = now()
        points = [
            {"run_id": self.id, "name": name, "step": step, "value": float(value), "at": at}
            for name, value in values.items()
        ]
        if points:
            with self.store.database.begin() as connection:
                connection.execute(insert(metrics), points)

    def log_artifact(self, name: str, content: bytes | Path) -> str:
        """Keep a file under `name`; returns its digest, by which it is found whatever its name."""
        data = content.read_bytes() if isinstance(content, Path) else content
        digest = self.store.artifacts.put(data)
        with self.store.database.begin() as connection:
            row = {"run_id": self.id, "name": name}
            connection.execute(delete(run_artifacts).filter_by(**row))
            connection.execute(insert(run_artifacts).values(**row, digest=digest, size_bytes=len(data)))
        return digest

    def log_data(self, identity: Mapping[str, Any]) -> None:
        """Keep what the data was: `provenance.data_identity`."""
        self._update(data_identity=dict(identity))

    def finish(self, status: Status = "finished", *, error: str | None = None) -> None:
        """Close the run."""
        self._update(status=status, ended_at=now(), error=error)

    def _update(self, **values: Any) -> None:
        with self.store.database.begin() as connection:
            connection.execute(update(runs).where(runs.c.id == self.id).values(**values))

    def _replace(self, table: Table, values: Mapping[str, Any]) -> None:
        if not values:
            return
        with self.store.database.begin() as connection:
            connection.execute(delete(table).where(table.c.run_id == self.id, table.c.name.in_(list(values))))
            rows = [{"run_id": self.id, "name": name, "value": value} for name, value in values.items()]
            connection.execute(insert(table), rows)

    def __enter__(self) -> Self:
        self._entered = context.run_id.set(self.id)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        context.run_id.reset(self._entered)
        if error is None:
            self.finish()
        else:
            self.finish("failed", error=f"{type(error).__name__}: {error}")


def start_run(
    store: Store,
    name: str,
    *,
    kind: Kind = "training",
    run_id: str | None = None,
    parent: str | None = None,
    asof: datetime | None = None,
) -> Run:
    """Begin a run, or go on with the one whose id is given; code, environment and command line are kept with it."""
    run_id = run_id or f"{name}-{uuid4().hex[:12]}"
    digest = store.artifacts.put(environment())
    code = code_version(store.home.project)
    with store.database.begin() as connection:
        known = connection.execute(select(runs.c.id).where(runs.c.id == run_id)).first()
        if known:
            connection.execute(
                update(runs).where(runs.c.id == run_id).values(status="running", ended_at=None, error=None)
            )
        else:
            connection.execute(
                insert(runs).values(
                    id=run_id,
                    name=name,
                    kind=kind,
                    parent_id=parent,
                    status="running",
                    asof=asof,
                    started_at=now(),
                    code_version=code,
                    environment=digest,
                    command=" ".join(sys.argv),
                )
            )
    return Run(store, run_id)
