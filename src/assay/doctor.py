"""What is installed, reachable, waiting, damaged and how large."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select

from assay.errors import AssayError, first_few
from assay.store import Store
from assay.store.delivery import known_faults
from assay.store.migrate import head
from assay.store.schema import metadata
from assay.store.segment import QUARANTINE
from assay.times import now, span
from assay.track.died import SILENT_AFTER, silent_runs

#: Extras, by what is imported of them.
EXTRAS = {
    "lightgbm": "lightgbm",
    "sklearn": "skops",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "onnx": "onnxruntime",
    "torch": "torch",
    "postgres": "psycopg",
    "s3": "obstore",
    "spark": "pyspark",
    "delta": "deltalake",
    "iceberg": "pyiceberg",
    "dbt": "jinja2",
    "exchange": "yaml",
    "system": "psutil",
}
LOW_DISK_BYTES = 1 << 30
#: Faulty segments that are named one by one.
FAULTS_SHOWN = 5
_COUNTED = (
    "experiments",
    "runs",
    "metric_series",
    "params",
    "tags",
    "run_artifacts",
    "logged_models",
    "model_versions",
)
State = Literal["good", "look", "away", "fact"]


@dataclass(frozen=True)
class HealthItem:
    """One thing that was looked at."""

    what: str
    state: State
    said: str
    do: str = ""


def examine(store: Store) -> list[HealthItem]:
    """Everything that is worth a look; nothing is changed, and what is away does not hide the rest."""
    looks: tuple[Callable[[Store], Iterator[HealthItem]], ...] = (
        _installed,
        _home,
        _database,
        _artifacts,
        _spools,
        _folders,
        _disk,
    )
    findings: list[HealthItem] = []
    for look in looks:
        try:
            findings += look(store)
        except AssayError as error:
            findings.append(HealthItem(look.__name__.strip("_"), "away", error.what, error.do))
    return findings


def _home(store: Store) -> Iterator[HealthItem]:
    if store.home.is_read_only:
        said = f"{store.home.path} is read-only: only commands that read work, and nothing is logged or drained"
        yield HealthItem("home", "fact", said)
    elif store.database.read_only:
        yield HealthItem("home", "fact", f"{store.database.engine.url.database} is read-only: commands that read work")


def _installed(_: Store) -> Iterator[HealthItem]:
    there = [name for name, module in EXTRAS.items() if find_spec(module)]
    absent = [name for name in EXTRAS if name not in there]
    yield HealthItem("extras", "fact", f"{', '.join(there) or 'none'}; not installed: {', '.join(absent) or 'none'}")


def _database(store: Store) -> Iterator[HealthItem]:
    url, where, found = store.database.engine.url, store.database.where, store.database.schema()
    if found and found != head():
        yield HealthItem(
            "database", "look", f"{where}, schema {found}; this Assay needs {head()}", "Run: assay upgrade"
        )
        return
    yield HealthItem("database", "good", f"{where}, {f'schema {found}' if found else 'not made yet'}")
    with store.database.read() as connection:
        counted = (select(func.count()).select_from(metadata.tables[name]).scalar_subquery() for name in _COUNTED)
        counts = dict(zip(_COUNTED, connection.execute(select(*counted)).one(), strict=True))
        silent = silent_runs(connection, now() - SILENT_AFTER)
    yield HealthItem("rows", "fact", ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if silent:
        shown = first_few([f"{run_id} since {last:%Y-%m-%d %H:%M}Z" for run_id, last in silent], len(silent))
        said = f"{len(silent):,} running without a sign of their clients: {', '.join(shown)}"
        yield HealthItem("silent runs", "look", said, "Close those that were killed: assay runs --finish-silent 1d")
    if url.get_backend_name() == "sqlite" and url.database:
        files = [Path(f"{url.database}{end}") for end in ("", "-wal")]
        yield HealthItem("database size", "fact", size(sum(file.stat().st_size for file in files if file.exists())))


def _artifacts(store: Store) -> Iterator[HealthItem]:
    count = total = 0
    for _, file_size, _ in store.artifacts.digests():
        count, total = count + 1, total + file_size
    yield HealthItem("artifacts", "good", f"{count:,} files, {size(total)}")


def _spools(store: Store) -> Iterator[HealthItem]:
    home = store.home
    for one in known_faults(home.spool)[:FAULTS_SHOWN]:
        said = f"{one.topic}/{one.segment} failed {one.times} times since {one.since}, for {one.user}: {one.reason}"
        yield HealthItem("not handed over", "look", said, "It is tried again; the log has the traceback.")
    for folder in sorted(path for path in home.spool.glob("*") if path.is_dir()):
        files = [path for path in folder.iterdir() if path.is_file()]
        total = sum(path.stat().st_size for path in files)
        if folder.name == QUARANTINE and files:
            yield HealthItem("damaged", "look", f"{len(files)} segments in {folder}", "Inspect them, then remove them.")
        elif files:
            age = now().timestamp() - min(path.stat().st_mtime for path in files)
            late = age > 3600
            said = f"{len(files)} segments, {size(total)}, the oldest of {_ago(age)}"
            do = "Drain them: assay runs, or assay drain for served rows" if late else ""
            yield HealthItem(f"waiting: {folder.name}", "look" if late else "fact", said, do)
    pending = [path for path in (home.path / "pending").rglob("*") if path.is_file()]
    if pending:
        yield HealthItem("waiting: files", "look", f"{len(pending)} for the artifact store", "Is it reachable?")


def _ago(seconds: float) -> str:
    from datetime import timedelta

    return f"{span(timedelta(seconds=max(seconds, 0)))} ago"


def _folders(store: Store) -> Iterator[HealthItem]:
    for folder in (store.home.logs, store.home.tables, store.home.code, store.home.path / "uploads"):
        if folder.is_dir():
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            yield HealthItem(f"{folder.name}", "fact", f"{len(sizes):,} files, {size(sum(sizes))}")


def _disk(store: Store) -> Iterator[HealthItem]:
    place = next(path for path in (store.home.path, *store.home.path.parents) if path.exists())
    free = shutil.disk_usage(place).free
    low = free < LOW_DISK_BYTES
    yield HealthItem("free disk", "look" if low else "good", size(free), "Free some, or: assay gc" if low else "")


def size(count: float) -> str:
    """A number of bytes in few characters.

    >>> size(512), size(3 << 20)
    ('512 B', '3.0 MiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
