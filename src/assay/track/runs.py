"""A run: what was tried, with what, and what came of it."""

import json
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

import numpy as np
from sqlalchemy import select

from assay import context
from assay.errors import BadInput, NotFound, Unavailable, first_few
from assay.store import Store
from assay.store.schema import runs
from assay.times import now
from assay.track.events import (
    ArtifactKept,
    DataSeen,
    Ended,
    Measured,
    ParamsSet,
    Started,
    TagsSet,
    start,
)
from assay.track.experiments import check_name
from assay.track.outbox import outbox, pending
from assay.track.provenance import code_diff, code_version, environment, user

Kind = Literal["pipeline", "training", "tracked"]
Status = Literal["finished", "failed", "killed"]
#: Longer parameters are kept whole as an artifact; so does MLflow bound them.
LONGEST_PARAM = 6000
LONGEST_NAME = 250
LONGEST_ARTIFACT_NAME = 500
NOTE = "mlflow.note.content"


class Run:
    """One run that is being written; a `with` block finishes it, as failed with the reason when the block raises.

    What is logged is kept in a file of this machine at once, and in the database within a second or two: a killed
    process loses nothing, and a database that is away neither fails nor slows the run.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.id = run_id
        self._say = outbox(store)
        self._names: dict[str, str] = {}
        self._entered: Any = None
        #: Called when the run ends.
        self.closing: list[Callable[[], None]] = []

    def log_metric(self, name: str, value: float, step: int = 0) -> None:
        """Append one point to a metric; not a number and infinities are kept as they are.

        Raises `BadInput` for what is no number at all, and for a name that is empty or longer than 250 characters.
        """
        try:
            known = self._names[name]
            self._say.append(Measured(self.id, known, float(value), int(step), time_ns() // 1000))
        except (KeyError, TypeError, ValueError, OverflowError):
            self.log_metrics({name: value}, step=step)

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Append one point to each metric named, or to none of them: raises `BadInput` for a value that is no number."""
        odd = [f"{name} = {value!r}"[:200] for name, value in values.items() if not _is_number(value)]
        if odd:
            shown = first_few(odd, len(odd))
            raise BadInput(f"metrics of run {self.id} must be numbers", *shown, do="Leave it out, or log it as a tag.")
        for name in values:
            self._names[name] = _name("metric", name)
        at_us, number = time_ns() // 1000, _step(step)
        for name, value in values.items():
            self._say.append(Measured(self.id, name, float(value), number, at_us))

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Keep parameters; a name given again takes the new value. A text of over 6,000 characters becomes an artifact.

        Raises `BadInput` for a value that is not JSON.
        """
        plain = plain_params(values)
        kept = {_name("parameter", name): (value, str(value)) for name, value in plain.items()}
        for name, (value, text) in kept.items():
            if len(text) > LONGEST_PARAM:
                where = f"long-params/{name}.json"
                self.log_artifact(where, json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"))
                short = f"{text[: LONGEST_PARAM - 100]}... ({len(text):,} characters, whole in artifact {where})"
                kept[name] = (short, short)
        if kept:
            self._say.append(ParamsSet(self.id, kept))

    def log_param(self, name: str, value: Any) -> None:
        """Keep one parameter."""
        self.log_params({name: value})

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Keep tags; a name given again takes the new value."""
        if values:
            self._say.append(TagsSet(self.id, {_name("tag", name): storable(str(v)) for name, v in values.items()}))

    def set_tag(self, name: str, value: str) -> None:
        """Keep one tag."""
        self.set_tags({name: value})

    def note(self, text: str) -> None:
        """What people should know of this run, in Markdown; the next note takes its place."""
        self.set_tags({NOTE: text})

    def log_artifact(self, name: str, content: bytes | Path) -> str:
        """Keep a file under `name`; returns its digest, by which it is found whatever its name.

        Raises `NotFound` for a path that can't be read, `BadInput` for a name that is no relative path.
        """
        artifact_name(name)
        if isinstance(content, Path) and not content.is_file():
            raise NotFound(f"can't read {content} to keep it as {name!r}: there is no such file")
        try:
            stored = _keep(self.store.artifacts, content)
        except Unavailable:
            stored = _keep(pending(self.store.home.path), content)  # handed on once the store is back
        self._say.append(ArtifactKept(self.id, name, *stored))
        return stored[0]

    def log_data(self, identity: Mapping[str, Any]) -> None:
        """Keep what the data was: `provenance.data_identity`."""
        self._say.append(DataSeen(self.id, dict(identity)))

    def finish(self, status: Status = "finished", *, error: str | None = None) -> None:
        """Close the run."""
        while self.closing:
            self.closing.pop()()
        self._say.append(Ended(self.id, status, now(), error))
        self.flush()

    def flush(self) -> bool:
        """Bring what was logged into the database now; False, and later, when it does not answer."""
        return self._say.flush()

    def __enter__(self) -> Self:
        self._entered = context.run_id.set(self.id)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        context.run_id.reset(self._entered)
        if error is None:
            self.finish()
        else:
            self.finish("killed" if isinstance(error, KeyboardInterrupt) else "failed", error=reason(error))


def begin_run(
    store: Store,
    experiment: str,
    *,
    name: str | None = None,
    kind: Kind = "training",
    run_id: str | None = None,
    parent: str | None = None,
    asof: datetime | None = None,
) -> Run:
    """Begin a run, or go on with the one whose id is given; code, environment and command line are kept with it.

    Its name is that of its experiment unless given. When the database does not answer, the run is kept in the spool.
    Raises `NotFound` when there is no run `parent`, `BadInput` for a name that nothing can have.
    """
    check_name(experiment)
    run_id = run_id or f"{_slug(experiment)}-{uuid4().hex[:12]}"
    run = Run(store, run_id)
    project = store.home.project
    event = Started(
        run=run_id,
        experiment=experiment,
        name=name or experiment,
        kind=kind,
        at=now(),
        parent=parent,
        asof=asof,
        user=user(),
        code_version=code_version(project),
        command=storable(" ".join(sys.argv)),
        environment=_put(store, environment()),
        code_diff=_put(store, diff) if (diff := code_diff(project)) else None,
    )
    try:
        with store.database.begin() as connection:
            if parent and connection.execute(select(runs.c.id).where(runs.c.id == parent)).first() is None:
                raise NotFound(f"there is no run {parent!r} to be the parent of {run_id}", do="See them: assay runs")
            start(connection, event)
    except Unavailable:
        outbox(store).append(event)
    return run


def _put(store: Store, data: bytes) -> str:
    try:
        return store.artifacts.put(data)
    except Unavailable:
        return pending(store.home.path).put(data)


def _keep(artifacts: Any, content: bytes | Path) -> tuple[str, int]:
    if isinstance(content, bytes):
        return artifacts.put(content), len(content)
    stored = artifacts.put_file(content)
    return stored.digest, stored.size


def _slug(name: str) -> str:
    """The name as a part of ids and URLs.

    >>> _slug("Flight delay (ü)"), _slug("??")
    ('Flight-delay', 'run')
    """
    words = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else " " for sign in name).split()
    return "-".join(words)[:100] or "run"


def _name(what: str, name: str) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or "\0" in name:  # pyright: ignore[reportUnnecessaryIsInstance]
        shown = name[:50] if isinstance(name, str) else name  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadInput(f"{shown!r} can't be the name of a {what}", do=f"Use 1 to {LONGEST_NAME} characters.")
    return storable(name)


def artifact_name(name: str) -> str:
    """The name, when it is a relative path that leaves nothing. Raises `BadInput` otherwise."""
    odd = any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or "\0" in name
    if odd or len(name) > LONGEST_ARTIFACT_NAME or (len(name) > 1 and name[1] == ":"):
        raise BadInput(f"{name[:80]!r} can't be the name of an artifact", do="Use a relative path, like plots/roc.png.")
    return name


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


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, (str, bytes))


def _step(step: Any) -> int:
    try:
        number = int(step)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not -(2**63) <= number < 2**63:
        raise BadInput(f"{step!r} is not a step", do="Steps are whole numbers.")
    return number


def reason(error: BaseException) -> str:
    """Why something failed, as it is kept."""
    return storable(f"{type(error).__name__}: {error}".removesuffix(": "))


def storable(text: str) -> str:
    r"""A text with what no database holds spelt out: halves of characters, as in odd file names, and NUL.

    >>> storable("caf\udce9\0")
    'caf\\udce9\\0'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
