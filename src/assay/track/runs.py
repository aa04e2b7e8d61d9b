"""A run: what was tried, with what, and what came of it."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

import numpy as np
from sqlalchemy import Table, insert, select, update

from assay import context
from assay.errors import BadInput, NotFound, first_few
from assay.store import Store
from assay.store.database import upsert
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
        self._replace(params, plain_params(values))

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Keep tags; a name given again takes the new value."""
        self._replace(tags, values)

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Append one point to each metric named; raises `BadInput` for a value that is not a finite number."""
        odd = [f"{name} = {value!r}" for name, value in values.items() if not _finite(value)]
        if odd:
            shown = first_few(odd, len(odd))
            raise BadInput(f"metrics of run {self.id} must be finite numbers", *shown, do="Leave the point out.")
        at = now()
        points = [
            {"run_id": self.id, "name": name, "step": step, "value": float(value), "at": at}
            for name, value in values.items()
        ]
        if points:
            with self.store.database.begin() as connection:
                connection.execute(insert(metrics), points)

    def log_artifact(self, name: str, content: bytes | Path) -> str:
        """Keep a file under `name`; returns its digest, by which it is found whatever its name.

        Raises `NotFound` for a path that can't be read.
        """
        try:
            data = content.read_bytes() if isinstance(content, Path) else content
        except OSError as error:
            raise NotFound(f"can't read {content} to keep it as {name!r}: {error.strerror}") from None
        digest = self.store.artifacts.put(data)
        with self.store.database.begin() as connection:
            row = {"run_id": self.id, "name": name, "digest": digest, "size_bytes": len(data)}
            upsert(connection, run_artifacts, [row])
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
        rows = [{"run_id": self.id, "name": name, "value": value} for name, value in values.items()]
        with self.store.database.begin() as connection:
            upsert(connection, table, rows)

    def __enter__(self) -> Self:
        self._entered = context.run_id.set(self.id)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        context.run_id.reset(self._entered)
        if error is None:
            self.finish()
        else:
            self.finish("failed", error=reason(error))


def start_run(
    store: Store,
    name: str,
    *,
    kind: Kind = "training",
    run_id: str | None = None,
    parent: str | None = None,
    asof: datetime | None = None,
) -> Run:
    """Begin a run, or go on with the one whose id is given; code, environment and command line are kept with it.

    Raises `NotFound` when there is no run `parent`.
    """
    run_id = run_id or f"{name}-{uuid4().hex[:12]}"
    digest = store.artifacts.put(environment())
    code = code_version(store.home.project)
    row = {"id": run_id, "name": name, "kind": kind, "parent_id": parent, "status": "running", "asof": asof}
    row |= {"started_at": now(), "code_version": code, "environment": digest, "command": storable(" ".join(sys.argv))}
    with store.database.begin() as connection:
        if parent and connection.execute(select(runs.c.id).where(runs.c.id == parent)).first() is None:
            raise NotFound(f"there is no run {parent!r} to be the parent of {run_id}", do="See them: assay runs")
        upsert(connection, runs, [row], change={"status": "running", "ended_at": None, "error": None})
    return Run(store, run_id)


def plain_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON gives them back. Raises `BadInput`, naming each that JSON can't hold."""
    plain: dict[str, Any] = {}
    odd: list[str] = []
    for name, value in values.items():
        try:
            plain[name] = json.loads(json.dumps(value, allow_nan=False, default=_number))
        except (TypeError, ValueError) as error:
            odd.append(f"{name} = {value!r}: {error}")
    if odd:
        raise BadInput("parameters must be JSON", *first_few(odd, len(odd)), do="Log its text instead: str(value).")
    return plain


def _number(value: Any) -> Any:
    """A number of numpy as one of Python."""
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _finite(value: Any) -> bool:
    try:
        return isfinite(value)
    except (TypeError, OverflowError):
        return False


def reason(error: BaseException) -> str:
    """Why something failed, as it is kept."""
    return storable(f"{type(error).__name__}: {error}".removesuffix(": "))


def storable(text: str) -> str:
    r"""A text with what no database holds spelt out: halves of characters, as in odd file names, and NUL.

    >>> storable("caf\udce9\0")
    'caf\\udce9\\0'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
