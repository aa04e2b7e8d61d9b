"""A disk that fails to sync is reported by whoever writes to it, with what a power cut can lose."""

import errno
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROW, run_assay

from assay.errors import Unavailable
from assay.predictions import read_rows
from assay.store import Home, use
from assay.track import ledger

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="MISSING: strace. Run: apt-get install strace")
FAILING = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO"]
LOSES = r"fsync failed \(Input/output error\), and writing it again too \(Input/output error\); until it is drained, a power cut can lose"
TRAINS = """
import assay
with assay.start_run("e", system_metrics=False) as run:
    run.log_metric("loss", 1.0)
"""


def keep_folder(folder: Path) -> None:
    """A folder that holds something needs no sync, so that it is the segment's that fails."""
    folder.mkdir(parents=True)
    (folder / "kept").touch()


def test_a_run_reports_a_sync_that_failed_and_training_goes_on(tmp_path: Path) -> None:
    home = tmp_path / ".assay"
    keep_folder(home / "spool" / "track")
    keep_folder(home / "logs")
    command = [*FAILING, sys.executable, "-c", TRAINS]
    environment = os.environ | {"ASSAY_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert re.search(LOSES, done.stderr), (done.returncode, done.stderr)
    assert done.returncode == 0, done.stderr


def test_a_server_reports_a_sync_that_failed_and_the_row_is_filed_once_the_disk_is_well(home: Path) -> None:
    keep_folder(home / "spool" / "predictions")
    command = [sys.executable, "-m", "assay", "serve", "long-trip", "--home", str(home), "--port", "0"]
    with subprocess.Popen(
        [*FAILING, "-D", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home.parent
    ) as server:
        assert server.stdout
        port = int(server.stdout.readline().split("http://127.0.0.1:")[1].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/predict", json.dumps(ROW), {"content-type": "application/json"})
        assert connection.getresponse().status == 200
        connection.close()
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=120)
    assert re.search(LOSES, said), said
    doctor = run_assay(home, "doctor")
    assert doctor.returncode == 1
    assert "not handed over" in doctor.stdout
    assert "Input/output error" in doctor.stdout
    assert run_assay(home, "drain").returncode == 0
    rows = read_rows(Home(home), "long-trip")
    assert rows is not None
    assert len(rows) == 1


def test_a_log_whose_name_could_not_be_synced_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ".assay"
    with use(Home(folder)) as store:
        store.database.upgrade()
        store.database.dispose()  # which ends the log
    failing = [OSError(errno.EIO, "Input/output error")]

    def sync(of: Path) -> None:
        assert of == folder
        synced.append((folder / "assay.db-wal").exists())
        if failing:
            raise failing.pop()

    synced = list[bool]()
    monkeypatch.setattr("assay.store.connect.sync_folder", sync)
    with use(Home(folder)) as store:
        with pytest.raises(Unavailable, match="has an error: Input/output error"), store.database.begin():
            pass
        assert not (folder / "assay.db-wal").exists()
        with store.database.begin() as connection:
            ledger.append(connection, "ride", "verdict", "0" * 64, {})
        assert synced == [True, True]
