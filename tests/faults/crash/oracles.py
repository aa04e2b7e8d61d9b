"""Opens what a power cut left with Assay's own code, and compares it with what was promised."""

import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from assay.errors import AssayError
from assay.predictions import drain_predictions
from assay.predictions.bounds import compact_served
from assay.predictions.layout import table_name
from assay.store import Home, Store
from assay.store.schema import journal, params
from assay.store.shared import files_for_all
from assay.track import champion, find_version, get_run, ledger
from assay.track.aliases import standing_versions
from assay.track.outbox import deliver
from assay.track.points import history
from assay.track.purge import _referred
from crash.disk import Said
from crash.programs import ELSEWHERE, MODEL


def faults(home: Path, said: Sequence[Said]) -> list[str]:
    """Everything that is wrong with a home after a power cut."""
    with pytest.MonkeyPatch.context() as environment:
        if (home.parent / ELSEWHERE).exists():
            environment.setenv("ASSAY_ARTIFACTS", ELSEWHERE)
        return _faults(Store(Home(home)), said)


def _faults(store: Store, said: Sequence[Said]) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return [*_opened(store), *_kept(store, said), *_same_again(store)]
    except (AssayError, AssertionError, OSError) as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        store.database.dispose()


def _opened(store: Store) -> list[str]:
    found: list[str] = []
    store.database.upgrade()
    deliver(store)
    drain_predictions(store.home)
    with closing(sqlite3.connect(store.home.path / "assay.db")) as raw:
        whole = raw.execute("PRAGMA integrity_check").fetchone()[0]
    found += [] if whole == "ok" else [f"the database: {whole}"]
    ledger.verify(store)
    for digest in filter(None, _referred(store)):
        found += _artifact(store, digest)
    for path in store.home.tables.glob("*/*/*.parquet"):
        pq.ParquetFile(path).close()
    return found


def _kept(store: Store, said: Sequence[Said]) -> list[str]:
    newest: dict[str, Said] = {}
    every: list[Said] = []
    for one in said:  # later promises of these kinds hold the earlier ones
        if one.kind in ("points", "served", "champion", "filed", "filed_rows"):
            newest[one.kind if one.kind != "points" else f"points {one.value[0]}"] = one
        else:
            every.append(one)
    return [fault for one in (*newest.values(), *every) for fault in _PROMISES[one.kind](store, one.value)]


def _points(store: Store, value: Any) -> list[str]:
    run_id, count = value
    found = [(point.step, point.value) for point in history(store, run_id, "loss")]
    wanted = [(number, number / 2) for number in range(count)]
    faults = [f"point {one} is missing" for one in wanted if one not in found]
    twice = [one for one, times in Counter(found).items() if times > 1 or one[1] != one[0] / 2]
    return [*faults, *(f"point {one} is there twice, or was never logged" for one in twice)]


def _param(store: Store, value: Any) -> list[str]:
    run_id, name = value
    with store.database.read() as connection:
        row = connection.execute(select(params.c.text).filter_by(run_id=run_id, name=name)).first()
    return [] if row and row.text == "0.1" else [f"parameter {name} is {row}"]


def _ended(store: Store, run_id: Any) -> list[str]:
    status = get_run(store, run_id).status
    return [] if status == "finished" else [f"run {run_id} is {status}"]


def _artifact(store: Store, digest: Any) -> list[str]:
    try:
        store.artifacts.get(digest)
    except AssayError as error:
        return [error.what]
    return []


def _file(store: Store, name: Any) -> list[str]:
    return [] if (store.home.path / name).read_bytes() else [f"{name} is empty"]


def _served(store: Store, value: Any) -> list[str]:
    filed = (store.home.tables / table_name("served", MODEL)).glob("*/*.parquet")
    found = [row for path in filed for row in pq.ParquetFile(path).read().to_pylist()]  # DuckDB starts too slowly
    times = Counter(row["request_id"] for row in found)
    wrong = [row for row in found if row["request_id"] != f"r{round(row['input_miles'])}"]
    faults = [f"row {name} is there {times[name]} times" for name in value if times[name] != 1]
    faults += [f"row {name} is there {count} times" for name, count in times.items() if count > 1]
    return [*faults, *(f"a row is wrong: {row}" for row in wrong)]


def _filed_rows(store: Store, value: Any) -> list[str]:
    """Rows as readers see them, before and after the next pass of compaction."""
    model, names = value
    found: list[str] = []
    for when in ("now", "once the files are merged"):
        files = files_for_all(store.home, table_name("served", model))
        rows = [
            row for file in files for row in pq.ParquetFile(file.path).read(["request_id", "input_miles"]).to_pylist()
        ]
        times = Counter(row["request_id"] for row in rows)
        found += [f"row {name} is there {times[name]} times {when}" for name in names if times[name] != 1]
        found += [f"row {name} is there {count} times {when}" for name, count in times.items() if count > 1]
        found += [f"a row is wrong: {row}" for row in rows if row["request_id"] != f"r{round(row['input_miles'])}"]
        compact_served(store.home)
    return found


def _filed(store: Store, value: Any) -> list[str]:
    stands, coming = value  # while a part is written again, some days may have the new rows and some the old ones
    files = (store.home.tables / "trained.crash").glob("*/*.parquet")
    found = [value for path in files for value in pq.ParquetFile(path).read(["first"]).column("first").to_pylist()]
    right = found == [stands] * 2 if coming is None else coming in found or found.count(stands) in (2, 0)
    return [] if right and set(found) <= {stands, coming} else [f"the rows of a part are {found}, not {value}"]


def _ledger(store: Store, seal: Any) -> list[str]:
    return [] if any(line.hash == seal for line in ledger.entries(store)) else [f"line {seal[:8]} is missing"]


def _steps(store: Store, value: Any) -> list[str]:
    step, count = value
    with store.database.read() as connection:
        asked = select(journal.c.occurrence).where(journal.c.status == "finished", journal.c.step.endswith(step))
        found = Counter(connection.execute(asked).scalars())
    return [f"step {step} {n} is there {found[n]} times" for n in range(1, count + 1) if found[n] != 1]


def _version(store: Store, value: Any) -> list[str]:
    model, version = value
    bundle = find_version(store, model, version).bundle
    lines = [line for line in ledger.entries(store, model) if line.kind == "published" and line.bundle == bundle]
    return [*_artifact(store, bundle), *([] if len(lines) == 1 else [f"{len(lines)} lines publish version {version}"])]


def _champion(store: Store, value: Any) -> list[str]:
    model, version = value
    with store.database.read() as connection:
        moves = [(line.kind, line.decoded()["version"]) for line in ledger.moves(connection, model)]
    stands = [champion(store, model).version, standing_versions(moves)[-1]]
    return [] if stands == [version, version] else [f"champion and ledger say {stands}, not {version}"]


_PROMISES: dict[str, Callable[[Store, Any], list[str]]] = {
    "points": _points,
    "param": _param,
    "ended": _ended,
    "artifact": _artifact,
    "file": _file,
    "served": _served,
    "filed": _filed,
    "filed_rows": _filed_rows,
    "ledger": _ledger,
    "steps": _steps,
    "version": _version,
    "champion": _champion,
}


def _same_again(store: Store) -> list[str]:
    """Opening it once more changes nothing."""
    before = _whole(store)
    deliver(store)
    drain_predictions(store.home)
    return [] if _whole(store) == before else ["opening it twice changed it"]


def _whole(store: Store) -> tuple[list[list[str]], dict[str, int]]:
    with closing(sqlite3.connect(store.home.path / "assay.db")) as raw:
        tables = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        rows = [sorted(map(repr, raw.execute(f"SELECT * FROM {name}"))) for (name,) in tables]
    files = {
        str(path): path.stat().st_size for path in store.home.path.rglob("*") if path.suffix in (".parquet", ".seg")
    }
    return rows, files
