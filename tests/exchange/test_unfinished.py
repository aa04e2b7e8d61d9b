"""What can't come whole is named and tried again; what would overwrite something is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from assay.cli import cli
from assay.exchange import bring, open_mlflow
from assay.store import Store
from assay.store.schema import experiment_tags, model_versions, run_artifacts
from assay.track import By, aliases, begin_run, get_run, ledger
from assay.track.versions import register

pytest.importorskip("yaml")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _mlruns(folder: Path, run_id: str, model: str = "churn", owner: str = "a", alias: int = 1) -> Path:
    """A folder of MLflow with one run, two files and a registered model of two versions."""
    _write(
        folder / "1" / "meta.yaml", "experiment_id: '1'\nname: trips\nlifecycle_stage: active\ncreation_time: 1000\n"
    )
    _write(folder / "1" / "tags" / "owner", owner)
    run = folder / "1" / run_id
    _write(run / "meta.yaml", f"run_id: {run_id}\nrun_name: first\nstatus: 3\nstart_time: 1000\nend_time: 2000\n")
    _write(run / "params" / "rate", "0.5")
    _write(run / "artifacts" / "a.txt", "a")
    _write(run / "artifacts" / "deep" / "b.txt", "b")
    of = folder / "models" / model
    _write(of / "meta.yaml", f"name: {model}\ncreation_timestamp: 1000\ndescription: of {owner}\n")
    for version in (1, 2):
        said = f"name: {model}\nversion: {version}\nsource: mlruns/{owner}\ncreation_timestamp: 1000\n"
        _write(of / f"version-{version}" / "meta.yaml", said)
    _write(of / "aliases" / "champion", str(alias))
    return folder


def _files(store: Store) -> dict[str, bytes]:
    with store.database.read() as connection:
        rows = connection.execute(select(run_artifacts.c.name, run_artifacts.c.digest)).all()
    return {name: store.artifacts.get(digest) for name, digest in rows}


def _descriptions(store: Store) -> dict[str, str]:
    with store.database.read() as connection:
        rows = connection.execute(select(model_versions.c.model, model_versions.c.source)).all()
    return dict(rows)


def test_a_file_that_could_not_be_had_leaves_its_run_unfinished_and_comes_later(store: Store, tmp_path: Path) -> None:
    folder = _mlruns(tmp_path / "mlruns", "r1")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    file = folder / "1" / "r1" / "artifacts" / "deep" / "c.txt"
    file.symlink_to(secret)
    (file.parent / "away").symlink_to(tmp_path / "nowhere")
    summary = bring(store, open_mlflow(str(folder)))
    assert summary.unfinished == {
        "trips/first": [
            "deep/away: it can't be read: No such file or directory",
            "deep/c.txt: it is a symbolic link that leaves the folder, and is not followed",
        ]
    }
    assert (summary.runs, summary.artifacts, summary.complete) == (0, 2, False)
    assert _files(store) == {"a.txt": b"a", "deep/b.txt": b"b"}
    again = bring(store, open_mlflow(str(folder)))
    assert (again.runs, again.artifacts, list(again.unfinished)) == (0, 0, ["trips/first"])
    for path in (file, file.parent / "away"):
        path.unlink()
        path.write_text("mended")
    mended = bring(store, open_mlflow(str(folder)))
    assert (mended.runs, mended.artifacts, mended.complete) == (1, 2, True)
    assert _files(store)["deep/c.txt"] == b"mended"
    assert bring(store, open_mlflow(str(folder))).runs_unchanged == 1


def test_the_command_names_what_is_missing_and_exits_with_1(store: Store, tmp_path: Path) -> None:
    folder = _mlruns(tmp_path / "mlruns", "r1")
    (folder / "1" / "r1" / "artifacts" / "gone").symlink_to(tmp_path / "nowhere")
    command = ["import", "mlflow", str(folder), "--home", str(store.home.path)]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 1
    assert (
        "not finished; the same command tries these again:\n  trips/first (1)\n    gone: it can't be read"
        in done.output
    )
    (folder / "1" / "r1" / "artifacts" / "gone").unlink()
    done = CliRunner().invoke(cli, command)
    assert (done.exit_code, "1 runs came" in done.output) == (0, True)


def test_models_of_two_sources_never_overwrite_each_other(store: Store, tmp_path: Path) -> None:
    first, second = _mlruns(tmp_path / "a", "r1"), _mlruns(tmp_path / "b", "r2", owner="b", alias=2)
    bring(store, open_mlflow(str(first)))
    refused = bring(store, open_mlflow(str(second)))
    why = f"a registered model of that name came from {first.resolve().as_uri()}: import this one with --prefix"
    assert (refused.refused, refused.runs) == ({why: ["churn"]}, 1)
    assert refused.left_out == {"tags that the experiment has another value of here": ["trips: owner"]}
    assert _descriptions(store) == {"churn": "mlruns/a"}
    beside = bring(store, open_mlflow(str(second)), prefix="b-")
    assert (beside.refused, beside.registered_models) == ({}, 1)
    assert _descriptions(store) == {"churn": "mlruns/a", "b-churn": "mlruns/b"}
    with store.database.read() as connection:
        assert aliases.pointing(connection) == {"churn": [("champion", 1)], "b-churn": [("champion", 2)]}
        owners = connection.execute(select(experiment_tags.c.value).filter_by(name="owner")).scalars().all()
    assert owners == ["a"]
    assert bring(store, open_mlflow(str(first))).complete
    assert not bring(store, open_mlflow(str(second)), prefix="b-").changed


def test_what_is_published_here_is_not_moved_by_an_import(store: Store, tmp_path: Path) -> None:
    folder = _mlruns(tmp_path / "mlruns", "r1")
    bring(store, open_mlflow(str(folder)))
    with store.database.begin() as connection:
        made = register(connection, "churn", "ab" * 32, run_id=None, trained_until=None)
        aliases.move(connection, "churn", made.version, By("me"), kind="published")
    _mlruns(folder, "r1", alias=2)
    _write(folder / "models" / "churn" / "version-3" / "meta.yaml", "name: churn\nversion: 3\nsource: theirs\n")
    summary = bring(store, open_mlflow(str(folder)))
    assert summary.refused == {
        "a version of that number was made here": ["churn/3"],
        "the aliases of this model are moved here, by publishing or by hand, and stay": ["churn@champion"],
    }
    with store.database.read() as connection:
        assert aliases.pointed(connection, "churn") == made
        assert [line.kind for line in ledger.moves(connection, "churn")] == ["published"]


def test_runs_of_one_id_in_two_experiments_are_kept_apart(new_store: Callable[[str], Store], tmp_path: Path) -> None:
    store = new_store("here")
    bring(store, open_mlflow(str(_mlruns(tmp_path / "a", "same"))))
    other = _mlruns(tmp_path / "b", "same", model="other")
    _write(other / "1" / "meta.yaml", "experiment_id: '1'\nname: elsewhere\nlifecycle_stage: active\n")
    summary = bring(store, open_mlflow(str(other)))
    assert list(summary.refused.values()) == [["same"]]
    with begin_run(store, "mine", run_id="third"):
        pass
    assert bring(store, open_mlflow(str(_mlruns(tmp_path / "c", "third", model="c")))).refused == {
        "a run of that id was made here": ["third"]
    }


def test_hostile_values_are_named_and_stop_nothing(store: Store, tmp_path: Path) -> None:
    folder = _mlruns(tmp_path / "mlruns", "good")
    _mlruns(folder, "late")
    _write(
        folder / "1" / "late" / "meta.yaml", "run_id: late\nrun_name: late\nstatus: 3\nstart_time: 99999999999999999\n"
    )
    _mlruns(folder, "wide")
    _write(folder / "1" / "wide" / "meta.yaml", "run_id: wide\nrun_name: wide\nstatus: 3\nstart_time: 5\n")
    _write(folder / "1" / "wide" / "metrics" / "m", f"1 0.5 {2**70}\n")
    _write(folder / "1" / "good" / "params" / ("n" * 251), "long")
    summary = bring(store, open_mlflow(str(folder)))
    assert summary.runs == 1
    assert {name: why[0].partition(":")[0] for name, why in summary.unfinished.items()} == {
        "trips/late": "it has a time that no calendar has",
        "trips/wide": "metric m has a step or a time of more than 64 bits",
    }
    assert summary.left_out == {"names that are longer than Assay keeps": [f"trips/first: {'n' * 80}"]}


class _Meanwhile:
    """A source that gives a file list only after something else was made here under the ids that it brings."""

    def __init__(self, source: Any, make: Callable[[], None]) -> None:
        self._source, self._make = source, make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def files(self, of: Any) -> Any:
        self._make()
        self._make = lambda: None
        return self._source.files(of)


def test_what_is_made_here_while_it_comes_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    folder = _mlruns(tmp_path / "mlruns", "r1")

    def make() -> None:
        begin_run(store, "own", run_id="r1").finish()
        with store.database.begin() as connection:
            register(connection, "churn", "ab" * 32, run_id=None, trained_until=None)

    summary = bring(store, cast("Any", _Meanwhile(open_mlflow(str(folder)), make)))
    assert summary.refused == {
        "a run of that id was made here": ["r1"],
        "a registered model of that name was made here: import this one with --prefix": ["churn"],
    }
    assert (summary.runs, summary.registered_models, get_run(store, "r1").experiment) == (0, 0, "own")
