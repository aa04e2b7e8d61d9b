"""Another store of Assay comes over whole: every column of every table that is brought, row by row."""

import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from sqlalchemy import Table, insert, select, update

from assay.cli import cli
from assay.errors import BadInput, NotFound
from assay.exchange import bring, open_assay
from assay.store import Home, Store
from assay.store import schema as s
from assay.times import now
from assay.track import By, aliases, begin_run, ledger
from assay.track.points import Point, add_points
from assay.track.versions import register

BROUGHT = (
    s.experiments, s.experiment_tags, s.runs, s.params, s.tags, s.run_artifacts, s.run_datasets, s.run_models,
    s.logged_models, s.logged_model_params, s.logged_model_tags, s.logged_model_metrics, s.logged_model_artifacts,
    s.registered_models, s.registered_model_tags, s.model_versions, s.model_version_tags, s.aliases,
)  # fmt: skip
NUMBERED = {"experiment_id", "dataset_id"}  # and the ids of rows that have no name of their own


def _filled(store: Store) -> str:
    with begin_run(store, "trips", name="párent 🛫") as parent:
        parent.log_params(
            {"n": 31, "rate": 0.1, "on": True, "none": None, "deep": {"a": [1, {"b": "ü"}]}, "most": 2**63 - 1}
        )
        parent.set_tags({"season": "winter", "odd\n": "läng" * 2000})
        parent.log_dataset("rows", pa.table({"x": [1.0, 2.0]}), context="training")
        for name, content in {
            "plots/roc [1].txt": b"a picture",
            "empty": b"",
            "ü🛫.bin": bytes(range(256)) * 9000,
        }.items():
            parent.log_artifact(name, content)
        with begin_run(store, "trips", name="child", parent=parent.id) as child:
            child.log_metrics({"loss": 0.25}, step=3)
    with pytest.raises(ValueError, match="no"), begin_run(store, "gone", name="failed"):
        raise ValueError("no")
    at = 1_700_000_000_123_456
    odd = [
        ("nan", math.nan, 0),
        ("inf", math.inf, 1),
        ("-inf", -math.inf, 1),
        ("zero", -0.0, 2),
        ("small", 5e-324, -(2**63)),
    ]
    points = [Point(name, value, step, at + number) for number, (name, value, step) in enumerate(odd)]
    points += [
        Point("twice", 1.0, 5, at),
        Point("twice", 2.0, 5, at),
        Point("most", 1.7976931348623157e308, 2**63 - 1, -(2**63)),
    ]
    made = datetime(2026, 5, 1, 12, 0, 0, 123457, tzinfo=UTC)
    digest = store.artifacts.put(b"the difference")
    bundle = store.artifacts.put(b"a bundle")
    with store.database.begin() as connection:
        add_points(connection, parent.id, points)
        more = {
            "asof": made,
            "code_diff": digest,
            "environment": digest,
            "data_identity": {"rows": 3},
            "kind": "training",
        }
        connection.execute(
            update(s.runs).where(s.runs.c.id == parent.id).values(more | {"artifact_uri": "s3://there/it/is"})
        )
        connection.execute(update(s.runs).where(s.runs.c.id == child.id).values(deleted_at=made))
        experiment = connection.execute(select(s.experiments.c.id).filter_by(name="trips")).scalar_one()
        connection.execute(insert(s.experiment_tags).values(experiment_id=experiment, name="owner", value="me"))
        times = {"created_at": made, "updated_at": made + timedelta(microseconds=7)}
        logged = {
            "id": "m-1",
            "experiment_id": experiment,
            "name": "clf",
            "model_type": "t",
            "source_run_id": parent.id,
            "status": 2,
        }
        connection.execute(insert(s.logged_models).values(logged | times | {"deleted_at": made}))
        connection.execute(insert(s.logged_model_params).values(model_id="m-1", name="solver", value="lbfgs"))
        connection.execute(insert(s.logged_model_tags).values(model_id="m-1", name="stage", value="try"))
        connection.execute(
            insert(s.logged_model_artifacts).values(model_id="m-1", name="MLmodel", digest=digest, size_bytes=14)
        )
        connection.execute(insert(s.run_models).values(run_id=parent.id, model_id="m-1", direction="output", step=4))
        measured = {
            "model_id": "m-1",
            "run_id": parent.id,
            "step": 1,
            "at_us": at,
            "dataset_name": "d",
            "dataset_digest": "1",
        }
        for name, value in (("auc", 0.5), ("odd", None), ("far", math.inf)):
            connection.execute(insert(s.logged_model_metrics).values(measured | {"name": name, "value": value}))
        for number in range(2):
            version = register(connection, "delay", bundle if number else digest, run_id=parent.id, trained_until=made)
        aliases.move(connection, "delay", version.version, By("me"), kind="published")
        connection.execute(insert(s.model_version_tags).values(model="delay", version=1, name="v", value="1"))
        connection.execute(insert(s.registered_model_tags).values(model="delay", name="owner", value="us"))
        change = {
            "description": "d",
            "stage": "Staging",
            "user": "me",
            "source": "x",
            "run_link": "l",
            "logged_model_id": "m-1",
        }
        connection.execute(update(s.model_versions).where(s.model_versions.c.version == 1).values(change))
        connection.execute(update(s.registered_models).values(description="is it late?"))
    with store.database.begin() as connection:
        connection.execute(update(s.experiments).where(s.experiments.c.name == "gone").values(deleted_at=made))
    return parent.id


def _seen(store: Store) -> dict[str, list[str]]:
    def rows(table: Table) -> list[str]:
        kept = [
            c
            for c in table.columns
            if c.name not in NUMBERED and (c.name != "id" or table in (s.runs, s.logged_models))
        ]
        asked = select(*kept)
        if "name" in table.columns:
            asked = asked.where(table.c.name.not_like("assay.imported%"), table.c.name != "Default")
        return sorted(repr(tuple(row)) for row in connection.execute(asked))

    p, m, d, u = s.metric_points.c, s.metric_series.c, s.datasets.c, s.run_datasets.c
    with store.database.read() as connection:
        points = select(m.run_id, m.name, p.step, p.at_us, p.value, p.is_nan).join_from(
            s.metric_series, s.metric_points, m.id == p.series_id
        )
        used = select(u.run_id, u.context, d.name, d.digest, d.source_type, d.source, d["schema"], d.profile).join_from(
            s.run_datasets, s.datasets, d.id == u.dataset_id
        )
        newest = select(m.run_id, m.name, m.step, m.at_us, m.value, m.is_nan)
        found = {table.name: rows(table) for table in BROUGHT}
        for name, asked in {"points": points, "datasets": used, "newest": newest}.items():
            found[name] = sorted(repr(tuple(row)).replace("-0.0", "0.0") for row in connection.execute(asked))
        inside = select(s.runs.c.id, s.experiments.c.name).join_from(s.runs, s.experiments)
        return found | {"inside": sorted(repr(tuple(row)) for row in connection.execute(inside))}


def _digests(store: Store) -> dict[str, bytes]:
    with store.database.read() as connection:
        named = [
            *connection.execute(select(s.run_artifacts.c.digest)).scalars(),
            *connection.execute(select(s.logged_model_artifacts.c.digest)).scalars(),
            *connection.execute(
                select(s.model_versions.c.bundle).where(s.model_versions.c.bundle.is_not(None))
            ).scalars(),
            *connection.execute(select(s.runs.c.code_diff).where(s.runs.c.code_diff.is_not(None))).scalars(),
            *connection.execute(select(s.runs.c.environment).where(s.runs.c.environment.is_not(None))).scalars(),
        ]
    return {digest: store.artifacts.get(digest) for digest in named}


@pytest.mark.parametrize("way", ["sqlite to sqlite", "sqlite to postgresql", "postgresql to sqlite"])
def test_another_store_comes_whole_and_once(
    way: str,
    new_store: Callable[[str], Store],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = request.getfixturevalue("new_postgres") if "postgresql" in way else ""
    if way.startswith("postgresql"):
        monkeypatch.setenv("ASSAY_DATABASE", url)
    store = new_store("there")
    _filled(store)
    before, files = _seen(store), _digests(store)
    assert len(before["points"]) == 9
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    if way.endswith("postgresql"):
        monkeypatch.setenv("ASSAY_DATABASE", url)
    here = new_store("here")
    place, beside = (url, str(store.home.artifacts)) if way.startswith("postgresql") else (str(store.home.path), None)
    summary = bring(here, open_assay(place, artifacts=beside))
    assert (summary.runs, summary.points, summary.registered_models, summary.complete) == (3, 9, 1, True), summary
    assert summary.left_out_counts["lines of the ledger, which is sealed where it was written"] == 1
    after = _seen(here)
    assert {what: (rows, before[what]) for what, rows in after.items() if rows != before[what]} == {}
    assert _digests(here) == files
    [line] = ledger.entries(here)
    assert (line.kind, line.decoded()["through"], line.decoded()["version"]) == ("moved", "assay import", 2)
    again = bring(here, open_assay(place, artifacts=beside))
    assert (again.changed, again.runs_unchanged) == (False, 3)
    assert _seen(store) == before


def test_a_champion_follows_its_source_until_it_is_moved_here(new_store: Callable[[str], Store]) -> None:
    there, here = new_store("there"), new_store("here")
    _filled(there)
    bring(here, open_assay(str(there.home.path)))
    with there.database.begin() as connection:
        aliases.move(connection, "delay", 1, By("me"), kind="rolled back")
        connection.execute(update(s.registered_models).values(updated_at=now()))
    assert bring(here, open_assay(str(there.home.path))).complete
    with here.database.begin() as connection:
        assert aliases.pointed(connection, "delay").version == 1
        aliases.move(connection, "delay", 2, By("a person here"))
    with there.database.begin() as connection:
        connection.execute(update(s.registered_models).values(updated_at=now()))
    summary = bring(here, open_assay(str(there.home.path)))
    assert list(summary.refused.values()) == [["delay@champion"]]
    with here.database.read() as connection:
        assert aliases.pointed(connection, "delay").version == 2


def test_a_damaged_or_absent_artifact_is_named_and_comes_later(
    new_store: Callable[[str], Store], tmp_path: Path
) -> None:
    there, here = new_store("there"), new_store("here")
    _filled(there)
    shutil.copytree(there.home.artifacts, tmp_path / "good")
    for path in there.home.artifacts.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    command = ["import", "assay", str(there.home.path), "--home", str(here.home.path)]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 1
    assert "trips/párent 🛫" in done.output
    assert "registered model delay" in done.output
    shutil.rmtree(there.home.artifacts)
    shutil.copytree(tmp_path / "good", there.home.artifacts)
    assert CliRunner().invoke(cli, command).exit_code == 0
    assert _digests(here) == _digests(there)
    assert _seen(here) == _seen(there)


def test_other_places_are_refused(new_store: Callable[[str], Store], tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no assay\.db"):
        open_assay(str(tmp_path))
    with pytest.raises(BadInput, match="the place of the artifacts"):
        open_assay(f"sqlite:///{tmp_path}/assay.db")
    store = Store(Home(tmp_path / "old"))
    with store.database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    store.database.dispose()
    with pytest.raises(BadInput, match="is at schema 0001"):
        open_assay(str(tmp_path / "old"))
