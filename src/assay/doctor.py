"""What is installed, reachable, waiting, damaged and how large."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select

from assay.errors import AssayError
from assay.store import Store
from assay.store.database import HEAD
from assay.store.schema import metadata, runs
from assay.store.segment import QUARANTINE
from assay.times import now, span

#: Extras, by what is imported of them.
EXTRAS = {
    "lightgbm": "lightgbm",
    "sklearn": "skops",
    "xgboost": "xgboost",
    "onnx": "onnxruntime",
    "postgres": "psycopg",
    "s3": "obstore",
    "spark": "pyspark",
    "dbt": "jinja2",
    "exchange": "yaml",
}
LOW_DISK_BYTES = 1 << 30
#: So long a run may say nothing before it is taken for dead.
STALE_H = 48
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
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    said: str
    do: str = ""


def examine(store: Store) -> list[Finding]:
    """Everything that is worth a look; nothing is changed, and what is away does not hide the rest."""
    looks: tuple[Callable[[Store], Iterator[Finding]], ...] = (
        _installed,
        _database,
        _artifacts,
        _spools,
        _folders,
        _disk,
    )
    findings: list[Finding] = []
    for look in looks:
        try:
            findings += look(store)
        except AssayError as error:
            findings.append(Finding(look.__name__.strip("_"), "away", error.what, error.do))
    return findings


def _installed(_: Store) -> Iterator[Finding]:
    there = [name for name, module in EXTRAS.items() if find_spec(module)]
    absent = [name for name in EXTRAS if name not in there]
    yield Finding("extras", "fact", f"{', '.join(there) or 'none'}; not installed: {', '.join(absent) or 'none'}")


def _database(store: Store) -> Iterator[Finding]:
    url = store.database.engine.url
    yield Finding("database", "good", f"{url.render_as_string(hide_password=True)}, schema {HEAD}")
    with store.database.read() as connection:
        counts = {
            name: connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
            for name in _COUNTED
        }
        running = connection.execute(select(runs.c.id, runs.c.started_at).where(runs.c.status == "running")).all()
    yield Finding("rows", "fact", ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    old = [row.id for row in running if (now() - row.started_at).total_seconds() > STALE_H * 3600]
    if old:
        said = f"{len(old)} run since more than {STALE_H} hours, like {old[0]}"
        yield Finding("runs", "look", said, "Were they killed? Go on with: assay resume RUN")
    if url.get_backend_name() == "sqlite" and url.database:
        files = [Path(f"{url.database}{end}") for end in ("", "-wal")]
        yield Finding("database size", "fact", size(sum(file.stat().st_size for file in files if file.exists())))


def _artifacts(store: Store) -> Iterator[Finding]:
    count = total = 0
    for _, file_size, _ in store.artifacts.digests():
        count, total = count + 1, total + file_size
    yield Finding("artifacts", "good", f"{count:,} files, {size(total)}")


def _spools(store: Store) -> Iterator[Finding]:
    home = store.home
    for folder in sorted(home.spool.glob("*")) if home.spool.is_dir() else []:
        files = [path for path in folder.iterdir() if path.is_file()]
        total = sum(path.stat().st_size for path in files)
        if folder.name == QUARANTINE and files:
            yield Finding("damaged", "look", f"{len(files)} segments in {folder}", "Look at them, then remove them.")
        elif files:
            age = now().timestamp() - min(path.stat().st_mtime for path in files)
            late = age > 3600
            said = f"{len(files)} segments, {size(total)}, the oldest of {_ago(age)}"
            do = "Bring them in: assay runs, or assay drain for served rows" if late else ""
            yield Finding(f"waiting: {folder.name}", "look" if late else "fact", said, do)
    pending = [path for path in (home.path / "pending").rglob("*") if path.is_file()]
    if pending:
        yield Finding("waiting: files", "look", f"{len(pending)} for the artifact store", "Is it reachable?")


def _ago(seconds: float) -> str:
    from datetime import timedelta

    return f"{span(timedelta(seconds=max(seconds, 0)))} ago"


def _folders(store: Store) -> Iterator[Finding]:
    for folder in (store.home.logs, store.home.tables, store.home.code, store.home.path / "uploads"):
        if folder.is_dir():
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            yield Finding(f"{folder.name}", "fact", f"{len(sizes):,} files, {size(sum(sizes))}")


def _disk(store: Store) -> Iterator[Finding]:
    place = next(path for path in (store.home.path, *store.home.path.parents) if path.exists())
    free = shutil.disk_usage(place).free
    low = free < LOW_DISK_BYTES
    yield Finding("free disk", "look" if low else "good", size(free), "Free some, or: assay gc" if low else "")


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
