"""Scores a table into a folder of Parquet files, a part at a time; a run that was killed goes on at its first open part."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.contract import fields
from assay.contract.formats.arrow import is_text
from assay.contract.formats.sql import quoted
from assay.errors import BadInput
from assay.model import LoadedModel
from assay.model.loaded import ERROR
from assay.scoring.served import log_part
from assay.store import Store
from assay.store.artifacts import write_whole
from assay.tables import Table, Target, using
from assay.tables.view import VIEW
from assay.times import now

#: What a folder of parts says of itself; readers of Parquet folders leave out names that begin so.
FACTS = "_scored.json"
#: Rows of a part: some MB of predictions.
PART = 250_000
WORKERS = 2
Watch = Callable[[int], None]


class Facts(msgspec.Struct, frozen=True):
    """Of which model and table the parts of a folder are."""

    model: str
    version: int
    bundle: str
    table: str
    #: Changes when the table does; empty for one that has no stable order, which is scored anew.
    identity: str
    part_rows: int
    #: When it was begun: what is logged of a part is the same when it is scored again.
    begun_at: datetime
    #: Rows and rows without a prediction, once all parts are there.
    rows: int | None = None
    refused: int | None = None


@dataclass(frozen=True)
class Scored:
    """What was scored."""

    folder: Path
    rows: int
    #: Rows that have no prediction; their `error` says why.
    refused: int
    #: Rows of parts that were there from before.
    kept: int


def _unseen(rows: int) -> None:
    """What watches when nobody does."""


def score(
    store: Store,
    model: LoadedModel,
    target: Target,
    folder: Path,
    *,
    log: bool = False,
    part_rows: int = PART,
    watch: Watch = _unseen,
) -> Scored:
    """Score a table into `folder`: files `part-00000.parquet` and so on, in the order of its rows.

    A row has its number in the table, the key and event time of the contract, a column for each number, text or class of the
    prediction, and `error`, which says why there is none. Memory holds some parts, whatever the table's size. With `log` the
    rows go into the prediction log too, once, as if they had been served.
    Raises `BadInput` when the folder holds something else or the table does not fit the contract, and as `open_table` does.
    """
    with using(target) as table:
        facts = Facts(
            model.version.model,
            model.version.version,
            model.bundle.digest,
            table.name,
            _identity(table),
            part_rows,
            now(),
        )
        known = _begin(folder, facts)
        if known.rows is not None and not log:
            watch(known.rows)
            return Scored(folder, known.rows, known.refused or 0, known.rows)
        rows = refused = kept = 0
        with ThreadPoolExecutor(WORKERS) as pool:
            for part in _ahead(pool, _tasks(store, model, table, folder, known, log=log)):
                rows, refused, kept = rows + part.rows, refused + part.refused, kept + part.kept
                watch(part.rows)
        _write(folder, msgspec.structs.replace(known, rows=rows, refused=refused))
    return Scored(folder, rows, refused, kept)


def _identity(table: Table) -> str:
    if not table.files:
        return ""
    told = [(path.name, stat.st_size, stat.st_mtime_ns) for path in table.files for stat in (path.stat(),)]
    return sha256(msgspec.json.encode(told)).hexdigest()[:16]


def _begin(folder: Path, facts: Facts) -> Facts:
    """What the folder says, which is `facts` from now on; parts of an unfinished run of other facts are removed."""
    path = folder / FACTS
    if not path.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"{folder} is there, and holds no scored table", do="Name another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, facts)
        return facts
    try:
        known = msgspec.json.decode(path.read_bytes(), type=Facts)
    except msgspec.DecodeError as error:
        raise BadInput(f"{path} is damaged: {error}", do="Name another folder, or remove this one.") from None
    same = msgspec.structs.replace(known, rows=None, refused=None, begun_at=facts.begun_at) == facts
    if same and facts.identity:
        return known
    if known.rows is not None or (known.model, known.table) != (facts.model, facts.table):
        raise BadInput(
            f"{folder} holds the rows of {known.table} as scored by {known.model}/{known.version}",
            do="Name another folder, or remove this one: the table or the model is another now.",
        )
    for part in folder.glob("part-*.parquet"):
        part.unlink()
    _write(folder, facts)
    return facts


def _write(folder: Path, facts: Facts) -> None:
    write_whole(folder / FACTS, msgspec.json.format(msgspec.json.encode(facts)))


@dataclass(frozen=True)
class _Part:
    rows: int
    refused: int
    kept: int = 0


def _tasks(
    store: Store, model: LoadedModel, table: Table, folder: Path, facts: Facts, *, log: bool
) -> Iterator[Callable[[], _Part]]:
    takes = model.bundle.model.takes
    names = [field.name for field in fields(takes)]
    if missing := [name for name in names if name not in table.kinds]:
        raise BadInput(f"{table.name} has no column {', '.join(missing)}", do=f"{takes.__name__} declares them.")
    query = f"SELECT {', '.join(map(quoted, names))} FROM {VIEW}"
    begins = [field.name for field in fields(takes) if field.role]
    first = 0
    for number, rows in enumerate(_cut(table.batches(query), facts.part_rows)):
        path = folder / f"part-{number:05}.parquet"
        at = facts.begun_at if log else None
        yield _task(store, model, rows, path, first, begins, at)
        first += len(rows)


def _task(
    store: Store,
    model: LoadedModel,
    rows: pa.Table,
    path: Path,
    first: int,
    begins: list[str],
    logged_at: datetime | None,
) -> Callable[[], _Part]:
    def work() -> _Part:
        if path.exists() and logged_at is None:
            known = pq.read_table(path, columns=[ERROR]).column(ERROR)
            return _Part(len(rows), len(rows) - known.null_count, len(rows))
        answers = model.answer(rows)
        scored = answers.table
        origin: dict[str, Any] = {"row": pa.array(np.arange(first, first + len(rows)))}
        origin |= {name: rows.column(name) for name in begins}
        write_whole(path, _parquet(origin, scored))
        if logged_at is not None:
            log_part(store, model, rows, answers, f"{path.parent.absolute()}/{path.name}", first, logged_at)
        return _Part(len(rows), len(rows) - scored.column(ERROR).null_count)

    return work


def _parquet(origin: dict[str, Any], scored: pa.Table) -> bytes:
    """A part as a file. Keys and numbers are nearly all different: a dictionary of them takes half of the time, for nothing."""
    said = {name: scored.column(name) for name in scored.column_names}
    whole = pa.table(origin | said)
    steps = [name for name, one in origin.items() if pa.types.is_integer(one.type) or pa.types.is_timestamp(one.type)]
    buffer = pa.BufferOutputStream()
    repeated: Any = [name for name, one in said.items() if is_text(one.type)]
    pq.write_table(
        whole,
        buffer,
        compression="zstd",
        use_dictionary=repeated,
        column_encoding=dict.fromkeys(steps, "DELTA_BINARY_PACKED"),
    )
    return buffer.getvalue().to_pybytes()


def _cut(batches: Iterator[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """Tables of `size` rows, the last shorter; one for a table without rows is not made."""
    waiting: deque[pa.RecordBatch] = deque()
    count = 0
    for batch in batches:
        rest = batch
        while count + len(rest) >= size:
            head = rest.slice(0, size - count)
            yield pa.Table.from_batches([*waiting, head])
            waiting.clear()
            rest, count = rest.slice(len(head)), 0
        if len(rest):
            waiting.append(rest)
            count += len(rest)
    if waiting:
        yield pa.Table.from_batches(list(waiting))


def _ahead(pool: ThreadPoolExecutor, tasks: Iterator[Callable[[], _Part]]) -> Iterator[_Part]:
    """The results of tasks in order, of which some more than there are workers are read ahead."""
    waiting: deque[Future[_Part]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for one in waiting:
            one.cancel()
