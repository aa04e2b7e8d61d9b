"""A run: what was tried, with what, and what came of it."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Any, Literal, Self

from assay import context
from assay.draw.shown import fragment, in_notebook
from assay.errors import BadInput, NotFound, Unavailable, first_few
from assay.store import Store, leases
from assay.times import now
from assay.track import user_files
from assay.track.datasets import describe
from assay.track.events import ArtifactKept, DataSeen, DatasetUsed, Ended, Measured, ParamsSet, TagsSet
from assay.track.outbox import outbox
from assay.track.pending import keep_file
from assay.track.values import artifact_name, is_number, key, plain_params, reason, storable, whole_step

Status = Literal["finished", "failed", "killed"]
#: Longer parameters are kept whole as an artifact; so does MLflow bound them.
LONGEST_PARAM = 6000
LONGEST_TAG = 4_000_000
#: So many of the longest, in their longest bytes, fit into a record of the spool.
_PARAMS_AT_ONCE = 300
NOTE = "mlflow.note.content"


class Run:
    """One run that is being written; a `with` block finishes it, as failed with the reason when the block raises.

    What is logged is kept in a file of this machine at once, and in the database within a second or two: a killed
    process loses nothing, and a database that is away neither fails nor slows the run. When the disk is full too,
    what is logged is dropped, counted and warned of; only files raise `Unavailable` then.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.id = run_id
        self._say = outbox(store)
        self._names: dict[str, str] = {}
        #: What was active when this run became so.
        self._outer: tuple[Run | None, str | None] | None = None
        self.ended = False
        #: Called when the run ends.
        self.closing: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        return fragment(*in_notebook(self))

    def log_metric(self, name: str, value: float, step: int = 0) -> None:
        """Append one point to a metric; not a number and infinities are kept as they are.

        Raises `BadInput` for what is no number at all, and for a name that is empty or longer than 250 characters.
        """
        try:
            known = self._names[name]
            if isinstance(value, (str, bytes)):  # of which float() makes numbers
                raise TypeError
            self._say.append(Measured(self.id, known, float(value), int(step), time_ns() // 1000))
        except (KeyError, TypeError, ValueError, OverflowError):
            self.log_metrics({name: value}, step=step)

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Append one point to each metric named, or to none of them: raises `BadInput` for a value that is no number."""
        odd = [f"{name} = {value!r}"[:200] for name, value in values.items() if not is_number(value)]
        if odd:
            shown = first_few(odd, len(odd))
            raise BadInput(f"metrics of run {self.id} must be numbers", *shown, do="Leave it out, or set it as a tag.")
        for name in values:
            self._names[name] = key("metric", name)
        at_us, number = time_ns() // 1000, whole_step(step)
        for name, value in values.items():
            self._say.append(Measured(self.id, name, float(value), number, at_us))

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Keep parameters; a name given again takes the new value. A text of over 6,000 characters becomes an artifact.

        Raises `BadInput` for a value that is not JSON.
        """
        plain = plain_params(values)
        kept = {key("parameter", name): (value, storable(str(value))) for name, value in plain.items()}
        for name, (value, text) in kept.items():
            if len(text) > LONGEST_PARAM:
                where = f"long-params/{name}.json"
                self.log_artifact(where, json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"))
                short = f"{text[: LONGEST_PARAM - 100]}... ({len(text):,} characters, whole in artifact {where})"
                kept[name] = (short, short)
        names = list(kept)
        for start in range(0, len(names), _PARAMS_AT_ONCE):
            some = names[start : start + _PARAMS_AT_ONCE]
            self._say.append(ParamsSet(self.id, {name: kept[name] for name in some}))

    def log_param(self, name: str, value: Any) -> None:
        """Keep one parameter."""
        self.log_params({name: value})

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Keep tags; a name given again takes the new value. Raises `BadInput` for one of over 4,000,000 characters."""
        kept = {key("tag", name): storable(str(value)) for name, value in values.items()}
        for name, value in kept.items():
            if len(value) > LONGEST_TAG:
                raise BadInput(f"tag {name!r} has {len(value):,} characters", do="Log it as a file: log_text.")
        for name, value in kept.items():
            self._say.append(TagsSet(self.id, {name: value}))

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
        name = artifact_name(name)
        if isinstance(content, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadInput(f"the text given as {name!r} is not a file", do="Give a Path, bytes, or use log_text.")
        if isinstance(content, Path) and not content.is_file():
            raise NotFound(f"can't read {content} to keep it as {name!r}: there is no such file")
        digest, size = keep_file(self.store, content)
        self._say.append(ArtifactKept(self.id, name, digest, size))
        return digest

    def log_folder(self, path: str | Path, name: str = "") -> int:
        """Keep every file of a folder, and of those in it, under `name`; returns how many.

        Raises `NotFound` when there is no such folder, `BadInput` for a file that can't be named; then none is kept.
        """
        files = user_files.files_of(Path(path), name)
        for called, file in files.items():
            self.log_artifact(called, file)
        return len(files)

    def log_text(self, name: str, text: str) -> str:
        """Keep a text as a file in UTF-8; returns its digest."""
        return self.log_artifact(name, text.encode("utf-8", "backslashreplace"))

    def log_dict(self, name: str, value: Any) -> str:
        """Keep what JSON can hold as a file `name`.json. Raises `BadInput`, saying what JSON can't hold."""
        return self.log_artifact(name, user_files.as_json(name, value))

    def log_table(self, name: str, frame: Any) -> str:
        """Keep a frame of pyarrow, pandas or polars, or a dict of columns, as a file `name`.parquet."""
        return self.log_artifact(name, user_files.as_parquet(name, frame))

    def log_figure(self, name: str, figure: Any) -> str:
        """Keep a figure of matplotlib, plotly or another that can save itself as what `name` ends in: svg, png, html."""
        return self.log_artifact(name, user_files.drawn(name, figure))

    def log_dataset(self, name: str, table: Any, context: str = "training", source: str = "") -> str:
        """Keep what data the run used, not the data: its columns, its rows' number and SHA-256, which is returned."""
        facts = describe(name, user_files.arrow(table), source)
        self._say.append(DatasetUsed(self.id, **facts, context=storable(context)))
        return facts["digest"]

    def log_data(self, identity: Mapping[str, Any]) -> None:
        """Keep what the data was: `provenance.data_identity`."""
        self._say.append(DataSeen(self.id, dict(identity)))

    def finish(self, status: Status = "finished", *, error: str | None = None) -> None:
        """Close the run. Raises `LeaseLost` when another process works on it now: then it is that one's to close."""
        try:
            while self.closing:
                self.closing.pop()()
            self._say.append(Ended(self.id, status, now(), error, self._token()))
        finally:
            self.ended = True
            if active.get() is self:
                innermost()
        self.flush()

    def _token(self) -> int | None:
        """The token of the lease under which this run is worked on, if there is one."""
        lease = leases.held()
        if lease is None or lease.name != f"run/{self.id}":
            return None
        with suppress(Unavailable), self.store.database.read() as connection:  # away: the token is compared later
            leases.confirm(connection)
        return lease.token

    def finish_as(self, error: BaseException | None) -> None:
        """Close the run as what ended it says: an error, Ctrl-C, or nothing; `sys.exit(0)` is no error."""
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.finish()
        else:
            self.finish("killed" if isinstance(error, KeyboardInterrupt) else "failed", error=reason(error))

    def flush(self) -> bool:
        """Bring what was logged into the database now; False, and later, when it does not answer."""
        return self._say.flush()

    def activate(self) -> Self:
        """Make this the run that `assay.log_metric` and its like act on, until it ends."""
        if self._outer is None:
            self._outer = (innermost(), context.run_id.get())
            active.set(self)
            context.run_id.set(self.id)
        return self

    def before(self) -> "tuple[Run | None, str | None]":
        """The run and the run id that were active before this run was."""
        return self._outer or (None, None)

    def __enter__(self) -> Self:
        return self.activate()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self.ended:
            self.finish_as(error)


active: ContextVar[Run | None] = ContextVar("run", default=None)


def innermost() -> Run | None:
    """The active run that was begun last, if any; those that ended meanwhile, perhaps in another thread, are left."""
    run = active.get()
    while run is not None and run.ended:
        run, run_id = run.before()
        active.set(run)
        context.run_id.set(run_id)
    return run
