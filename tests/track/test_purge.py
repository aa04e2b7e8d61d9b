"""What is deleted goes for good, and nothing else does."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from assay.errors import NotFound
from assay.store import Store, find_home
from assay.store.schema import (
    journal,
    logged_model_artifacts,
    logged_models,
    metric_points,
    model_versions,
    run_artifacts,
    runs,
    what_ifs,
)
from assay.times import now
from assay.track import begin_run, find_runs
from assay.track.purge import purge
from assay.track.show import set_deleted

AT_ONCE = timedelta()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(find_home(tmp_path / ".assay"))


def aged(store: Store) -> None:
    """As if every file were two days old."""
    for path in (store.home.path / "artifacts").rglob("*"):
        os.utime(path, (time.time() - 2 * 86400,) * 2)


def run(store: Store, name: str, parent: str | None = None) -> str:
    made = begin_run(store, name, parent=parent)
    made.log_metric("auc", 0.5)
    made.log_artifact("own.txt", name.encode())
    made.log_artifact("shared.txt", b"shared")
    made.finish()
    return made.id


def test_a_deleted_run_goes_with_all_that_is_its_own(store: Store) -> None:
    stays, goes = run(store, "stays"), run(store, "goes")
    set_deleted(store, [goes], deleted=True)
    assert purge(store, older_than=timedelta(days=1)).runs == 0  # not yet
    aged(store)
    told = purge(store, older_than=AT_ONCE, dry_run=True)
    assert (told.runs, told.files) == (1, 0)
    assert [one.id for one in find_runs(store)] == [stays]
    done = purge(store, older_than=AT_ONCE)
    assert (done.runs, done.files, done.bytes) == (1, 1, 4)
    with store.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(metric_points)).scalar() == 1
        assert connection.execute(select(runs.c.id)).scalars().all() == [stays]
    assert purge(store, older_than=AT_ONCE).files == 0


def test_young_files_stay_because_their_row_may_still_come(store: Store) -> None:
    store.artifacts.put(b"just written")
    assert purge(store, older_than=AT_ONCE).files == 0
    aged(store)
    assert purge(store, older_than=AT_ONCE).files == 1


def test_parents_of_what_stays_and_makers_of_models_stay(store: Store) -> None:
    parent = run(store, "parent")
    child = run(store, "child", parent=parent)
    maker = run(store, "maker")
    row = {"model": "m", "version": 1, "bundle": "0" * 64, "run_id": maker, "stage": "None"}
    with store.database.begin() as connection:
        connection.execute(insert(model_versions).values(**row, created_at=now(), updated_at=now()))
    set_deleted(store, [parent, maker], deleted=True)
    assert purge(store, older_than=AT_ONCE).runs == 0
    set_deleted(store, [child], deleted=True)
    assert purge(store, older_than=AT_ONCE).runs == 2
    with store.database.read() as connection:
        assert connection.execute(select(runs.c.id)).scalars().all() == [maker]


def test_what_a_step_of_a_pipeline_returned_stays(store: Store) -> None:
    made = run(store, "pipeline")
    digest = store.artifacts.put(b"a table of a step")
    result = {"value": [{"$table": digest}]}
    row = {"run_id": made, "step": "load", "occurrence": 1, "status": "finished", "result": result}
    with store.database.begin() as connection:
        connection.execute(insert(journal).values(**row, started_at=now(), ended_at=now()))
    aged(store)
    purge(store, older_than=AT_ONCE)
    assert store.artifacts.get(digest) == b"a table of a step"


@pytest.mark.parametrize(
    "where", ["an artifact", "a logged model", "a version", "a what-if", "the environment", "a diff of code"]
)
def test_a_file_that_the_database_speaks_of_stays(store: Store, where: str) -> None:
    made = begin_run(store, "refers")
    made.finish()
    digest = store.artifacts.put(b"spoken of")
    at = {"created_at": now(), "updated_at": now()}
    with store.database.begin() as connection:
        if where == "an artifact":
            row = {"run_id": made.id, "name": "a.txt", "digest": digest, "size_bytes": 9}
            connection.execute(insert(run_artifacts).values(**row))
        elif where == "a logged model":
            model = {
                "id": "m-1",
                "experiment_id": 0,
                "name": "m",
                "model_type": "",
                "source_run_id": made.id,
                "status": 2,
            }
            connection.execute(insert(logged_models).values(**model, **at))
            row = {"model_id": "m-1", "name": "a.txt", "digest": digest, "size_bytes": 9}
            connection.execute(insert(logged_model_artifacts).values(**row))
        elif where == "a version":
            row = {"model": "m", "version": 1, "bundle": digest, "run_id": made.id, "stage": "None"}
            connection.execute(insert(model_versions).values(**row, **at))
        elif where == "a what-if":
            row = {"name": "w", "tick": "t", "model": "m", "kind": "published", "bundle": digest, "run_id": made.id}
            connection.execute(insert(what_ifs).values(**row, trained_until=now(), at=now(), body="{}"))
        else:
            column = {"the environment": runs.c.environment, "a diff of code": runs.c.code_diff}[where]
            connection.execute(update(runs).where(runs.c.id == made.id).values({column: digest}))
    other = store.artifacts.put(b"not spoken of")
    aged(store)
    purge(store, older_than=AT_ONCE)
    assert store.artifacts.get(digest) == b"spoken of"
    with pytest.raises(NotFound):
        store.artifacts.get(other)
