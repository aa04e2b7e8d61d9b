"""What an older Assay kept is there after the upgrade."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from assay.errors import NotFound
from assay.store import Store, find_home
from assay.store.schema import runs
from assay.track import alias, find_runs
from assay.track.experiments import create, delete_experiment
from assay.track.points import history
from assay.track.purge import purge

OLD = """
INSERT INTO runs (id, name, kind, status, started_at, command) VALUES ('p', 'weekly', 'pipeline', 'finished', :at, 'assay run');
INSERT INTO runs (id, name, kind, parent_id, status, started_at) VALUES ('r', 'm', 'training', 'p', 'finished', :at);
INSERT INTO params (run_id, name, value) VALUES ('r', 'leaves', '31');
INSERT INTO params (run_id, name, value) VALUES ('r', 'why', '"so"');
INSERT INTO metrics (run_id, name, step, value, at) VALUES ('r', 'auc', 1, 0.5, :at);
INSERT INTO metrics (run_id, name, step, value, at) VALUES ('r', 'auc', 2, 0.75, :at);
INSERT INTO tags (run_id, name, value) VALUES ('p', 'assay.pipeline', 'flights:weekly');
INSERT INTO run_artifacts (run_id, name, digest, size_bytes) VALUES ('r', 'a.txt', 'd', 1);
INSERT INTO journal (run_id, step, occurrence, status, started_at, ended_at) VALUES ('p', 'load', 1, 'finished', :at, :at);
INSERT INTO model_versions (model, version, bundle, run_id, created_at) VALUES ('m', 1, 'b', 'r', :at);
INSERT INTO aliases (model, alias, version) VALUES ('m', 'champion', 1)
"""


def at_revision(url: str, revision: str, old: str = OLD) -> None:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    config = Config(attributes={})
    config.set_main_option("script_location", "assay.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for statement in filter(None, old.strip().split(";\n")):
            bound = {"at": "2026-01-02 03:04:05.000006"} if ":at" in statement else {}
            connection.execute(sa.text(statement), bound)
    engine.dispose()


def test_runs_of_0003_are_found_after_the_upgrade(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_revision(url, "0003")
    monkeypatch.setenv("ASSAY_DATABASE", url)
    store = Store(find_home(tmp_path / ".assay"))
    store.database.upgrade()
    child, parent = sorted(find_runs(store), key=lambda run: run.id, reverse=True)
    assert (child.experiment, child.parent_id, child.params) == ("m", "p", {"leaves": 31, "why": "so"})
    assert (parent.experiment, parent.tags) == ("weekly", {"assay.pipeline": "flights:weekly"})
    assert child.metrics == {"auc": 0.75}
    assert [(point.step, point.value) for point in history(store, "r", "auc")] == [(1, 0.5), (2, 0.75)]
    assert history(store, "r", "auc")[0].at.isoformat() == "2026-01-02T03:04:05.000006+00:00"
    assert [run.id for run in find_runs(store, "params.leaves = '31' AND metrics.auc > 0.7")] == ["r"]
    champion = alias(store, "m")
    assert champion
    assert (champion.version, champion.bundle, champion.run_id) == (1, "b", "r")
    store.database.dispose()


def test_experiments_of_0008_keep_their_numbers_and_none_is_given_twice(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_revision(url, "0003")
    at_revision(url, "0008", old="")
    monkeypatch.setenv("ASSAY_DATABASE", url)
    store = Store(find_home(tmp_path / ".assay"))
    before = numbers(store)
    store.database.upgrade()
    assert numbers(store) == before
    assert {run.experiment for run in find_runs(store)} == {"m", "weekly"}
    last = store.database.write(lambda connection: create(connection, "last"))
    assert last == max(before.values()) + 1
    with pytest.raises(NotFound, match="does not exist"):  # what refers to experiments is still looked at
        store.database.write(lambda c: c.execute(sa.update(runs).values(experiment_id=10**6)))
    delete_experiment(store, "last")
    assert purge(store, older_than=timedelta(0)).experiments == 1
    assert store.database.write(lambda connection: create(connection, "next")) == max(before.values()) + 2
    store.database.dispose()


def numbers(store: Store) -> dict[str, int]:
    with store.database.engine.connect() as connection:
        return {name: number for number, name in connection.execute(sa.text("SELECT id, name FROM experiments"))}
