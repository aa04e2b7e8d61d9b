"""What a real MLflow holds comes over whole: from its server, its database and its folder."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from shutil import copy
from threading import Thread

import pytest
from counterparts import Mlflow
from seen import said, seen

from assay.errors import BadInput, NotFound, Unavailable
from assay.exchange import bring, open_mlflow
from assay.exchange.records import FROM, WHOLE
from assay.store import Store
from assay.track import get_run


def test_all_of_a_server_comes(store: Store, mlflow: Mlflow, server: str) -> None:
    summary = bring(store, open_mlflow(server))
    truth = said(mlflow.truth)
    assert seen(store) == truth
    assert (summary.experiments, summary.runs, summary.points) == (3, 6, 3010)
    assert (summary.logged_models, summary.registered_models, summary.left_out) == (1, 2, {})
    parents = {run["name"]: get_run(store, one).parent_id for one, run in truth["runs"].items()}
    [parent] = [one for one, run in truth["runs"].items() if run["name"] == "parent"]
    assert parents["child 0"] == parents["child 1"] == parent
    assert parents["failed"] is None


def test_a_second_import_changes_nothing(store: Store, server: str) -> None:
    bring(store, open_mlflow(server))
    before = seen(store)
    again = bring(store, open_mlflow(server))
    assert not again.changed
    assert (again.runs_unchanged, again.points, again.artifacts) == (6, 0, 0)
    assert seen(store) == before


def test_a_database_gives_what_its_server_gives(store: Store, mlflow: Mlflow) -> None:
    source = f"sqlite:///{mlflow.database}"
    before = mlflow.database.read_bytes()
    bring(store, open_mlflow(source, artifacts=mlflow.artifacts))
    assert seen(store) == said(mlflow.truth)
    assert not bring(store, open_mlflow(source, artifacts=mlflow.artifacts)).changed
    assert mlflow.database.read_bytes() == before


def test_files_that_only_a_server_has_are_named(store: Store, mlflow: Mlflow) -> None:
    summary = bring(store, open_mlflow(f"sqlite:///{mlflow.database}"))
    [why] = summary.unfinished["flights/parent"]
    assert "--artifacts" in why
    assert summary.runs == 0  # whether they had files is not known
    assert bring(store, open_mlflow(f"sqlite:///{mlflow.database}", artifacts=mlflow.artifacts)).complete
    assert seen(store) == said(mlflow.truth)


def test_files_in_object_stores_are_named(store: Store, mlflow: Mlflow, tmp_path: Path) -> None:
    copy(mlflow.database, tmp_path / "s3.db")
    with closing(sqlite3.connect(tmp_path / "s3.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = 's3://bucket/' || run_uuid WHERE name = 'parent'")
    summary = bring(store, open_mlflow(f"sqlite:///{tmp_path / 's3.db'}", artifacts=mlflow.artifacts))
    assert summary.unfinished == {"flights/parent": ["its files are in s3://bucket, which is not read"]}
    assert summary.runs == 5


def test_a_folder_comes_whole_and_once(store: Store, mlflow_python: str, mlflow: Mlflow, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    mlflow.run(folder.as_uri(), "fill")
    truth = mlflow.run(folder.as_uri(), "read")
    summary = bring(store, open_mlflow(str(folder)))
    assert summary.left_out == {}
    assert seen(store) == said(truth)
    assert not bring(store, open_mlflow(str(folder))).changed
    folder.rename(tmp_path / "moved")
    assert bring(store, open_mlflow(str(tmp_path / "moved"))).artifacts == 0


def test_what_changed_at_the_source_comes_too(store: Store, mlflow: Mlflow, own_server: str) -> None:
    bring(store, open_mlflow(own_server))
    mlflow.run(own_server, "add")
    summary = bring(store, open_mlflow(own_server))
    assert (summary.runs, summary.runs_changed, summary.runs_unchanged) == (0, 1, 5)
    assert (summary.points, summary.artifacts, summary.registered_models) == (1, 1, 1)
    assert seen(store) == said(mlflow.run(own_server, "read"))
    assert not bring(store, open_mlflow(own_server)).changed


def test_only_the_experiments_named_come(store: Store, server: str) -> None:
    summary = bring(store, open_mlflow(server), only=["gone"])
    assert (summary.experiments, summary.runs, summary.registered_models) == (1, 0, 0)
    with pytest.raises(NotFound, match="did you mean flights"):
        bring(store, open_mlflow(server), only=["flihgts"])


def test_a_killed_import_goes_on(
    new_store: Callable[[str], Store], mlflow: Mlflow, server: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "assay", "import", "mlflow", server, "--home", str(tmp_path / "killed")]
    made = new_store("killed").database
    made.upgrade()
    made.dispose()
    killed = _kill_when_some_came(command, tmp_path / "killed" / "assay.db")
    assert 0 < killed < 6
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "runs came" in done.stdout
    assert seen(new_store("killed")) == said(mlflow.truth)
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert again.stdout.startswith("nothing has changed")


def _kill_when_some_came(command: list[str], path: Path) -> int:
    """Kill an import while a run is on its way; how many runs had begun."""
    with closing(sqlite3.connect(path)) as database:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            begun, whole = (
                database.execute("SELECT count(*) FROM tags WHERE name = ?", [name]).fetchone()[0]
                for name in (FROM, WHOLE)
            )
            if begun > whole:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return begun
            time.sleep(0.001)
    pytest.fail("the import ended before it could be killed")


def test_a_run_made_here_is_left_alone(store: Store, server: str, mlflow: Mlflow) -> None:
    from assay.track import begin_run

    mine = next(iter(mlflow.truth["runs"]))
    with begin_run(store, "mine", run_id=mine):
        pass
    summary = bring(store, open_mlflow(server))
    assert summary.refused == {"a run of that id was made here": [mine]}
    assert get_run(store, mine).experiment == "mine"


def test_nothing_listens() -> None:
    with pytest.raises(Unavailable, match=r"nothing answers at http://127\.0\.0\.1:9"):
        open_mlflow("http://127.0.0.1:9")


def test_another_server_is_told_from_mlflow(tmp_path: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Quiet) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(BadInput, match="is not an MLflow server"):
            open_mlflow(f"http://127.0.0.1:{other.server_port}")
        other.shutdown()


def test_databases_of_others_and_of_the_future_are_refused(mlflow: Mlflow, tmp_path: Path) -> None:
    copy(mlflow.database, tmp_path / "new.db")
    with closing(sqlite3.connect(tmp_path / "new.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(BadInput, match="an unknown schema: ffffffffffff"):
        open_mlflow(f"sqlite:///{tmp_path / 'new.db'}")
    with closing(sqlite3.connect(tmp_path / "other.db")) as database, database:
        database.execute("CREATE TABLE t (x)")
    with pytest.raises(BadInput, match="is not a database of MLflow"):
        open_mlflow(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(NotFound, match="there is no database"):
        open_mlflow(f"sqlite:///{tmp_path / 'absent.db'}")
    assert not (tmp_path / "absent.db").exists()
    with pytest.raises(BadInput, match="not a file store of MLflow"):
        open_mlflow(str(tmp_path))
    with pytest.raises(NotFound, match="there is no folder"):
        open_mlflow(str(tmp_path / "absent"))
    with pytest.raises(BadInput, match="not an address of MLflow"):
        open_mlflow("ftp://somewhere")
